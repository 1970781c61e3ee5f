"""Log files that come back from the archive and the backups, and what becomes of them then."""

import stat
from datetime import datetime, timedelta, timezone

import pytest
from retention_helpers import (
    DAY,
    HOST,
    START,
    Time,
    archived_logs,
    days_of,
    entered,
    local_logs,
    manager,
    numbers_in,
    run,
    write,
)

from logbastion.archives import DirectoryStore
from logbastion.cli import main
from logbastion.retention import RetentionError
from logbastion.retention.restoring import RestoreError, Restorer, call_after_restore
from logbastion.retention.restoring import _after_restore as after_restore
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


def test_a_new_directory_does_not_begin_anew_under_the_name_of_a_host_that_the_archive_knows(
    logs, clock, store, tmp_path
):
    days_of(logs, clock, store, 3)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    with pytest.raises(RetentionError, match="restore --manifest"):
        manager(fresh, clock, store).enforce_retention_policies()
    assert list(fresh.iterdir()) == []


def test_a_lost_host_is_restored_from_its_backups(logs, clock, store, tmp_path):
    days_of(logs, clock, store, 40)
    backed_up = {path.name: path.read_bytes() for path in local_logs(logs)}
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    restorer = Restorer(fresh, store, HOST, clock=clock)
    assert restorer.bring_manifest() > 40
    called = []
    call_after_restore(lambda directory, paths: called.append((directory, len(paths))))
    try:
        paths = list(restorer.restore(restorer.between("security", None, None)))
    finally:
        after_restore.clear()
    assert called == [(fresh, len(paths))]
    # The file of the last night is the one that no backup has yet.
    assert len(paths) == len(backed_up) - 1
    assert all(path.read_bytes() == backed_up[path.name] for path in paths)
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o640}
    assert numbers_in(*paths) == dict.fromkeys(range(390), 1)
    (problem,) = verify(fresh, archive=store, host=HOST).problems
    assert problem.kind == "missing"
    lost = problem.name
    report = manager(fresh, clock, store).enforce_retention_policies()
    assert [action.file for action in report.actions if action.kind == "failed"] == [lost]
    manager(fresh, clock, store).accept_loss(lost, "the host's disk was lost")
    run(fresh, clock, store)
    assert verify(fresh, archive=store, host=HOST).problems == []
    with pytest.raises(RetentionError, match="is not missing"):
        manager(fresh, clock, store).accept_loss(paths[0].name, "no")


def test_an_archived_file_comes_back_whole_and_stays_until_its_time_is_up(logs, clock, store, tmp_path):
    days_of(logs, clock, store, 2)
    clock.now += 400 * DAY
    run(logs, clock, store)
    run(logs, clock, store)
    assert local_logs(logs) == []
    restorer = Restorer(logs, store, HOST, clock=clock)
    elsewhere = tmp_path / "case-4711"
    elsewhere.mkdir()
    copies = restorer.between("security", START + DAY, START + 3 * DAY)
    assert [copy.entry.file for copy in copies] == ["security.log.20260103T020000Z.gz"]
    (path,) = restorer.restore(copies, elsewhere)
    assert numbers_in(path) == dict.fromkeys(range(10, 20), 1)
    with pytest.raises(RestoreError, match="nothing is overwritten"):
        list(restorer.restore(copies, elsewhere))
    assert run(logs, clock, store) == set()
    (path,) = restorer.restore(restorer.named(["security.log.20260103T020000Z"]))
    assert path.parent == logs
    before = entered(logs)
    for _ in range(3):
        assert verify(logs, archive=store, host=HOST).problems == []
        assert run(logs, clock, store, dry_run=True) == set()
        assert run(logs, clock, store) == set()
        clock.now += DAY
    assert numbers_in(path) == dict.fromkeys(range(10, 20), 1)
    assert entered(logs) == before
    assert [action for action, name in before if name == path.name].count("archived") == 1
    clock.now = START + timedelta(days=2557)
    assert {("deleted", path.name), ("deleted", f"archive/{HOST}/security/{path.name}")} <= run(logs, clock, store)
    assert local_logs(logs) == []
    assert list(store.names("archive/")) == []
    assert verify(logs, archive=store, host=HOST).problems == []
    with pytest.raises(RestoreError, match="it was deleted on"):
        restorer._manifest.refresh()
        restorer.named([path.name])


