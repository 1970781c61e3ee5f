"""``logbastion_retention_*``, ``logbastion_archive_*``: when ``logbastion retention`` last ran, and whether it could.

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
ARCHIVED: Final = "logbastion_archive_last_success_timestamp_seconds"
ARCHIVE_FAILURES: Final = "logbastion_archive_failures"

_watched: list[Path] = []


def watch_retention(directory: str | os.PathLike[str] | None) -> None:
    """Publish the runs over this directory instead of those of another; None for no directory."""
    _watched[:] = [Path(directory)] if directory else []


class RetentionCollector(Collector):
    """Collects the gauges: the end of the last run in seconds since 1970, and the files that it could not handle.

    The same of the archive: the last run in which it took all that was due, and its failures in the last run. Without a
    run, or without an archive, they have no value.
    """

    def describe(self) -> Iterable[Metric]:
        """Return the names, so that registering does not collect."""
        return [GaugeMetricFamily(name, "") for name in (LAST_RUN, FAILURES, ARCHIVED, ARCHIVE_FAILURES)]

    def collect(self) -> Iterable[Metric]:
        """Return the gauges."""
        last_run = GaugeMetricFamily(LAST_RUN, "When log files were last kept to their retention periods")
        failures = GaugeMetricFamily(FAILURES, "Log files that the last retention run could not handle")
        archived = GaugeMetricFamily(ARCHIVED, "When the archive last took all log files and backups that were due")
        archive_failures = GaugeMetricFamily(ARCHIVE_FAILURES, "Failures of the archive in the last retention run")
        for directory in _watched:
            run = read_last_run(directory)
            if run is None:
                continue
            last_run.add_metric([], run.finished)
            failures.add_metric([], run.failures)
            if run.archived:
                archived.add_metric([], run.archived)
            if run.archived or run.archive_failures:
                archive_failures.add_metric([], run.archive_failures)
        return [last_run, failures, archived, archive_failures]
