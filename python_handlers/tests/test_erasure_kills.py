"""kill -9 at random points of an erasure in files, archive and spool; the same call again ends the same.

``ERASURE_KILLS`` says at how many points; `make test-long` takes 50. ``ERASURE_SEED`` repeats a run.
"""

import hashlib
import os
import random
import shutil
import signal
import sys

import pytest
from erasure_helpers import MARIA, START, content_of, lines, matcher, numbers, write
from retention_helpers import DAY, HOST, Time
from retention_helpers import manager as retention

from logbastion.archives import DirectoryStore
from logbastion.erasure.ledger import Ledger
from logbastion.erasure.manager import GDPRLogManager
from logbastion.erasure.places import local_places
from logbastion.retention.verification import verify
from logbastion.shipping.spool import Spool

pytestmark = pytest.mark.integration

# What an erasure does to files and to the archive: audit events of Python's own calls, and writes in place.
STEPS = {
    "open",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.chmod",
    "os.truncate",
    "os.link",
    "shutil.rmtree",
}
STREAMS = ("application", "security", "debug")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """What is synced survives a loss of power, which is not tried here; a kill leaves all that was written."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def erase(place):
    """Erase user 12; return the outcome."""
    places = local_places(
        log_directory=place / "logs",
        spool=place / "spool",
        archive=DirectoryStore(place / "archive"),
        host=HOST,
        spool_wait_seconds=0,
    )
    ledger = Ledger(place / "ledger")
    return GDPRLogManager(places, ledger=ledger).anonymize_user_logs(12, emails=[MARIA]).outcome


def run(place, kill_at=0):
    """Erase in a child; return how many steps it took, None when it was killed before that step."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        steps, code = 0, 1

        def count(name, _=None):
            nonlocal steps
            if name in STEPS:
                steps += 1
                if steps == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        write_in_place = os.pwrite

        def counted(*arguments):
            count("open")
            return write_in_place(*arguments)

        sys.addaudithook(count)
        os.pwrite = counted
        try:
            code = 0 if erase(place) == "complete" else 1
            os.write(writing, b"%d" % steps)
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, -signal.SIGKILL}
    return int(told) if code == 0 else None


def state(place):
    """Return a hash of each file but those with times or keys of the run in them."""
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.name != "manifest.jsonl" and "ledger" not in path.parts
    }


@pytest.fixture
def begun(tmp_path):
    place = tmp_path / "begun"
    for name in ("logs", "archive", "spool"):
        (place / name).mkdir(parents=True)
    clock, store = Time(START), DirectoryStore(place / "archive")
    for night in (0, 1, 60, 368, 396, 399):
        clock.now = START + night * DAY
        for stream in STREAMS:
            write_to = place / "logs" / f"{stream}.log"
            with write_to.open("ab") as file:
                file.writelines(lines(range(20 * night, 20 * night + 12), stream, clock.now))
        clock.now += DAY
        assert retention(place / "logs", clock, store).enforce_retention_policies().failures == 0
    write(place / "logs" / "application.log", lines(range(900, 912)))
    spool = Spool(str(place / "spool"))
    for stream in STREAMS:
        for line in lines(range(30), stream):
            assert spool.append(stream, line[:-1])
    spool.close()
    return place


def test_after_a_kill_at_any_point_the_same_call_ends_the_same(begun, tmp_path):
    seed = int(os.environ.get("ERASURE_SEED") or int.from_bytes(os.urandom(4), "big"))
    print(f"ERASURE_SEED={seed}")
    chance = random.Random(seed)
    done = tmp_path / "done"
    shutil.copytree(begun, done)
    steps = run(done)
    expected = state(done)
    everything = b"".join(line for path in done.rglob("*.log*") for line in content_of(path))
    assert not [line for line in everything.splitlines() if matcher().in_bytes(line)]
    assert len(numbers(line for line in everything.splitlines() if line.startswith(b"{"))) > 100
    assert steps > 200
    for number in range(int(os.environ.get("ERASURE_KILLS") or 12)):
        place, at = tmp_path / "killed", chance.randint(1, steps)
        shutil.copytree(begun, place)
        assert run(place, at) is None, (seed, number, at)
        second = chance.randint(1, steps)  # and the next one perhaps, too
        if run(place, second) is None:
            assert run(place) is not None, (seed, number, at, second)
        assert state(place) == expected, (seed, number, at, second)
        report = verify(place / "logs", archive=DirectoryStore(place / "archive"), host=HOST)
        assert report.problems == [], (seed, number, at, second)
        assert [one.outcome for one in Ledger(place / "ledger").erasures()] == ["complete"]
        shutil.rmtree(place)
