"""The guide's gauge ``error_rate``, worked out when it is scraped.

It is the share (0 to 1) of messages at ERROR or above among all messages logged since the newest scrape that is at
least a minute old; since the start while there is none. Without any message it is 0. Because it comes from the
counters that all workers share, it is the same whichever worker answers the scrape.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

WINDOW_SECONDS: Final = 60.0
_MAX_SAMPLES: Final = 256
Sample = tuple[float, float, float]
"""Seconds since 1970, messages, messages at ERROR or above."""


class ErrorRateCollector(Collector):
    """Collects ``error_rate`` from the counters that ``source`` gives.

    Args:
        source: returns metrics, ``django_log_messages_total`` among them; must not ask this collector in turn.
        history_file: where the earlier samples are kept for all workers; None keeps them in memory.

    """

    def __init__(self, source: Callable[[], Iterable[Metric]], history_file: str | None = None) -> None:
        self._source = source
        self._file = history_file
        self._memory: list[Sample] = []
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Return the name, so that registering does not collect."""
        return [GaugeMetricFamily("error_rate", "Share of ERROR and above among log messages")]

    def collect(self) -> Iterable[Metric]:
        """Return the gauge."""
        gauge = GaugeMetricFamily(
            "error_rate", "Share (0 to 1) of log messages at ERROR or above over about the last minute"
        )
        gauge.add_metric([], self._rate())
        return [gauge]

    def _rate(self) -> float:
        now = self._sample()
        with self._history() as samples:
            # After a restart the counters begin again: older samples say nothing about them.
            samples[:] = [old for old in samples if old[0] <= now[0] and old[1] <= now[1] and old[2] <= now[2]]
            settled = [old for old in samples if now[0] - old[0] >= WINDOW_SECONDS]
            base = settled[-1] if settled else (now[0], 0.0, 0.0)
            samples[:] = [*settled[-1:], *[old for old in samples if now[0] - old[0] < WINDOW_SECONDS], now]
            del samples[:-_MAX_SAMPLES]
        messages = now[1] - base[1]
        return (now[2] - base[2]) / messages if messages > 0 else 0.0

    def _sample(self) -> Sample:
        messages = errors = 0.0
        for metric in self._source():
            for sample in metric.samples:
                if sample.name == "django_log_messages_total":
                    messages += sample.value
                    errors += sample.value if sample.labels["level"] in {"ERROR", "CRITICAL"} else 0
        return time.time(), messages, errors

    @contextlib.contextmanager
    def _history(self) -> Iterator[list[Sample]]:
        if self._file is None:
            with self._lock:
                yield self._memory
            return
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                samples = [(float(at), float(all_), float(bad)) for at, all_, bad in json.load(file)]
            except (ValueError, TypeError):  # empty at first, or cut by a full disk: begin anew
                samples = []
            yield samples
            file.seek(0)
            file.truncate()
            json.dump(samples, file)
