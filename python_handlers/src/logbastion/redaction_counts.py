"""What the redaction has done in this process, counted so that it costs the logging call nothing that shows.

:mod:`logbastion.metrics` publishes the counts: with the next record that its handler sees, once a second where events
are shipped, and when it is asked for the metrics.
"""

from __future__ import annotations

from logbastion.processes import after_fork


class RedactionCounts:
    """Plain numbers that only grow.

    They are counted up without a lock: CPython changes threads, and runs signal handlers, at calls and at the turns of
    loops, and ``counts.redacted += 1`` has neither.
    """

    __slots__ = ("_taken", "failed", "pending", "redacted")

    def __init__(self) -> None:
        self.redacted = 0
        """Events that the gate has changed: a text, a name or a number replaced, a field left out."""
        self.failed = 0
        """Events in whose place a notice was written, because they could not be prepared or redacted."""
        self.pending = False
        """Set by whoever counts: there is something to take. Asking costs less than comparing."""
        self._taken = (0, 0)

    def take(self) -> tuple[int, int]:
        """Return how much ``redacted`` and ``failed`` have grown since the last call. For one caller at a time."""
        self.pending = False
        now, before = (self.redacted, self.failed), self._taken
        self._taken = now
        return now[0] - before[0], now[1] - before[1]

    def forget(self) -> None:
        """Leave what has not been taken to the parent, in the child of a fork."""
        self._taken = (self.redacted, self.failed)


counts = RedactionCounts()
after_fork(counts.forget)