def test_a_restored_file_that_is_removed_is_no_loss_and_one_that_is_altered_is_seen(logs, clock, store):
    days_of(logs, clock, store, 2)
    clock.now += 400 * DAY
    run(logs, clock, store)
    restorer = Restorer(logs, store, HOST, clock=clock)
    first, second = restorer.restore(restorer.between("security", None, None))
    first.unlink()
    second.write_bytes(second.read_bytes() + b"x")
    report = manager(logs, clock, store).enforce_retention_policies()
    assert [(action.kind, action.file) for action in report.actions] == [("failed", second.name)]
    assert ("deleted", first.name) in entered(logs)
    second.unlink()
    assert run(logs, clock, store) == set()
    assert verify(logs, archive=store, host=HOST).problems == []
    assert numbers_in(*archived_logs(store)) == dict.fromkeys(range(20), 1)
    restorer = Restorer(logs, store, HOST, clock=clock)
    assert len(list(restorer.restore(restorer.named([first.name])))) == 1  # and back once more
    assert verify(logs, archive=store, host=HOST).problems == []


def test_after_a_loss_only_what_is_not_archived_has_to_come_back(logs, store, capsys, clean_environment, monkeypatch):
    now = datetime.now(timezone.utc)
    for number, age in enumerate((400, 40)):
        write(logs, "security", now - age * DAY, number)
        clock = Time(now + 2 * number * DAY)
        assert manager(logs, clock, store).enforce_retention_policies().failures == 0
        clock.now += DAY
        assert manager(logs, clock, store).enforce_retention_policies().failures == 0
    fresh = logs.parent / "fresh"
    fresh.mkdir()
    monkeypatch.setenv("LOGBASTION_LOG_DIRECTORY", str(fresh))
    monkeypatch.setenv("LOGBASTION_ARCHIVE", str(store.root))
    monkeypatch.setenv("LOGBASTION_ARCHIVE_HOST", HOST)
    assert main(["restore", "--not-archived"]) == 2
    assert main(["restore", "x.log", "--not-archived"]) == 2
    assert main(["restore", "--stream", "security", "--not-archived"]) == 0
    assert numbers_in(*local_logs(fresh, "security")) == {1: 1}
    assert main(["restore", "--stream", "security"]) == 0
    assert numbers_in(*local_logs(fresh, "security")) == {0: 1, 1: 1}


def test_what_was_altered_in_the_archive_is_not_restored(logs, clock, store):
    days_of(logs, clock, store, 1)
    clock.now += 400 * DAY
    run(logs, clock, store)
    (copy,) = archived_logs(store)
    copy.write_bytes(copy.read_bytes()[:-3] + b"abc")
    restorer = Restorer(logs, store, HOST, clock=clock)
    with pytest.raises(RestoreError, match="was altered, and is not restored"):
        list(restorer.restore(restorer.named(["security.log.20260102T020000Z"])))
    assert local_logs(logs) == []
    assert not list(logs.glob(".*partial"))


def test_a_failing_erasure_after_a_restore_is_a_failure(logs, clock, store, tmp_path):
    days_of(logs, clock, store, 1)
    clock.now += 400 * DAY
    run(logs, clock, store)

    def erase(directory, paths):
        raise RestoreError("the erasures could not be made again; run them by hand")

    call_after_restore(erase)
    call_after_restore(erase)
    try:
        restorer = Restorer(logs, store, HOST, clock=clock)
        with pytest.raises(RestoreError, match="by hand"):
            list(restorer.restore(restorer.named(["security.log.20260102T020000Z"])))
    finally:
        after_restore.clear()
