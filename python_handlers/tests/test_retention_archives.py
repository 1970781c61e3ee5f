"""Log files that go to an archive and to the backups, come back, and are deleted everywhere."""

import json
import stat
from datetime import datetime, timedelta, timezone

import pytest
from prometheus_client import REGISTRY
from retention_helpers import (
    DAY,
    HOST,
    START,
    Time,
    archived_logs,
    content_of,
    days_of,
    local_logs,
    manager,
    numbers_in,
    run,
    write,
)

from logbastion.archives import ArchiveError, DirectoryStore, LockedError
from logbastion.cli import main
from logbastion.metrics import PrometheusLoggingHandler
from logbastion.retention import RETENTION_POLICIES, RetentionError
from logbastion.retention.manifest import MANIFEST_FILE, Manifest
from logbastion.retention.verification import verify


@pytest.fixture
def logs(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir(mode=0o750)
    return directory


@pytest.fixture
def store(tmp_path):
    (tmp_path / "archive").mkdir()
    return DirectoryStore(tmp_path / "archive")


@pytest.fixture
def clock():
    return Time()


def test_the_policies_of_archives_and_backups_are_the_guides():
    assert {
        name: (policy.archive_to_cold_storage_after_days, policy.backup_frequency)
        for name, policy in RETENTION_POLICIES.items()
    } == {
        "security_logs": (365, "daily"),
        "audit_logs": (365, "daily"),
        "application_logs": (30, "weekly"),
        "performance_logs": (14, "weekly"),
        "debug_logs": (3, "none"),
    }


def test_a_file_is_backed_up_then_archived_then_gone(logs, clock, store):
    days_of(logs, clock, store, 1)
    name = "security.log.20260102T020000Z"
    assert [path.name for path in local_logs(logs)] == [name]
    clock.now += DAY
    assert run(logs, clock, store, dry_run=True) == {("backed up", name)}
    assert run(logs, clock, store) == {("backed up", name)}
    assert run(logs, clock, store, dry_run=True) == set()
    clock.now += 29 * DAY
    assert run(logs, clock, store) == {("compressed", name), ("backed up", f"{name}.gz")}
    assert list(store.names("backups/")) == [f"backups/{HOST}/security/{name}.gz"]
    clock.now += 334 * DAY
    assert run(logs, clock, store) == set()
    clock.now += DAY
    assert run(logs, clock, store, dry_run=True) == {("archived", f"{name}.gz")}
    assert local_logs(logs)
    assert run(logs, clock, store) == {("archived", f"{name}.gz")}
    assert local_logs(logs) == []
    assert list(store.names("backups/")) == []
    archived = f"archive/{HOST}/security/{name}.gz"
    assert list(store.names("archive/")) == [archived]
    assert numbers_in(*archived_logs(store)) == dict.fromkeys(range(10), 1)
    clock.now = START + timedelta(hours=10, days=2555, seconds=-1)
    assert run(logs, clock, store) == set()
    clock.now += timedelta(seconds=1)
    assert run(logs, clock, store) == {("deleted", archived)}
    assert list(store.names("archive/")) == []
    assert verify(logs, archive=store, host=HOST).problems == []


def test_weekly_backups_are_weekly_and_debug_has_none(logs, clock, store):
    backed_up = []
    for day in range(20):
        for stream in ("application", "debug"):
            write(logs, stream, clock.now, day)
        clock.now += DAY
        actions = run(logs, clock, store)
        backed_up += [(day, name) for kind, name in actions if kind == "backed up"]
    assert {name.split(".")[0] for _, name in backed_up} == {"application"}
    assert sorted({day for day, _ in backed_up}) == [1, 8, 15]
    # Each file once; once more when it was compressed, in place of the other.
    names = [name.removesuffix(".gz") for name in store.names("backups/")]
    assert len(set(names)) == len(names)
    assert verify(logs, archive=store, host=HOST).problems == []


def test_without_an_archive_nothing_is_archived(logs, clock):
    days_of(logs, clock, None, 1)
    clock.now += 400 * DAY
    assert {kind for kind, _ in run(logs, clock, None)} == {"compressed"}
    assert len(local_logs(logs)) == 1


def test_zstd_is_written_read_back_and_archived(logs, clock, store):
    days_of(logs, clock, store, 1)
    clock.now += 31 * DAY
    report = manager(logs, clock, store, compression="zstd").enforce_retention_policies()
    assert report.count("compressed") == 1
    (packed,) = local_logs(logs)
    assert packed.suffix == ".zst"
    assert stat.S_IMODE(packed.stat().st_mode) == 0o640
    assert numbers_in(packed) == dict.fromkeys(range(10), 1)
    # Another setting later leaves it as it is.
    clock.now += 400 * DAY
    assert {kind for kind, _ in run(logs, clock, store)} == {"archived"}
    assert verify(logs, archive=store, host=HOST).problems == []


def test_a_compression_that_is_not_known_gets_a_sentence(logs, clock, monkeypatch):
    with pytest.raises(RetentionError, match="'lzma' is no compression"):
        manager(logs, clock, compression="lzma")
    monkeypatch.setenv("LOGBASTION_COMPRESSION", "rar")
    with pytest.raises(RetentionError, match="there are gzip, zstd"):
        manager(logs, clock)


def test_a_legal_hold_keeps_archived_files_too(logs, clock, store):
    days_of(logs, clock, store, 1)
    clock.now += 400 * DAY
    assert ("archived", "security.log.20260102T020000Z.gz") in run(logs, clock, store)
    (logs / "legal-hold").write_text("security\n")
    clock.now += 3000 * DAY
    archived = f"archive/{HOST}/security/security.log.20260102T020000Z.gz"
    assert run(logs, clock, store) == {("held", archived)}
    assert list(store.names("archive/")) == [archived]
    (logs / "legal-hold").unlink()
    assert run(logs, clock, store) == {("deleted", archived)}


def test_files_under_legal_hold_are_backed_up_and_not_moved(logs, clock, store):
    (logs / "legal-hold").write_text("security\n")
    days_of(logs, clock, store, 2)
    name = "security.log.20260103T020000Z"
    clock.now += DAY
    assert run(logs, clock, store, dry_run=True) >= {("held", name), ("backed up", name)}
    assert run(logs, clock, store) >= {("held", name), ("backed up", name)}
    clock.now += 3000 * DAY
    later = run(logs, clock, store)
    assert {kind for kind, _ in later} <= {"held", "backed up"}
    assert ("held", f"backups/{HOST}/security/{name}") in later
    assert sorted(numbers_in(*archived_logs(store, "backups/"))) == list(range(20))
    assert verify(logs, archive=store, host=HOST).problems == []
    (logs / "legal-hold").unlink()
    run(logs, clock, store)
    assert list(store.names()) == [one for one in store.names() if one.startswith("manifest")]
    assert local_logs(logs) == []


class LockedStore(DirectoryStore):
    """Stands in for a bucket whose object lock has not ended; the real one is in test_archives_s3.py."""

    def delete(self, name):
        raise LockedError(f"{name} is locked until some day; it stays there")


def test_what_the_archive_has_locked_is_told_and_is_no_failure(logs, clock, store):
    days_of(logs, clock, store, 1)
    clock.now += 32 * DAY
    run(logs, clock, store)
    archived = f"backups/{HOST}/security/security.log.20260102T020000Z.gz"
    clock.now += 3000 * DAY
    report = manager(logs, clock, LockedStore(store.root)).enforce_retention_policies()
    assert ("locked", archived) in {(action.kind, action.file) for action in report.actions}
    assert report.failures == 0
    assert ("deleted", archived) in run(logs, clock, store)


class GoneStore(DirectoryStore):
    """Stands in for a store that goes away after some calls."""

    def __init__(self, root, calls):
        super().__init__(root)
        self.left = calls

    def _check_root(self):
        self.left -= 1
        if self.left < 0:
            raise ArchiveError("the archive is away")


def test_a_store_that_goes_away_at_any_call_loses_nothing_and_deletion_goes_on(logs, clock, store):
    days_of(logs, clock, None, 5)
    write(logs, "debug", START, 99)
    clock.now += 370 * DAY
    run(logs, clock, None)
    write(logs, "performance", clock.now - 40 * DAY, 77)
    run(logs, clock, None)  # rotates; overdue from now on
    calls = 0
    while True:
        report = manager(logs, clock, GoneStore(store.root, calls)).enforce_retention_policies()
        assert not local_logs(logs, "performance")
        assert not local_logs(logs, "debug")
        found = numbers_in(*local_logs(logs, "security"), *archived_logs(store))
        assert set(found) == set(range(50)), calls
        if not report.failures:
            break
        assert report.archive_failures == 1
        calls += 1
    assert calls > 5
    assert set(found.values()) == {1}
    assert local_logs(logs, "security") == []
    assert verify(logs, archive=store, host=HOST).problems == []


def published(name):
    return REGISTRY.get_sample_value(name)


def test_the_archives_last_success_and_failures_are_published(logs, clock, store):
    PrometheusLoggingHandler(log_directory=str(logs))
    try:
        assert published("logbastion_archive_last_success_timestamp_seconds") is None
        days_of(logs, clock, None, 1)
        assert published("logbastion_archive_last_success_timestamp_seconds") is None
        run(logs, clock, store)
        done = clock.now.timestamp()
        assert published("logbastion_archive_last_success_timestamp_seconds") == done
        assert published("logbastion_archive_failures") == 0
        clock.now += DAY
        manager(logs, clock, GoneStore(store.root, 0)).enforce_retention_policies()
        assert published("logbastion_archive_last_success_timestamp_seconds") == done
        assert published("logbastion_archive_failures") == 1
    finally:
        PrometheusLoggingHandler()


def test_the_commands_from_end_to_end(logs, store, capsys, clean_environment, monkeypatch):
    monkeypatch.setenv("LOGBASTION_LOG_DIRECTORY", str(logs))
    monkeypatch.setenv("LOGBASTION_ARCHIVE", str(store.root))
    monkeypatch.setenv("LOGBASTION_ARCHIVE_HOST", HOST)
    write(logs, "security", datetime.now(timezone.utc) - 400 * DAY, 1, 2, 3)
    assert main(["retention"]) == 0
    assert main(["retention"]) == 0
    assert "1 compressed, 1 archived, 0 deleted" in capsys.readouterr().out
    assert main(["verify", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["intact"], found["copies"], found["anchors"]) == (True, 1, 2)
    assert main(["restore", "--stream", "security", "--from", "2000-01-01", "--dry-run", "--json"]) == 0
    (file,) = json.loads(capsys.readouterr().out)["files"]
    elsewhere = logs.parent / "elsewhere"
    elsewhere.mkdir()
    assert main(["restore", file["file"], "--directory", str(elsewhere)]) == 0
    assert "3 events" in capsys.readouterr().out
    assert numbers_in(elsewhere / file["file"]) == {1: 1, 2: 1, 3: 1}
    assert main(["restore", file["file"], "--directory", str(elsewhere)]) == 3
    assert "nothing is overwritten" in capsys.readouterr().err
    assert main(["restore"]) == 2
    assert main(["restore", "nothing.log"]) == 3
    assert "the manifest does not know it" in capsys.readouterr().err
    (store.root / file["from"]).write_bytes(b"altered")
    assert main(["verify"]) == 1
    assert f"ALTERED    {file['from']}" in capsys.readouterr().out
    manifest = Manifest(logs / MANIFEST_FILE)
    assert [entry["action"] for entry in map(json.loads, manifest.lines())] == [
        "rotated", "compressed", "archived", "restored"
    ]  # fmt: skip
    assert content_of(elsewhere / file["file"]).count(b"\n") == 3
