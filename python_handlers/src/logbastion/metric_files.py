"""The files of prometheus-client's multiprocess mode: read by a scrape, and kept few when workers come and go.

A worker that has ended leaves a file of counters and one of histograms, which have to be added up for ever. Gunicorn's
``max_requests`` makes hundreds of them a day, and each scrape would read them all. So the numbers of the dead go into
one file of each kind, ``counter_0.db`` and ``histogram_0.db``: no process that can log has the id 0.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

_KINDS: Final = ("counter", "histogram", "summary")
_LOCK: Final = "logbastion.lock"
_WAIT_SECONDS: Final = 1.0
"""How long the end of a worker may wait for scrapes. One takes some ten milliseconds."""
_PER_VALUE: Final = 32
"""Bytes of a value in a file beside its key, padding included: more than prometheus-client's 28."""
_LEAST_BYTES: Final = 1 << 16


def read(directory: str) -> list[Metric]:
    """Return the sum over all processes, living and dead.

    Raises:
        OSError: the directory is not there or may not be written.

    """
    with _locked(directory, fcntl.LOCK_SH):
        collector = MultiProcessCollector(None, directory)  # type: ignore[no-untyped-call]
        return list(collector.collect())  # type: ignore[no-untyped-call]


def bury(directory: str, pid: int) -> None:
    """Take the gauges of a process that has ended away, and add its counters to those of the dead.

    When scrapes do not let it or the disk is full, its files stay as they are and are read at each scrape.

    Raises:
        OSError: the directory is not there or may not be written.

    """
    mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]
    with _locked(directory, fcntl.LOCK_EX, _WAIT_SECONDS) as locked:
        if not locked:
            return
        for kind in _KINDS:
            file = os.path.join(directory, f"{kind}_{pid}.db")
            if os.path.exists(file):
                _add(file, os.path.join(directory, f"{kind}_0.db"))


def _add(file: str, archive: str) -> None:
    totals: dict[str, float] = {}
    for source in (archive, file):
        if os.path.exists(source):
            # A histogram's buckets are not added up in the files, so the same sum is right for all kinds.
            for key, value, _, _ in MmapedDict.read_all_values_from_file(source):  # type: ignore[no-untyped-call]
                totals[key] = totals.get(key, 0.0) + value
    new = archive + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)  # of one that was killed while at it
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        # Writing into a mapped file that the disk has no room for would kill the process.
        size = sum(len(key.encode()) + _PER_VALUE for key in totals)
        os.posix_fallocate(descriptor, 0, max(size, _LEAST_BYTES))
    except OSError:
        os.unlink(new)
        return
    finally:
        os.close(descriptor)
    made = MmapedDict(new)  # type: ignore[no-untyped-call]
    for key, value in totals.items():
        made.write_value(key, value, 0.0)  # type: ignore[no-untyped-call]
    made.close()  # type: ignore[no-untyped-call]
    os.replace(new, archive)
    os.unlink(file)


@contextlib.contextmanager
def _locked(directory: str, how: int, wait: float | None = None) -> Iterator[bool]:
    """Hold the directory's lock, and say whether it was had within ``wait`` seconds; None waits for it."""
    descriptor = os.open(os.path.join(directory, _LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        locked = _lock(descriptor, how, wait)
        yield locked
    finally:
        # Closing is not enough: a child that was forked meanwhile has the same open file.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def _lock(descriptor: int, how: int, wait: float | None) -> bool:
    if wait is None:
        fcntl.flock(descriptor, how)
        return True
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        else:
            return True
