"""``logbastion_retention_*``: when ``logbastion retention`` last ran over the log files, and whether it could.

The run is another process's, so its news is read from the log directory by whichever worker is asked.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from logbastion.retention.last_run import read_last_run

LAST_RUN: Final = "logbastion_retention_last_run_timestamp_seconds"
FAILURES: Final = "logbastion_retention_failures"

_watched: list[Path] = []


def watch_retention(directory: str | os.PathLike[str] | None) -> None:
    """Publish the runs over this directory instead of those of another; None for no directory."""
    _watched[:] = [Path(directory)] if directory else []


class RetentionCollector(Collector):
    """Collects both gauges: the end of the last run in seconds since 1970, and the files that it could not handle.

    Without a run they have no value.
    """

    def describe(self) -> Iterable[Metric]:
        """Return the names, so that registering does not collect."""
        return [GaugeMetricFamily(LAST_RUN, ""), GaugeMetricFamily(FAILURES, "")]

    def collect(self) -> Iterable[Metric]:
        """Return the gauges."""
        last_run = GaugeMetricFamily(LAST_RUN, "When log files were last kept to their retention periods")
        failures = GaugeMetricFamily(FAILURES, "Log files that the last retention run could not handle")
        for directory in _watched:
            run = read_last_run(directory)
            if run is not None:
                last_run.add_metric([], run.finished)
                failures.add_metric([], run.failures)
        return [last_run, failures]
