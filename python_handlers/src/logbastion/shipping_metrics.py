"""What shipping does, for Prometheus: counters and gauges that the sending thread brings up to date once a second.

Nothing here is on the way of a logging call: a Prometheus counter that several processes share costs more than writing
the event.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from prometheus_client import Counter, Gauge

from logbastion.metrics import instruments, publish_redactions, serially
from logbastion.shipping.status import DROP_REASONS, ShippingCounts
from logbastion.streams import STREAMS

_COUNTERS: Final = {
    "queued": ("logbastion_events_queued_total", "Events accepted for shipping"),
    "shipped": ("logbastion_events_shipped_total", "Events handed over to the receiver, repetitions included"),
    "acknowledged": ("logbastion_events_acknowledged_total", "Events that need never be sent again"),
    "resent": ("logbastion_events_resent_total", "Events handed over once more after an interruption"),
    "refused": ("logbastion_events_refused_total", "Events that the receiver will never take; see the dead letters"),
    "quarantined": ("logbastion_spool_damaged_total", "Pieces of spool files that were no records; see the quarantine"),
    "failures": ("logbastion_shipping_failures_total", "Attempts to send that failed"),
}


class _Instruments:
    def __init__(self) -> None:
        self.counters = {name: Counter(metric, text) for name, (metric, text) in _COUNTERS.items()}
        self.dropped = instruments().dropped
        # Born at 0: an alert on increase() cannot see a series whose first value is 1.
        for stream in STREAMS:
            for reason in DROP_REASONS:
                self.dropped.labels(stream=stream, reason=reason)
        # Of living processes only: what a dead one had spooled is counted by the one that has taken it over.
        self.spool_bytes = Gauge(
            "logbastion_spool_bytes", "Bytes of events on disk that wait to be sent", multiprocess_mode="livesum"
        )
        self.memory_bytes = Gauge(
            "logbastion_spool_memory_bytes",
            "Bytes of events that wait in memory, because the disk does not take them",
            multiprocess_mode="livesum",
        )
        self.oldest = Gauge(
            "logbastion_spool_oldest_seconds", "Age of the oldest event that waits", multiprocess_mode="livemax"
        )


@cache
def _instruments() -> _Instruments:
    return _Instruments()


class ShippingMetrics:
    """Publishes the counts of one handler; ``ShippingHandler(publish=ShippingMetrics())``.

    Several handlers of a process add up in the counters; the gauges are those of the one that published last.

    Raises:
        OSError: ``PROMETHEUS_MULTIPROC_DIR`` is set to a directory that is not there or cannot be written.

    """

    def __init__(self) -> None:
        _instruments()
        self._published = ShippingCounts()

    def __call__(self, counts: ShippingCounts) -> None:
        """Add what has come since the last call. Counts that have begun anew, as after a fork, count from zero."""
        publish_redactions()
        serially(self._publish, counts)

    def _publish(self, counts: ShippingCounts) -> None:
        made, before = _instruments(), self._published
        for name, counter in made.counters.items():
            counter.inc(_increase(getattr(before, name), getattr(counts, name)))
        for (stream, reason), number in counts.dropped.items():
            increase = _increase(before.dropped.get((stream, reason), 0), number)
            if increase:
                made.dropped.labels(stream=stream, reason=reason).inc(increase)
        made.spool_bytes.set(counts.spool_bytes)
        made.memory_bytes.set(counts.memory_bytes)
        made.oldest.set(counts.oldest_seconds)
        self._published = counts


def _increase(before: int, now: int) -> int:
    return now - before if now >= before else now
