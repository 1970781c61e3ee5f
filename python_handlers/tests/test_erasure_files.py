"""A person goes from active, rotated and compressed log files; nothing else does, whoever writes or kills meanwhile."""

import json
import os
import shutil
import stat
import threading
from datetime import timedelta

import pytest
from erasure_helpers import (
    PEOPLE,
    START,
    content_of,
    erase,
    event,
    hits,
    lines,
    manager,
    matcher,
    numbers,
    others,
    write,
)
from retention_helpers import DAY, HOST, Time
from retention_helpers import manager as retention

from logbastion.erasure.files import LogFiles
from logbastion.erasure.manager import ErasureError
from logbastion.erasure.place import NoProgress, PlaceError
from logbastion.retention.verification import verify

ROTATED = "20260102T020000Z"


@pytest.fixture
def logs(tmp_path):
    """Each kind of file, with a hundred events each."""
    directory = tmp_path / "logs"
    directory.mkdir()
    for stream in ("application", "security"):
        write(directory / f"{stream}.log", lines(range(100), stream))
        write(directory / f"{stream}.log.{ROTATED}", lines(range(100, 200), stream))
        write(directory / f"{stream}.log.20260101T020000Z", lines(range(200, 300), stream), "gzip")
        write(directory / f"{stream}.log-20251231", lines(range(300, 400), stream), "zstd")
    return directory


def state(directory):
    return {
        str(path.relative_to(directory)): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def raw(directory):
    """Return all content, as whoever searches the disk would see it after decompressing."""
    return b"".join(line for path in sorted(directory.rglob("*")) if path.is_file() for line in content_of(path))


def test_the_person_goes_and_everybody_else_stays_byte_for_byte(logs):
    before = {path.name: others(content_of(path)) for path in logs.iterdir()}
    result = erase(LogFiles(logs))
    assert (result.searched, result.found, result.errors) == (800, 200, ())
    assert (result.anonymised, result.deleted) == (100, 100)
    assert hits(LogFiles(logs)) == 0
    assert b"MARIA" not in raw(logs).upper()
    for path in logs.iterdir():
        assert [line for line in content_of(path) if line in set(before[path.name])] == before[path.name], path.name
        kept = numbers(content_of(path))
        if path.name.startswith("security"):
            assert len(kept) == 100  # anonymised: all records are there, with what else they say
        else:
            assert sorted(kept) == sorted(numbers(before[path.name]))
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    compressed = logs / "application.log.20260101T020000Z.gz"
    assert content_of(compressed) == before[compressed.name]  # there a deleted line is gone
    anonymised = [json.loads(line) for line in content_of(logs / "security.log.20260101T020000Z.gz")]
    assert {one["message"] for one in anonymised if one["extra"]["number"] == 204} == {"User [erased] opened page 204"}
    assert all(one["@timestamp"] and one["event"]["id"] for one in anonymised)


def test_a_second_run_changes_nothing(logs):
    erase(LogFiles(logs))
    before = state(logs)
    result = erase(LogFiles(logs))
    assert (result.found, result.anonymised, result.deleted) == (0, 0, 0)
    assert state(logs) == before


def test_a_dry_run_counts_the_same_and_changes_nothing(logs):
    before = state(logs)
    dry = erase(LogFiles(logs), dry_run=True)
    assert state(logs) == before
    assert dry == erase(LogFiles(logs))


def test_active_files_keep_inode_and_length(logs):
    path = logs / "application.log"
    before = path.stat()
    erase(LogFiles(logs))
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)
    gone = [json.loads(line) for line in content_of(path) if b'"message":"[erased]"' in line]
    assert len(gone) == 25
    assert all(
        set(one)
        <= {"@timestamp", "timestamp", "level", "logger", "message", "event", "service", "host", "process", "ecs"}
        for one in gone
    )


def test_a_legal_hold_is_honoured_and_said(logs):
    (logs / "legal-hold").write_text("security # case 7\n")
    before = state(logs)
    report = manager(LogFiles(logs)).anonymize_user_logs(12, emails=["maria.silva@escola.pt"])
    assert report.outcome == "held"
    assert report.counts()["files"]["held"] == report.counts()["files"]["left"] == 100
    after = state(logs)
    assert all(after[name] == before[name] for name in before if name.startswith("security"))
    (logs / "legal-hold").write_text("securty\n")
    assert "no stream" in erase(LogFiles(logs)).errors[0]


@pytest.mark.parametrize("damage", ["cut", "altered"])
@pytest.mark.parametrize("name", ["application.log.20260101T020000Z.gz", "application.log-20251231.zst"])
def test_a_damaged_file_is_told_and_fails_the_run(logs, name, damage):
    path = logs / name
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-20])
    else:
        path.write_bytes(content[:100] + bytes([content[100] ^ 0xFF]) + content[101:])
    before = path.read_bytes()
    with pytest.raises(ErasureError, match=r"cannot be read to its end") as failed:
        manager(LogFiles(logs)).anonymize_user_logs(12)
    assert path.read_bytes() == before
    assert [name in error for error in failed.value.report.all_errors] == [True, True]  # erasing, and the last search
    assert failed.value.report.outcome == "failed"
    (result,) = failed.value.report.results
    assert result.found > 100  # the others were done


