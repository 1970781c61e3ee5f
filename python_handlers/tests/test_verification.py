"""Each promise of the manifest is broken on purpose, and `verify` says so."""

import gzip
import hashlib
import json
import logging
import os
import shutil
import subprocess

import pytest
from retention_helpers import DAY, HOST, START, Time, local_logs, manager, write

from logbastion.archives import DirectoryStore
from logbastion.cli import main
from logbastion.files import StreamFileHandler
from logbastion.retention.facts import facts_of
from logbastion.retention.manifest import AMENDED, MANIFEST_FILE, Manifest, as_sha256
from logbastion.retention.verification import verify


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Forty nights of the stream security: some compressed, all but the last backed up; heads are in audit.log."""
    place = tmp_path_factory.mktemp("nights")
    logs = place / "logs"
    for directory in (logs, place / "archive"):
        directory.mkdir()
    told, handler, clock = logging.getLogger("system.log_management"), StreamFileHandler(logs), Time()
    told.addHandler(handler)
    level = told.level
    told.setLevel(logging.INFO)
    for day in range(40):
        write(logs, "security", clock.now, *range(day * 10, day * 10 + 10))
        clock.now += DAY
        assert manager(logs, clock, DirectoryStore(place / "archive")).enforce_retention_policies().failures == 0
    told.removeHandler(handler)
    told.setLevel(level)
    handler.close()
    report = verify(logs, archive=DirectoryStore(place / "archive"), host=HOST)
    assert report.problems == []
    assert (report.files, report.copies, report.anchors) == (40, 39, 40)
    return place


@pytest.fixture
def logs(nights, tmp_path):
    shutil.copytree(nights, tmp_path / "copy")
    return tmp_path / "copy" / "logs"


@pytest.fixture
def store(logs):
    return DirectoryStore(logs.parent / "archive")


@pytest.fixture
def clock():
    return Time(START + 40 * DAY)


def kinds(logs, store=None, now=START + 40 * DAY, **options):
    problems = verify(logs, archive=store, host=HOST, clock=lambda: now, **options).problems
    return {(problem.kind, problem.name) for problem in problems}


def rotated(logs):
    return sorted(local_logs(logs, "security"), key=lambda path: path.name)


def rewrite(manifest, change):
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(change(lines)))


def test_the_checksums_are_those_of_other_programs(logs):
    entries = [json.loads(line) for line in (logs / MANIFEST_FILE).read_text().splitlines()]
    path = rotated(logs)[0]
    (entry,) = (entry for entry in entries if entry["action"] == "compressed" and entry["file"] == path.name)
    shell = f"sha256sum {path} | cut -c1-64; zcat {path} | sha256sum | cut -c1-64; zcat {path} | wc -l"
    said = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout.split()
    assert said == [entry["stored_sha256"], entry["content_sha256"], str(entry["events"])]
    second, first = (logs / MANIFEST_FILE).read_bytes().splitlines()[1::-1]
    assert json.loads(second)["previous"] == hashlib.sha256(first).hexdigest()


@pytest.mark.parametrize("number", [0, -1])
def test_a_flipped_byte(logs, number):
    path = rotated(logs)[number]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert kinds(logs) == {("altered", path.name)}


@pytest.mark.parametrize("number", [0, -1])
def test_lines_that_were_cut_out(logs, number):
    path = rotated(logs)[number]
    packed = path.suffix == ".gz"
    lines = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).splitlines(keepends=True)
    content = b"".join(lines[:3] + lines[4:])
    path.write_bytes(gzip.compress(content) if packed else content)
    assert kinds(logs) == {("altered", path.name)}


def test_a_line_that_was_put_in(logs, clock, store):
    path = rotated(logs)[-4]
    with path.open("ab") as file:
        file.write(b'{"@timestamp": "2026-02-08T02:00:00Z", "number": 999}\n')
    assert kinds(logs) == {("altered", path.name)}
    clock.now += 3 * DAY
    report = manager(logs, clock, store).enforce_retention_policies()
    assert [(action.kind, action.file) for action in report.actions if action.kind == "failed"] == [
        ("failed", path.name)
    ]
    assert kinds(logs) == {("altered", path.name)}


def test_what_a_late_writer_wrote_is_noted_then_entered(logs, clock, store):
    path = rotated(logs)[-1]
    with path.open("ab") as file:
        file.write(b'{"@timestamp": "2026-02-09T02:00:00Z", "number": 999}\n')
    report = verify(logs, clock=clock)
    assert report.problems == []
    assert any("after its rotation" in note for note in report.notes)
    assert kinds(logs, now=clock() + 3 * DAY) == {("altered", path.name)}
    clock.now += DAY
    assert manager(logs, clock, store).enforce_retention_policies().failures == 0
    report = verify(logs, clock=lambda: clock() + 10 * DAY)
    assert report.problems == []
    assert "1 files got events after their rotation, within two days" in report.notes
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([b'{"@timestamp": "2026-02-09T02:00:00Z"}\n', *lines]))
    assert kinds(logs) == {("altered", path.name)}


def test_a_file_that_was_removed(logs, clock, store):
    path = rotated(logs)[5]
    path.unlink()
    assert kinds(logs) == {("missing", path.name)}
    report = manager(logs, clock, store).enforce_retention_policies()
    assert [action.file for action in report.actions if action.kind == "failed"] == [path.name]


def test_a_file_that_was_put_in_or_exchanged(logs):
    one, other = rotated(logs)[:2]
    forged = logs / "security.log-20260105"
    forged.write_text('{"@timestamp": "2026-01-05T02:00:00Z", "number": 5}\n')
    assert kinds(logs) == {("unknown", forged.name)}
    forged.unlink()
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    assert kinds(logs) == {("altered", one.name), ("altered", other.name)}


def test_a_copy_that_was_altered_or_removed_in_the_archive(logs, store):
    first, second = list(store.names("backups/"))[:2]
    (store.root / first).write_bytes(b"altered")
    store.delete(second)
    forged = f"archive/{HOST}/security/security.log-20250101.gz"
    store.put(forged, rotated(logs)[0])
    assert kinds(logs) == set()
    assert kinds(logs, store) == {("altered", first), ("missing", second), ("unknown", forged)}


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:10] + lines[11:],
        lambda lines: [*lines[:10], lines[11], lines[10], *lines[12:]],
        lambda lines: [*lines[:10], lines[10], *lines[10:]],
        lambda lines: [*lines[:10], lines[10].replace(b'"events":10', b'"events":11'), *lines[11:]],
        lambda lines: [*lines[:10], b"no entry\n", *lines[11:]],
    ],
    ids=["removed", "moved", "doubled", "altered", "overwritten"],
)
def test_entries_of_the_manifest(logs, change):
    rewrite(logs / MANIFEST_FILE, change)
    assert ("manifest", MANIFEST_FILE) in kinds(logs)


def test_a_manifest_whose_end_was_cut_off_with_its_files(logs, store):
    """The chain is whole and each file that it has is there: only the anchors know better."""
    head = Manifest(logs / MANIFEST_FILE).head
    rewrite(logs / MANIFEST_FILE, lambda lines: lines[:-3])
    known = {state.local.file for state in Manifest(logs / MANIFEST_FILE).logs.values() if state.local}
    for path in rotated(logs):
        if path.name not in known:
            path.unlink()
    assert ("head", MANIFEST_FILE) in kinds(logs)
    assert ("manifest", MANIFEST_FILE) in kinds(logs, store)
    (logs / "audit.log").unlink()
    found = verify(logs)
    assert [problem.kind for problem in found.problems] == []
    assert any("give --expected-head" in note for note in found.notes)
    for given in (head.spelled, head.sha256, head.sha256.upper()):
        assert kinds(logs, expected_head=given) == {("head", MANIFEST_FILE)}
    assert as_sha256(head.spelled) == head.sha256


def test_a_manifest_that_was_made_anew_as_a_whole(logs, clock, store):
    (logs / MANIFEST_FILE).unlink()
    report = manager(logs, clock).enforce_retention_policies()
    assert report.failures == 0
    assert {kind for kind, _ in kinds(logs)} == {"head"}
    assert {kind for kind, _ in kinds(logs, store)} == {"head", "manifest"}
    report = manager(logs, clock, store).enforce_retention_policies()
    assert "does not go on from entry" in report.actions[-1].reason


def test_a_last_line_that_a_crash_cut_is_told_and_mended_by_the_next_run(logs, clock, store):
    manifest = logs / MANIFEST_FILE
    before = manifest.read_bytes()
    manifest.write_bytes(before + b'{"number":9')
    assert kinds(logs) == {("manifest", MANIFEST_FILE)}
    clock.now += DAY
    assert manager(logs, clock, store).enforce_retention_policies().failures == 0
    assert manifest.read_bytes().startswith(before)
    assert kinds(logs, store) == set()


def test_a_full_disk_leaves_the_manifest_as_it_was(logs, monkeypatch):
    manifest = Manifest(logs / MANIFEST_FILE)
    before = manifest.path.read_bytes()
    facts = facts_of(rotated(logs)[0])
    write_bytes = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: write_bytes(descriptor, line[:20]))
    with pytest.raises(OSError, match="is the disk full"):
        manifest.append("found", "security.log-20260101.gz", facts, "a test", time=Time()())
    monkeypatch.undo()
    assert manifest.path.read_bytes() == before
    assert Manifest(manifest.path).head == manifest.head


def test_an_erasure_that_is_entered_is_no_breach(logs, clock):
    path = rotated(logs)[-1]
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert kinds(logs) == {("altered", path.name)}
    manifest = Manifest(logs / MANIFEST_FILE)
    manifest.append(AMENDED, path.name, facts_of(path), "erasure 4711", time=clock())
    assert kinds(logs) == set()


def test_the_command_says_it_to_people_and_programs(logs, store, capsys, clean_environment):
    place = ["--directory", str(logs), "--archive", str(store.root), "--host", HOST]
    assert main(["verify", *place]) == 0
    said = capsys.readouterr().out
    assert "40 files and 39 copies compared" in said
    assert "Nothing was altered" in said
    rotated(logs)[3].unlink()
    assert main(["verify", *place, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["intact"] is False
    assert [problem["kind"] for problem in found["problems"]] == ["missing"]
    assert main(["verify", "--directory", "/no/such/directory"]) == 3
    assert main(["verify"]) == 2
    capsys.readouterr()
    (logs / MANIFEST_FILE).unlink()
    assert main(["verify", "--directory", str(logs)]) == 1
