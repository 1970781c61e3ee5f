"""What ``logbastion retention`` does each night for the ledger of erasures: it forgets whom no backup brings back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from logbastion.cli.nightly import take_in
from logbastion.erasure.ledger import VARIABLE, Ledger, LedgerError
from logbastion.retention.report import DESTROYED, FAILED, Action, RetentionReport


def forget_erasures(directory: Path, report: RetentionReport, show: Callable[[Action], None]) -> None:
    """Destroy the keys of erasures whose time is over; nothing without a ledger, or when it is a dry run.

    Args:
        directory: of the log files.
        report: takes what was done.
        show: is called with each action.

    """
    ledger = os.environ.get(VARIABLE)
    if not ledger or report.dry_run or not os.path.isdir(ledger):
        return
    actions = []
    try:
        count = Ledger(ledger).forget()
        if count:
            reason = "no backup can bring these people back any more, and nobody can go from the ledger to them"
            actions.append(Action(DESTROYED, f"keys of erasures: {count}", reason))
    except LedgerError as error:
        actions.append(Action(FAILED, "ledger of erasures", str(error)))
    take_in(directory, report, actions, show)
