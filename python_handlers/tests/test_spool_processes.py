"""What becomes of a spool when its process is killed, forks, is interrupted, or dies beside others."""

import gc
import itertools
import json
import os
import re
import shutil
import signal
import threading
import time

import pytest
from spool_helpers import KIB, NUMBER, adopt_all, put, python, record, segments, take

from logbastion.shipping.spool import Spool
from logbastion.shipping.spool.directory import ProcessDirectory
from logbastion.streams import STREAMS

pytestmark = pytest.mark.integration

WRITER = """
import os, sys
from logbastion.shipping.spool import Spool
from logbastion.streams import STREAMS
spool, number = Spool(sys.argv[1]), int(sys.argv[2])
while True:
    if spool.append(STREAMS[number % 5], b'{"n":%d,"pad":"%b"}' % (number, b"x" * (number % 700))):
        os.write(1, b"%d\\n" % number)
    number += 1
"""

ADOPTER = """
import os, re, sys, time
from logbastion.shipping.spool import Spool
spool = Spool(sys.argv[1])
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    spool._adopt_at = 0.0
    spool.maintain()
    while (batch := spool.read(50, 65536)) is not None:
        found = [re.match(rb'[{]"n":(\\d+)', event)[1] for event in batch.events]
        os.write(1, b"".join(number + b"\\n" for number in found))
        spool.settle(batch)
        if len(sys.argv) > 2 and int(found[-1]) % 7 == 0:
            os.kill(os.getpid(), 9)
    if not spool._adopted and set(os.listdir(sys.argv[1])) <= {"quarantine"}:
        break
spool.close()
"""


def kill_after(process, count):
    """Let a writer report so many events, kill it, and return the numbers of all that it has reported."""
    seen = [int(process.stdout.readline()) for _ in range(count)]
    process.kill()
    seen += [int(line) for line in process.stdout.read().split(b"\n")[:-1]]
    process.wait()
    process.stdout.close()
    return seen


def torn_numbers(root):
    """Take the quarantine away; the numbers in it, all of which are torn ends.

    Linux ends a write between two pages of the file when the process is killed, so now and then there is one. Its call
    had not returned.
    """
    files = list(root.glob("quarantine/*"))
    pieces = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert all(piece["torn"] for piece in pieces)
    shutil.rmtree(root / "quarantine", ignore_errors=True)
    found = [re.match(r'[0-9a-f]{8} \{"n":(\d+),', piece["text"]) for piece in pieces]
    return [int(match[1]) for match in found if match]


def test_nothing_is_lost_at_kill_9_of_the_writer(tmp_path):
    """A thousand kills are the benchmark's; here the moments are spread over the first segments and over a roll."""
    spool = Spool(tmp_path)
    for index, count in enumerate((1, 2, 3, 17, 400, 999, 5000, 12_000)):
        first = index * 1_000_000
        reported = kill_after(python(WRITER, tmp_path, first), count)
        assert reported == list(range(first, first + len(reported)))
        found = sorted(adopt_all(spool))
        # One more may be there: appended, and killed before it could say so.
        assert found in (reported, [*reported, first + len(reported)])
        assert torn_numbers(tmp_path) in ([], [first + len(reported)])
        assert list(tmp_path.iterdir()) == []
    spool.close()


def test_a_living_process_is_left_alone(tmp_path):
    process = python(WRITER, tmp_path, 0)
    process.stdout.readline()
    spool = Spool(tmp_path)
    for _ in range(20):
        spool._adopt_at = 0.0
        spool.maintain()
        assert not spool._adopted
        assert spool.read(500, KIB) is None
    process.kill()
    process.wait()
    process.stdout.close()
    assert adopt_all(spool)
    spool.close()


def test_own_directories_are_left_alone_within_one_process(tmp_path):
    """Record locks do not conflict within a process, and closing a descriptor would give the lock up."""
    first, second = Spool(tmp_path), Spool(tmp_path)
    put(first, 0, 10)
    put(second, 10, 20)
    for spool in (first, second):
        spool.maintain()
        assert not spool._adopted
    adopter = python(ADOPTER, tmp_path)
    assert take(first) == list(range(10))
    assert take(second) == list(range(10, 20))
    first.close()
    second.close()
    assert adopter.communicate(timeout=60)[0] == b""  # the lock was held all the time


