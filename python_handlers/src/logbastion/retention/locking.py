"""The lock of a log directory, which rotating writers and whoever changes its files take."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from logbastion.processes import after_fork

_WAIT_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.05
_held: set[int] = set()


def _forget_in_child() -> None:
    # A child would keep its parent's lock for as long as it lives.
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


after_fork(_forget_in_child)


class DirectoryLockedError(Exception):
    """Somebody else changes the files of the directory; the message says what to do."""


@contextlib.contextmanager
def alone_in(directory: Path, wait_seconds: float | None = None) -> Iterator[None]:
    """Take the lock that writers of rotating files take, too; they go on writing and rotate later.

    The kernel gives it back when the process ends, however that happens.

    Args:
        directory: of the log files.
        wait_seconds: for another to end; by default 5.

    Raises:
        DirectoryLockedError: another did not end within that time.

    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    _held.add(descriptor)
    try:
        end = time.monotonic() + (_WAIT_SECONDS if wait_seconds is None else wait_seconds)
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise DirectoryLockedError(
                        f"another run is at work in {directory}; wait until it has ended"
                    ) from None
                time.sleep(_POLL_SECONDS)
        yield
    finally:
        if descriptor in _held:  # not in a child that was forked meanwhile
            _held.discard(descriptor)
            os.close(descriptor)