def test_what_cannot_be_searched_fails_the_run(logs, tmp_path):
    outside = tmp_path / "elsewhere.log"
    outside.write_bytes(b"".join(lines([0])))
    (logs / "linked.log").symlink_to(outside)
    assert "leads out of" in erase(LogFiles(logs)).errors[0]
    with pytest.raises(PlaceError, match="leads out of"):
        hits(LogFiles(logs))
    (logs / "linked.log").unlink()
    (logs / "current.log").symlink_to(logs / "application.log")
    assert erase(LogFiles(logs)).errors == ()


@pytest.mark.integration
def test_files_of_others_and_directories_below_are_searched(logs):
    (logs / "old" / "er").mkdir(parents=True)
    write(
        logs / "old" / "er" / "access.txt",
        [b"GET /users/12/ 200\n", b"GET /users/123/ 200\n", b"12 " * 30000 + b"user 12"],
    )
    result = erase(LogFiles(logs))
    assert (result.found, result.errors) == (202, ())
    made = (logs / "old" / "er" / "access.txt").read_bytes()
    assert b"GET /users/123/ 200\n" in made
    assert b"users/12/" not in made
    assert b"user 12" not in made
    assert made.count(b"12 ") >= 30000


@pytest.mark.integration
def test_an_identifier_across_a_read_boundary_is_found(tmp_path):
    # Blocks of 256 KiB, and lines that are longer.
    for pad in range((1 << 18) - 30, (1 << 18) + 4, 3):
        directory = tmp_path / str(pad)
        directory.mkdir()
        text = b"x" * pad + b" maria.silva@escola.pt " + b"y" * 100
        write(directory / "plain.txt", [b"first\n", text + b"\n"])
        write(directory / "packed.txt", [b"first\n", text + b"\n"], "gzip")
        assert erase(LogFiles(directory)).found == 2
        assert hits(LogFiles(directory)) == 0
        assert b"maria" not in raw(directory)
        shutil.rmtree(directory)