def test_each_directory_has_exactly_one_owner_among_many(tmp_path):
    """Racing adopters ship each event of the dead exactly once while none of them is killed."""
    reported = []
    for index in range(12):
        reported += kill_after(python(WRITER, tmp_path, index * 1_000_000), 300)
    with segments(tmp_path)[0].open("ab") as torn:
        torn.write(b'01234567 {"n":77000000,"pad":"xx')
    adopters = [python(ADOPTER, tmp_path) for _ in range(5)]
    shipped = [[int(line) for line in adopter.communicate(timeout=90)[0].split()] for adopter in adopters]
    together = [number for part in shipped for number in part]
    assert len(together) == len(set(together))
    assert set(reported) <= set(together)
    assert len(together) - len(reported) <= 12
    torn = torn_numbers(tmp_path)
    assert torn.count(77000000) == 1
    assert not set(torn) & set(together)
    assert list(tmp_path.iterdir()) == []


def test_adopters_that_are_killed_are_adopted(tmp_path):
    reported = []
    for index in range(4):
        reported += kill_after(python(WRITER, tmp_path, index * 1_000_000), 500)
    found = []
    for _ in range(200):
        adopter = python(ADOPTER, tmp_path, "die")
        found += [int(line) for line in adopter.communicate(timeout=90)[0].split()]
        if adopter.returncode == 0:
            break
    assert adopter.returncode == 0
    assert set(reported) <= set(found)
    assert len(found) - len(set(found)) <= 0  # it dies after settling: nothing comes twice


def test_a_directory_that_was_deleted_before_the_lock_was_taken_is_not_owned(tmp_path):
    owner = ProcessDirectory.create(str(tmp_path))
    path = owner.path
    owner.release()
    real = os.open

    def open_and_lose(name, *arguments, **options):
        descriptor = real(name, *arguments, **options)
        os.unlink(name)
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", open_and_lose)
        assert ProcessDirectory.adopt(path) is None
    assert ProcessDirectory.adopt(path) is None
    assert not os.path.exists(path)  # empty and without a lock: tidied up


def test_a_directory_whose_process_died_at_birth_is_removed(tmp_path):
    (tmp_path / "host-1-0123456789ab").mkdir()
    (tmp_path / "somebody-else's").mkdir()
    spool = Spool(tmp_path)
    spool.maintain()
    assert [path.name for path in tmp_path.iterdir()] == ["somebody-else's"]


