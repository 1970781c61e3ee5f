"""What shipping has done and how it stands: counts for people and for Prometheus, and the memory of an interruption."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from logbastion.shipping.spool import Spool
from logbastion.shipping.spool.lane import SPOOL_FULL, UNREADABLE
from logbastion.shipping.spool.writer import AT_EXIT, MEMORY_FULL, REENTRANT

DEAD_LETTERS_FAILED: Final = "dead_letters_failed"
DROP_REASONS: Final = (SPOOL_FULL, MEMORY_FULL, UNREADABLE, REENTRANT, AT_EXIT, DEAD_LETTERS_FAILED)
"""Why an event was given up:

``spool_full``
    its stream had used its share of the disk, and its policy says so.
``memory_full``
    the disk took nothing, and the stream's share of the memory that stands in for it was used up.
``unreadable``
    its file was deleted, shortened, or cannot be read any more.
``reentrant``
    a thousand events were logged from within the keeping of a single one.
``exit``
    it was in memory only when the process ended.
``dead_letters_failed``
    the receiver has refused it, and it could not be written to the dead letters.
"""
_SETTLED_DOWN: Final = 1.0


@dataclass(frozen=True)
class ShippingCounts:
    """Counts of one process since its start or fork, and how it stands now."""

    queued: int = 0
    """Events that were accepted."""
    shipped: int = 0
    """Events that were handed over to the receiver, repetitions included."""
    acknowledged: int = 0
    """Events that need never be sent again; what that promises depends on the transport."""
    resent: int = 0
    """Events that were handed over again after an interruption."""
    refused: int = 0
    """Events that the receiver will never take; they are in the dead letters."""
    quarantined: int = 0
    """Pieces of spool files that were no records."""
    failures: int = 0
    """Attempts to send that failed."""
    dropped: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Events that were given up, by stream and reason; see :data:`DROP_REASONS`."""
    spool_bytes: int = 0
    """Bytes of files that hold events which wait, those of an adopted directory included."""
    memory_bytes: int = 0
    """Bytes of events that wait in memory."""
    oldest_seconds: float = 0.0
    """Age of the oldest event that waits, by its own ``@timestamp``; 0 when none waits."""
    last_error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the counts as JSON knows them: ``dropped`` by stream, then by reason."""
        values = asdict(self)
        dropped: dict[str, dict[str, int]] = {}
        for (stream, reason), count in self.dropped.items():
            dropped.setdefault(stream, {})[reason] = count
        values["dropped"] = dropped
        return values


class ShippingStatus:
    """Collects the counts. Only drops come from other threads than the worker's."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler that logs may interrupt a count of its own thread
        self._dropped: dict[tuple[str, str], int] = {}
        self.shipped = 0
        self.acknowledged = 0
        self.resent = 0
        self.refused = 0
        self.failures = 0
        self.oldest_seconds = 0.0
        self.last_error: str | None = None
        self.outage = Outage()

    def dropped(self, stream: str, reason: str, count: int) -> None:
        """Count events that were given up."""
        with self._lock:
            self._dropped[stream, reason] = self._dropped.get((stream, reason), 0) + count
        self.outage.drop(count)

    def failed(self, error: str) -> None:
        """Count an attempt to send that failed, and keep its text."""
        self.failures += 1
        self.last_error = error
        self.outage.begin(error)

    def counts(self, spool: Spool) -> ShippingCounts:
        """Return the counts together with how the spool stands. Any thread may ask."""
        return ShippingCounts(
            queued=spool.appended,
            shipped=self.shipped,
            acknowledged=self.acknowledged,
            resent=self.resent,
            refused=self.refused,
            quarantined=spool.damaged,
            failures=self.failures,
            dropped=self.drops(),
            spool_bytes=spool.bytes,
            memory_bytes=spool.memory_bytes,
            oldest_seconds=self.oldest_seconds,
            last_error=self.last_error or spool.error or spool.unadoptable,
        )

    def drops(self) -> dict[tuple[str, str], int]:
        """Return a copy of the counts of events that were given up."""
        with self._lock:
            return dict(self._dropped)


class Outage:
    """Remembers an interruption until it is over and can be told of."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._since: float | None = None
        self._reason: str | None = None
        self._drops = 0
        self._last_drop = 0.0

    def begin(self, reason: str) -> None:
        """Note that sending failed; the first time of a row counts."""
        with self._lock:
            if self._since is None:
                self._since = time.monotonic()
            self._reason = reason

    def drop(self, count: int) -> None:
        """Note dropped events."""
        with self._lock:
            now = time.monotonic()
            self._drops += count
            self._last_drop = now
            if self._since is None:
                self._since = now

    def over(self) -> dict[str, Any] | None:
        """Return the facts of an interruption that has ended, or None. To be called only while sending succeeds.

        Drops are over when there was none for a second.
        """
        with self._lock:
            now = time.monotonic()
            if self._since is None or (self._drops and now - self._last_drop < _SETTLED_DOWN):
                return None
            facts = {
                "dropped_events": self._drops,
                "interrupted_seconds": round(now - self._since, 3),
                "last_error": self._reason or "there was no room",
            }
            self._since, self._reason, self._drops = None, None, 0
            return facts