@pytest.mark.integration
def test_retention_and_verify_go_on_after_an_erasure(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    clock = Time(START)
    for day in range(40):
        for stream in ("application", "security"):
            with (directory / f"{stream}.log").open("ab") as file:
                file.writelines(lines(range(20 * day, 20 * day + 20), stream, clock.now))
        clock.now += DAY
        assert retention(directory, clock).enforce_retention_policies().failures == 0
    assert erase(LogFiles(directory)).errors == ()
    assert hits(LogFiles(directory)) == 0
    assert verify(directory, host=HOST).problems == []
    actions = [json.loads(line)["action"] for line in (directory / "manifest.jsonl").read_bytes().splitlines()]
    assert actions.count("amended") == 80
    assert b"silva" not in (directory / "manifest.jsonl").read_bytes()
    clock.now += DAY
    assert retention(directory, clock).enforce_retention_policies().failures == 0
    assert verify(directory, host=HOST).problems == []
    assert erase(LogFiles(directory), 123).errors == ()  # somebody else, in files that were amended before
    assert verify(directory, host=HOST).problems == []


def test_an_altered_file_is_not_made_to_look_right(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    clock = Time(START)
    write(directory / "security.log", lines(range(20), "security", clock.now))
    clock.now += DAY
    retention(directory, clock).enforce_retention_policies()
    (path,) = directory.glob("security.log.*")
    path.write_bytes(path.read_bytes().replace(b"page 1 ", b"page 9 "))
    before = path.read_bytes()
    assert "altered" in erase(LogFiles(directory)).errors[0]
    assert path.read_bytes() == before
    assert [problem.kind for problem in verify(directory, host=HOST).problems] == ["altered"]


WRITER = """
import logging, sys
from logbastion.files import StreamFileHandler
from logbastion.shipping.spool import Spool
handler = StreamFileHandler(sys.argv[1])
logger = logging.getLogger("business")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
print("ready", flush=True)
first, count = int(sys.argv[2]), int(sys.argv[3])
for number in range(first, first + count):
    logger.info("page %d opened", number, extra={"user_id": (12, 123, 4123, 7)[number % 4], "number": number})
"""


@pytest.mark.integration
def test_four_writers_meanwhile_lose_and_tear_nothing(tmp_path):
    from spool_helpers import python

    directory = tmp_path / "logs"
    directory.mkdir()
    count = int(os.environ.get("ERASURE_LINES") or 12_000) // 4
    writers = [python(WRITER, directory, first * count, count) for first in range(4)]
    for writer in writers:
        assert writer.stdout.readline() == b"ready\n"
    rounds = 0
    while any(writer.poll() is None for writer in writers) or rounds < 2:
        assert erase(LogFiles(directory)).errors == ()
        rounds += 1
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    erase(LogFiles(directory))
    assert hits(LogFiles(directory)) == 0
    events = [json.loads(line) for line in raw(directory).splitlines()]
    assert len(events) == 4 * count
    found = sorted(one["extra"]["number"] for one in events if "extra" in one)
    assert found == [number for number in range(4 * count) if number % 4]
    assert len({one["event"]["id"] for one in events}) == 4 * count


def test_a_line_that_is_just_being_written_is_not_torn(tmp_path):
    before, line = lines(range(1, 4), "security"), lines([0], "security")[0]
    cut = line.index(b"opened")
    path = write(tmp_path / "security.log", [*before, line[:cut]])

    def finish():
        with path.open("ab") as log:
            log.write(line[cut:])

    writer = threading.Timer(0.3, finish)
    writer.start()
    assert erase(LogFiles(tmp_path)).errors == ()
    writer.join()
    *others_lines, last = path.read_bytes().splitlines(keepends=True)
    assert others_lines == before
    assert len(last) == len(line)
    kept = json.loads(last)
    assert (kept["event"]["id"], kept["extra"]["number"]) == (json.loads(line)["event"]["id"], 0)
    assert hits(LogFiles(tmp_path)) == 0


def test_a_line_that_was_never_finished_is_erased_too(tmp_path):
    line = lines([0], "security")[0]
    path = write(tmp_path / "security.log", [line[: line.index(b"opened")]])
    assert erase(LogFiles(tmp_path)).found == 1
    assert hits(LogFiles(tmp_path)) == 0
    assert path.stat().st_size == line.index(b"opened")


def test_export_gives_each_copy_as_it_is(logs):
    found = list(LogFiles(logs).export(matcher()))
    assert len(found) == 200
    assert {one.where for one in found} == {path.name for path in logs.iterdir()}
    assert all(matcher().in_event(one.event) for one in found)
    assert found[0].event == json.loads(
        next(line for line in content_of(logs / found[0].where) if matcher().in_bytes(line))
    )


@pytest.fixture
def nobody():
    """The test goes on as a user who owns nothing."""
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_files_of_somebody_else_are_told(tmp_path, logs, request):
    for path in (logs, tmp_path, *tmp_path.parents[:1]):
        path.chmod(0o755)
    (logs / "security.log").chmod(0)
    if os.geteuid() == 0:
        request.getfixturevalue("nobody")
    assert [error for error in erase(LogFiles(logs)).errors if "Permission denied" in error]
    with pytest.raises(PlaceError, match="cannot be"):
        hits(LogFiles(logs))


def test_progress_counts_every_byte_that_is_read(logs):
    class Counted(NoProgress):
        done = 0

        def step(self, count):
            self.done += count

    counted = Counted()
    LogFiles(logs).hits(matcher(), progress=counted)
    assert counted.done == sum(path.stat().st_size for path in logs.iterdir())


def test_a_late_line_in_a_rotated_file_is_taken_in_after_an_erasure(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    clock = Time(START)
    write(directory / "security.log", lines(range(20), "security", clock.now))
    late = os.open(directory / "security.log", os.O_WRONLY | os.O_APPEND)
    clock.now += DAY
    retention(directory, clock).enforce_retention_policies()
    assert erase(LogFiles(directory)).errors == ()
    os.write(late, lines([21], "security")[0])
    os.close(late)
    clock.now += timedelta(hours=1)
    assert retention(directory, clock).enforce_retention_policies().failures == 0
    assert verify(directory, host=HOST, clock=clock).problems == []
    (path,) = directory.glob("security.log.*")
    assert numbers(content_of(path)) == [*range(20), 21]


def test_where_no_byte_may_be_added_the_record_keeps_all_else(logs):
    erase(LogFiles(logs))
    kept = {one["extra"]["number"]: one for one in map(json.loads, content_of(logs / "security.log"))}
    for number, one in kept.items():
        original = event(number, PEOPLE[number % 4], "security")
        if number % 4:
            assert one == original
        elif number % 8:
            assert one["user_id"] == (0 if number % 5 else None)  # the address that goes makes room
            assert {**one, "user_id": 12, "message": "", "extra": ""} == {**original, "message": "", "extra": ""}
        assert one["extra"]["number"] == number
    assert [kept[4]["message"], kept[12]["message"]] == ["page 4 opened <12>", "User * opened page 12"]
    packed = {one["extra"]["number"]: one for one in map(json.loads, content_of(logs / "security.log-20251231.zst"))}
    assert packed[324]["user_id"] is None
    assert packed[324]["message"] == "User [erased] opened page 324"
