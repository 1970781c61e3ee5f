"""Many threads that want their record on the disk share one ``fdatasync``."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable


class GroupCommit:
    """The first that comes syncs for all who have appended by then; the others wait for it.

    Args:
        descriptor: returns how many records were appended so far and a new descriptor of the file that has the last of
            them, or -1 when there is nothing to sync. Files before that one are synced already.

    """

    def __init__(self, descriptor: Callable[[], tuple[int, int]]) -> None:
        self._descriptor = descriptor
        self._changed = threading.Condition(threading.RLock())
        self._leader: int | None = None
        self._synced = 0

    def wait(self, record: int) -> None:
        """Return when the record with this number is on the disk.

        Raises:
            OSError: the disk refuses.

        """
        me = threading.get_ident()
        with self._changed:
            # A signal handler that logs on the syncing thread cannot wait for the thread that it interrupts.
            while self._synced < record and self._leader is not None and self._leader != me:
                self._changed.wait()
            if self._synced >= record:
                return
            nested, self._leader = self._leader is not None, me
        appended = 0
        try:
            appended = self._sync()
        finally:
            with self._changed:
                self._synced = max(self._synced, appended)
                if not nested:
                    self._leader = None
                self._changed.notify_all()

    def _sync(self) -> int:
        appended, descriptor = self._descriptor()
        if descriptor >= 0:
            try:
                os.fdatasync(descriptor)
            finally:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        return appended
