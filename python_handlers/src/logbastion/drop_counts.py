"""Events that were given up outside shipping, by stream, until :mod:`logbastion.metrics` takes the numbers."""

from __future__ import annotations

import threading
from typing import Final

from logbastion.processes import after_fork
from logbastion.redaction_counts import counts
from logbastion.streams import STREAMS

ASYNC_FILE: Final = "async_file"
"""The reason ``async_file`` of ``logbastion_events_dropped_total``: the queue of an
:class:`~logbastion.AsyncFileHandler` was full, or its disk refused until the end."""


class DropCounts:
    """Numbers that only grow, and how much of them has been taken."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._dropped = dict.fromkeys(STREAMS, 0)

    def add(self, stream: str) -> None:
        """Count an event of this stream; it is published with the counts of the redaction."""
        with self._lock:
            self._dropped[stream] = self._dropped.get(stream, 0) + 1
        counts.pending = True

    def take(self) -> dict[str, int]:
        """Return what has come since the last call, by stream, without those of which none has."""
        with self._lock:
            taken = {stream: number for stream, number in self._dropped.items() if number}
            self._dropped = dict.fromkeys(self._dropped, 0)
        return taken

    def forget(self) -> None:
        """Leave what has not been taken to the parent, in the child of a fork."""
        self._lock = threading.RLock()  # one that no thread of the parent holds
        self._dropped = dict.fromkeys(STREAMS, 0)


drop_counts = DropCounts()
after_fork(drop_counts.forget)
