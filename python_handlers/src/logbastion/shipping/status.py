"""Counts of a shipping handler, for people, for Prometheus, and for the event that tells of an interruption."""

from __future__ import annotations

import threading
import time
from typing import Any, Protocol


class PipelineCounters(Protocol):
    """Where the counts go besides; :class:`logbastion.metrics.PipelineMetrics` is the Prometheus one."""

    def queued(self, count: int) -> None:
        """Count events that were put on the queue."""

    def shipped(self, count: int) -> None:
        """Count events that were handed over."""

    def dropped(self, count: int, reason: str) -> None:
        """Count events that were given up."""

    def failed(self) -> None:
        """Count an attempt to send that failed."""


class ShippingStatus:
    """Counts of one process: queued, shipped, dropped by reason, failed attempts, and the last failure's text."""

    def __init__(self, counters: PipelineCounters | None = None) -> None:
        self._counters = counters
        self.reset()

    def reset(self) -> None:
        """Begin at zero: a child of fork counts its own."""
        self._lock = threading.RLock()  # a signal handler that logs may interrupt a count of its own thread
        self._queued = 0
        self._shipped = 0
        self._failed = 0
        self._dropped: dict[str, int] = {}
        self.last_error: str | None = None

    def queued(self, count: int = 1) -> None:
        """Count events that were put on the queue."""
        with self._lock:
            self._queued += count
        if self._counters:
            self._counters.queued(count)

    def shipped(self, count: int) -> None:
        """Count events that were handed over to the transport's connection."""
        with self._lock:
            self._shipped += count
        if self._counters:
            self._counters.shipped(count)

    def dropped(self, reason: str, count: int = 1) -> None:
        """Count events that were given up: ``queue_full``, or ``exit`` for those left at the end of the process."""
        with self._lock:
            self._dropped[reason] = self._dropped.get(reason, 0) + count
        if self._counters:
            self._counters.dropped(count, reason)

    def failed(self, error: str) -> None:
        """Count an attempt to send that failed, and keep its text."""
        with self._lock:
            self._failed += 1
            self.last_error = error
        if self._counters:
            self._counters.failed()

    def as_dict(self) -> dict[str, Any]:
        """Return a copy of the counts."""
        with self._lock:
            return {
                "queued": self._queued,
                "shipped": self._shipped,
                "dropped": dict(self._dropped),
                "failed_attempts": self._failed,
                "last_error": self.last_error,
            }


class Outage:
    """Remembers an interruption until it is over and can be told of."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._since: float | None = None
        self._reason: str | None = None
        self._drops = 0

    def begin(self, reason: str) -> None:
        """Note that sending failed; the first time of a row counts."""
        with self._lock:
            if self._since is None:
                self._since = time.monotonic()
            self._reason = reason

    def drop(self) -> None:
        """Note a dropped event."""
        with self._lock:
            self._drops += 1
            if self._since is None:
                self._since = time.monotonic()

    def over(self, has_room: bool) -> dict[str, Any] | None:
        """Return the facts of an interruption that has ended (called after a success), or None.

        Args:
            has_room: whether the queue takes events again; drops are not over before that.

        """
        with self._lock:
            if self._since is None or (self._drops and not has_room):
                return None
            facts = {
                "dropped_events": self._drops,
                "interrupted_seconds": round(time.monotonic() - self._since, 3),
                "last_error": self._reason or "the queue was full",
            }
            self._since, self._reason, self._drops = None, None, 0
            return facts