def test_the_child_of_a_fork_ships_its_own_and_leaves_the_parents(tmp_path):
    spool = Spool(tmp_path)
    put(spool, 0, 1000)
    spool.settle(spool.read(100, 256 * KIB))
    descriptors = len(os.listdir("/proc/self/fd"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert spool.home is None
            assert len(os.listdir("/proc/self/fd")) < descriptors
            assert take(spool) == []
            put(spool, 5000, 5500, "audit")
            spool.maintain()
            assert not spool._adopted  # the parent lives
            assert take(spool) == list(range(5000, 5500))
            put(spool, 6000, 6100, "audit")
            spool.close()
            code = 0
        finally:
            os._exit(code)
    put(spool, 1000, 2000)
    assert os.waitpid(child, 0)[1] == 0
    assert adopt_all(spool) == [*range(6000, 6100), *range(100, 2000)]
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_fork_under_load(tmp_path):
    """Children are born while threads of the parent hold locks; each event is there once."""
    spool = Spool(tmp_path)
    stop = threading.Event()
    counts = [0, 0, 0]

    def write(index):
        while not stop.is_set():
            assert spool.append(STREAMS[index], record(index * 1_000_000 + counts[index]))
            counts[index] += 1

    threads = [threading.Thread(target=write, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for child_number in range(10):
        child = os.fork()
        if child == 0:
            put(spool, 10_000_000 + child_number * 1000, 10_000_000 + child_number * 1000 + 200, "debug")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    stop.set()
    for thread in threads:
        thread.join()
    found = sorted(adopt_all(spool))
    own = [index * 1_000_000 + number for index in range(3) for number in range(counts[index])]
    children = [10_000_000 + child * 1000 + number for child in range(10) for number in range(200)]
    assert found == own + children
    spool.close()


ORPHAN = """
import os, re, sys, time
from logbastion.shipping.spool import Spool
spool = Spool(sys.argv[1])
spool.append("audit", b'{"n":7}')
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent:
        time.sleep(0.01)
    spool.maintain()
    os.write(1, spool.read(10, 1000).events[0])
os._exit(0)
"""


def test_a_child_adopts_what_its_dead_parent_has_left(tmp_path):
    """Though it is a directory that its own memory, copied by fork, once knew as owned."""
    process = python(ORPHAN, tmp_path)
    assert process.communicate(timeout=60)[0] == b'{"n":7}'


def test_logging_from_a_signal_handler_within_append(tmp_path):
    spool = Spool(tmp_path)
    hits, numbering = [], itertools.count(-1, -1)

    def interrupt(*_):
        hits.append(next(numbering))  # such a handler is itself interrupted now and then
        assert spool.append("application", record(hits[-1]))

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
        put(spool, 0, 30_000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    found = take(spool)
    assert hits
    assert [number for number in found if number >= 0] == list(range(30_000))
    assert sorted(number for number in found if number < 0) == sorted(hits)
    assert len(hits) == len(set(hits))
    spool.close()


def test_a_signal_handler_that_raises_within_append_loses_nothing_that_returned(tmp_path):
    spool = Spool(tmp_path)

    class InterruptError(Exception):
        pass

    inside, kept, interrupted = [], [], []

    def interrupt(*_):
        if inside:
            inside.clear()  # once, and nowhere but in append
            raise InterruptError

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
        for number in range(20_000):
            try:
                inside.append(True)
                spool.append("application", record(number))
                inside.clear()
                kept.append(number)
            except InterruptError:
                interrupted.append(number)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert spool.append("application", record(20_000))
    kept.append(20_000)
    found = take(spool)
    assert interrupted
    assert len(found) == len(set(found))
    assert set(kept) <= set(found)
    assert spool.damaged == 0
    spool.close()


def test_logging_from_within_the_lane_itself_is_put_off_and_kept(tmp_path, monkeypatch):
    """As a finaliser does that the garbage collector runs in the middle of append, or of settling."""
    spool = Spool(tmp_path)
    real = os.write
    depth = []

    def write(descriptor, data):
        if not depth:
            depth.append(1)
            for number in range(3):
                assert spool.append("application", record(100 + number))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    assert spool.append("application", record(1))
    monkeypatch.undo()
    assert segments(tmp_path)[0].read_bytes().count(b"\n") == 4  # not only when somebody reads
    assert take(spool, settle=False) == [1, 100, 101, 102]
    with spool.lanes["application"].exclusive():
        assert spool.append("application", record(200))
    gc.collect()
    assert take(spool, settle=False) == [200]
    spool.close()


def test_a_signal_handler_that_logs_on_the_syncing_thread_does_not_wait_for_itself(tmp_path, monkeypatch):
    spool = Spool(tmp_path, durability="host")
    real = os.fdatasync
    nested = []

    def fdatasync(descriptor):
        if not nested:
            nested.append(1)
            assert spool.append("audit", record(2))
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    assert spool.append("audit", record(1))
    assert take(spool) == [1, 2]
    spool.close()


def test_a_clock_that_jumps_changes_nothing(tmp_path, monkeypatch):
    spool = Spool(tmp_path)
    put(spool, 0, 100)
    found = []
    for moment in (0.0, 4e9, 1.0, -1e9, 2e9):
        monkeypatch.setattr(time, "time", lambda moment=moment: moment)
        monkeypatch.setattr(time, "time_ns", lambda moment=moment: int(moment * 1e9))
        put(spool, int(100 + len(found)), int(200 + len(found)))
        spool.maintain()
        found += take(spool)
    assert found[:100] == list(range(100))
    for path in segments(tmp_path):
        os.utime(path, (0, 0))
    put(spool, 9000, 9100)
    spool.close()
    for path in tmp_path.glob("*/*"):
        os.utime(path, (4e9, 4e9))
    assert adopt_all(Spool(tmp_path)) == list(range(9000, 9100))


def test_numbers_are_found(tmp_path):
    """The helpers of these tests count what they say they count."""
    assert NUMBER.match(record(12))[1] == b"12"
    assert len(segments(tmp_path)) == 0
