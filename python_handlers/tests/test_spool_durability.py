"""What has to be on the disk before what: of records and their files' names, of what is settled and its deletion."""

import os
import signal
import threading
from pathlib import Path

import pytest
from spool_helpers import KIB, adopt_all, put, python, record, segments, take

from logbastion.shipping.spool import Spool

pytestmark = pytest.mark.integration

SETTLER = """
import os, sys
from logbastion.shipping.spool import Spool
from logbastion.shipping.spool.segments import FileSegment
FileSegment.delete = lambda self: os.kill(os.getpid(), 9)
spool = Spool(sys.argv[1])
for number in range(3000):
    spool.append("application", b'{"n":%d,"pad":"%b"}' % (number, b"x" * 500))
while (batch := spool.read(500, 65536)) is not None:
    os.write(1, b"%d\\n" % (int(batch.events[-1].split(b":")[1].split(b",")[0]) + 1))
    spool.settle(batch)
"""


def test_a_process_killed_before_it_has_deleted_what_is_settled_doubles_nothing_and_leaves_nothing(tmp_path):
    settler = python(SETTLER, tmp_path)
    settled = int(settler.stdout.read().split()[-1])
    assert settler.wait() == -signal.SIGKILL
    settler.stdout.close()
    assert 0 < settled < 3000
    assert len(segments(tmp_path)) == 2  # the settled one is still there
    heir = Spool(tmp_path)
    assert adopt_all(heir) == list(range(settled, 3000))
    heir.close()
    assert not segments(tmp_path)


def test_host_durability_syncs_before_it_returns_and_shares_the_sync(tmp_path, monkeypatch):
    synced = []
    real = os.fdatasync

    def fdatasync(descriptor):
        size = os.fstat(descriptor).st_size
        real(descriptor)
        synced.append(size)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    spool = Spool(tmp_path, durability="host")
    for number in range(20):
        spool.append("audit", record(number))
        assert synced[-1] == segments(tmp_path)[0].stat().st_size
    synced.clear()
    threads = [threading.Thread(target=put, args=(spool, index * 50, index * 50 + 50, "audit")) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert synced[-1] == segments(tmp_path)[0].stat().st_size
    assert len(synced) < 400
    assert len(take(spool)) == 420
    spool.close()


def test_host_durability_syncs_the_names_of_new_files_and_directories_too(tmp_path, monkeypatch):
    """A file whose name was not written is gone after a loss of power, whatever was synced of its content."""
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino) or real(descriptor))
    spool = Spool(tmp_path / "spool", durability="host")
    for first in (0, 2000):  # each begins a segment
        synced.clear()
        put(spool, first, first + 1, "audit", size=600 * KIB)
        assert set(synced) == {Path(spool.home).stat().st_ino, (tmp_path / "spool").stat().st_ino}
    assert len(segments(tmp_path / "spool")) == 2
    spool.close()


def test_a_sync_that_fails_is_told_and_does_not_hurt_the_caller(tmp_path, monkeypatch):
    def fdatasync(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    spool = Spool(tmp_path, durability="host")
    assert spool.append("audit", record(1))
    assert "Input/output error" in spool.error
    assert take(spool) == [1]
    spool.close()
