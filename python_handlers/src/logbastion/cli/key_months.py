"""What ``logbastion retention`` does each night for the keys of pseudonyms."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from logbastion.cli.nightly import take_in
from logbastion.pseudonym_key_events import tell_destroyed, tell_made, tell_state
from logbastion.pseudonym_key_months import ListedKey, PseudonymKeyMonths
from logbastion.pseudonym_keys import KeyChanges, PseudonymKeyError
from logbastion.pseudonyms import VARIABLE
from logbastion.retention.legal_hold import held_streams
from logbastion.retention.report import DESTROYED, DUE, FAILED, HELD, MADE, Action, RetentionReport

MONTHS_VARIABLE: Final = "LOGBASTION_PSEUDONYM_KEY_MONTHS"
"""``yes``: this host makes and destroys its keys by itself. Hosts that share their keys must not."""
_OVERDUE: Final = datetime.timedelta(days=40)
"""After so long, a key that somebody else should have destroyed is a failure. They look once a month."""


def keep_key_months(directory: Path, report: RetentionReport, show: Callable[[Action], None]) -> None:
    """Make this month's key and destroy those that are due, where this host is asked to; else name those that are due.

    Nothing is done without a file of keys. What was done, and each night which keys there are, is an event.

    Args:
        directory: of the log files, with the legal hold.
        report: takes what was done.
        show: is called with each action.

    """
    path = os.environ.get(VARIABLE)
    if not path:
        return
    actions: list[Action] = []
    months = PseudonymKeyMonths(path)
    wanted = os.environ.get(MONTHS_VARIABLE, "").strip().lower()
    try:
        if wanted not in ("", "yes", "no"):
            raise PseudonymKeyError(f"{MONTHS_VARIABLE} is {wanted!r}, but must be yes or no.")
        held = held_streams(directory)
        if wanted == "yes" and not report.dry_run:
            actions += _done(months, held=bool(held))
        actions += _left(months, held, ours=wanted == "yes", dry_run=report.dry_run)
        if not report.dry_run:
            tell_state(months.listed())
    except (PseudonymKeyError, OSError) as error:
        hint = " (its directory must be writable to this user)" if isinstance(error, PermissionError) else ""
        actions.append(Action(FAILED, "pseudonym keys", f"{error}{hint}"))
    take_in(directory, report, actions, show)


def _done(months: PseudonymKeyMonths, *, held: bool) -> list[Action]:
    before: dict[str, ListedKey] = {}
    if os.path.lexists(months.path):
        before = {key.key_id: key for key in months.listed()}
    changes: KeyChanges = months.keep(held=held)
    actions = []
    if changes.add:
        tell_made(changes.add, "retention")
        actions.append(Action(MADE, _named(changes.add), "it makes pseudonyms from now on"))
    for key_id in changes.destroy:
        tell_destroyed(before[key_id], "retention")
        actions.append(Action(DESTROYED, _named(key_id), f"its identifiers have had their {months.keep_days} days"))
    return actions


def _left(months: PseudonymKeyMonths, held: set[str], *, ours: bool, dry_run: bool) -> list[Action]:
    if not os.path.lexists(months.path) and ours:
        return [Action(MADE, "pseudonym key", "there is no file of keys yet")] if dry_run else []
    actions = []
    for key in months.due():
        assert key.destroys_on is not None  # noqa: S101 - for the type checker; what is due has a day
        since = f"its identifiers have had their {months.keep_days} days since {key.destroys_on}"
        if held:
            reason = f"{since}, but {', '.join(sorted(held))} under legal hold: no key is destroyed"
            actions.append(Action(HELD, _named(key.key_id), reason))
        elif ours and dry_run:
            actions.append(Action(DESTROYED, _named(key.key_id), since))
        else:
            overdue = months.today() - key.destroys_on > _OVERDUE
            reason = f"{since}: run playbooks/rotate_pseudonym_key.yml, or logbastion keys destroy {key.key_id}"
            actions.append(Action(FAILED if overdue else DUE, _named(key.key_id), reason))
    return actions


def _named(key_id: str) -> str:
    return f"pseudonym key {key_id}"
