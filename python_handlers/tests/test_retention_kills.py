"""kill -9 before each step of a run that compresses, archives, backs up and deletes; the next run ends the same."""

import os
import shutil
import signal
import sys
from datetime import timedelta

import pytest
from retention_helpers import DAY, HOST, START, Time, archived_logs, local_logs, manager, numbers_in, write

from logbastion.archives import DirectoryStore
from logbastion.retention.verification import verify

pytestmark = pytest.mark.integration

# What a run does to files and to the archive; the audit events of Python's own calls.
STEPS = {"open", "os.rename", "os.remove", "os.chmod", "os.mkdir", "os.truncate"}


def kept(place):
    """Return how often each number of the class that must be kept is in the directory and the archive together."""
    store = DirectoryStore(place / "archive")
    return numbers_in(*local_logs(place / "logs", "security"), *archived_logs(store))


def run(place, clock):
    store = DirectoryStore(place / "archive")
    return manager(place / "logs", clock, store).enforce_retention_policies()


def run_and_kill(place, clock, step):
    """Run in a child that is killed before its `step`-th step. Return its exit code."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event, _):
            nonlocal left
            if event in STEPS:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        failures = -1
        try:
            failures = run(place, clock).failures
        finally:
            os._exit(0 if failures == 0 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture(scope="module", autouse=True)
def _no_waiting_for_the_disk():
    """What is synced survives a loss of power, which is not tried here; a kill leaves all that was written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A directory in which each kind of step is due in the next run."""
    place = tmp_path_factory.mktemp("begun")
    for name in ("logs", "archive"):
        (place / name).mkdir()
    clock = Time(START)
    write(place / "logs", "security", clock.now, *range(100))
    write(place / "logs", "debug", clock.now, 1000)
    clock.now += DAY
    assert run(place, clock).failures == 0
    write(place / "logs", "security", START + 335 * DAY, *range(100, 200))
    clock.now = START + 336 * DAY
    assert run(place, clock).failures == 0  # compresses the first; the debug file is deleted
    write(place / "logs", "debug", START + 365 * DAY, 1001)
    write(place / "logs", "security", START + 365 * DAY, *range(200, 300))
    return place


def test_a_kill_at_any_step_loses_and_doubles_nothing(begun, tmp_path):
    # The first file is archived, the second compressed and backed up, the third rotated.
    clock = Time(START + 366 * DAY)
    expected = dict.fromkeys(range(300), 1)
    kills = 0
    while True:
        place = tmp_path / str(kills)
        shutil.copytree(begun, place)
        code = run_and_kill(place, clock, kills + 1)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        # Between a copy and the removal of its original there are two of one file; never none.
        assert set(kept(place)) == set(expected), kills
        assert run(place, clock).failures == 0, kills
        assert kept(place) == expected, kills
        later = Time(clock.now + timedelta(days=1))
        assert run(place, later).failures == 0, kills
        assert kept(place) == expected, kills
        assert [path for path in place.rglob("*") if "partial" in path.name] == [], kills
        report = verify(place / "logs", archive=DirectoryStore(place / "archive"), host=HOST)
        assert report.problems == [], kills
        shutil.rmtree(place)
        kills += 1
    assert kills > 100
