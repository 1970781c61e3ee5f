"""A disk that is full, read-only, damaged, shortened or deleted under a running process."""

import errno
import os
import resource
import shutil

import pytest
import spool_helpers
from spool_helpers import KIB, adopt_all, put, segments, small, take

from logbastion.shipping.spool import Block, DropNewest, DropOldest

drops, make = spool_helpers.drops, spool_helpers.make


@pytest.fixture
def full_disk():
    """The kernel itself takes no byte beyond a size, and only the first part of a write that crosses it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def disk_is_back(spool, stream="application"):
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
    spool.lanes[stream]._retry_at = 0.0
    spool.maintain()


@pytest.mark.parametrize("limit", [0, 1, 50, 5000, 5001, 5055])
def test_a_full_disk_loses_nothing_that_memory_holds_and_keeps_the_order(make, full_disk, drops, limit):
    spool = make()
    full_disk(limit)
    assert put(spool, 0, 1000) == list(range(1000))
    full_disk(resource.RLIM_INFINITY)
    assert spool.error
    disk_is_back(spool)
    assert spool.error is None
    assert put(spool, 1000, 1100) == list(range(1000, 1100))
    assert take(spool) == list(range(1100))
    assert drops == []
    assert spool.damaged == 0


def test_a_disk_that_stays_full_is_tried_again_without_leaving_anything(make, full_disk, tmp_path):
    spool = make()
    full_disk(5000)
    put(spool, 0, 100)
    files, lane = segments(tmp_path / "spool"), spool.lanes["application"]
    full_disk(0)
    for number in range(50):
        lane._retry_at = 0.0
        spool.maintain()
        put(spool, 100 + number, 101 + number)
    assert segments(tmp_path / "spool") == files
    assert len(lane.segments) <= 3
    full_disk(resource.RLIM_INFINITY)
    disk_is_back(spool)
    assert take(spool) == list(range(150))


def test_what_memory_held_is_durable_once_the_disk_is_back(make, full_disk, tmp_path):
    spool = make()
    full_disk(3000)
    put(spool, 0, 1000)
    full_disk(resource.RLIM_INFINITY)
    disk_is_back(spool)
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "spool", copy)  # what a kill -9 would leave
    after = make(copy)
    assert adopt_all(after) == list(range(1000))
    assert after.damaged == 0  # the half record that the full disk took was cut off


def test_the_worker_ships_from_memory_while_the_disk_is_full(make, full_disk):
    spool = make()
    full_disk(3000)
    put(spool, 0, 500)
    first = spool.read(100, 256 * KIB)
    second = spool.read(100, 256 * KIB)
    spool.settle(first)
    put(spool, 500, 600)
    full_disk(resource.RLIM_INFINITY)
    disk_is_back(spool)  # while a batch from before is under way
    put(spool, 600, 700)
    spool.rewind()
    assert take(spool) == list(range(len(first.events), 700))
    assert len(second.events) > 0
    assert spool.lanes["application"].memory_bytes == 0


def test_the_disk_fills_up_again_while_memory_is_brought_to_it(make, full_disk, drops):
    spool = make()
    full_disk(0)
    put(spool, 0, 3000)
    for limit in (1000, 40_000, 0, 77_777):
        full_disk(limit)
        spool.lanes["application"]._retry_at = 0.0
        spool.maintain()
        assert spool.error
    put(spool, 3000, 3100)
    full_disk(resource.RLIM_INFINITY)
    disk_is_back(spool)
    assert take(spool) == list(range(3100))
    assert drops == []
    assert spool.damaged == 0


@pytest.mark.parametrize("policy", [DropOldest(), DropNewest(), Block(0)])
def test_memory_is_bounded_by_the_same_policies(make, full_disk, drops, policy):
    spool = make(limits={"application": small(policy)}, memory_bytes=256 * KIB)
    full_disk(0)
    kept = put(spool, 0, 3000)
    lane = spool.lanes["application"]
    assert lane.memory_bytes <= 64 * KIB
    lost = sum(count for _, _, count in drops)
    assert {facts[:2] for facts in drops} == {("application", "memory_full")}
    expected = list(range(lost, 3000)) if isinstance(policy, DropOldest) else list(range(3000 - lost))
    assert len(kept) == (3000 if isinstance(policy, DropOldest) else 3000 - lost)
    assert take(spool) == expected
    full_disk(resource.RLIM_INFINITY)
    assert lane.memory_bytes == 0


def test_memory_of_one_stream_is_not_anothers(make, full_disk, drops):
    spool = make(memory_bytes=256 * KIB)
    full_disk(0)
    put(spool, 0, 5000, "debug")
    assert put(spool, 0, 100, "security") == list(range(100))
    assert {stream for stream, _, _ in drops} == {"debug"}
    full_disk(resource.RLIM_INFINITY)


def test_what_memory_holds_at_the_end_is_brought_to_the_disk_or_counted(make, full_disk, drops, tmp_path):
    spool = make()
    full_disk(0)
    put(spool, 0, 100)
    full_disk(resource.RLIM_INFINITY)
    spool.close()
    assert drops == []
    assert adopt_all(make()) == list(range(100))
    full_disk(0)
    spool = make(tmp_path / "other")
    put(spool, 0, 100)
    spool.close()
    full_disk(resource.RLIM_INFINITY)
    assert drops == [("application", "exit", 100)]


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT, errno.EMFILE])
def test_a_directory_that_cannot_be_made_or_written(make, drops, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    spool = make()
    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", refuse)
        patch.setattr(os, "open", refuse)
        assert put(spool, 0, 100) == list(range(100))
        assert os.strerror(number) in spool.error
        spool.maintain()
    spool.lanes["application"]._retry_at = 0.0
    put(spool, 100, 200)
    assert spool.error is None
    assert take(spool) == list(range(200))
    assert drops == []


def test_a_file_in_the_place_of_the_directory(make, tmp_path):
    (tmp_path / "file").write_text("")
    spool = make(tmp_path / "file")
    put(spool, 0, 10)
    assert spool.error
    assert take(spool) == list(range(10))


def test_without_a_directory_everything_is_in_memory(make, drops):
    spool = make(None)
    put(spool, 0, 1000)
    spool.maintain()
    assert spool.error is None
    first = spool.read(500, 256 * KIB)
    spool.settle(first, 100)
    spool.rewind()
    assert take(spool) == list(range(100, 1000))
    put(spool, 0, 5)
    spool.close()
    assert drops == [("application", "exit", 5)]


def test_a_write_that_fails_half_way_and_cannot_be_taken_back(make, monkeypatch, drops):
    """The disk takes half a record and then refuses even to shorten the file."""
    spool = make()
    put(spool, 0, 10)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[: len(data) // 2]))
        patch.setattr(os, "ftruncate", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        put(spool, 10, 11)
    spool.lanes["application"]._retry_at = 0.0
    put(spool, 11, 20)
    assert take(spool) == list(range(20))
    assert drops == []
    assert spool.damaged == 0
