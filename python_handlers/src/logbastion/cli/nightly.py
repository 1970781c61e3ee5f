"""What ``logbastion retention`` does each night besides the log files, taken into the report of the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from logbastion.retention.last_run import read_last_run, write_last_run
from logbastion.retention.report import FAILED, Action, RetentionReport


def take_in(
    directory: Path, report: RetentionReport, actions: Iterable[Action], show: Callable[[Action], None]
) -> None:
    """Add what was done to the report of the run, and a failure to what the metrics say of it.

    Args:
        directory: of the log files.
        report: takes the actions.
        actions: what was done, and what failed.
        show: is called with each action.

    """
    failed = False
    for action in actions:
        report.actions.append(action)
        show(action)
        failed |= action.kind == FAILED
    last = read_last_run(directory)
    if last is not None and failed and not report.dry_run:
        write_last_run(directory, last._replace(failures=report.failures))  # for the alert LogRetentionFailing
