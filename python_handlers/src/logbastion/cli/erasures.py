"""``logbastion erasures list|replay|forget``: the ledger of erasures."""

from __future__ import annotations

import argparse
import json
from typing import Any, Final

from logbastion.archives import ArchiveError
from logbastion.cli import erasure
from logbastion.cli.common import ATTENTION, FAILED, OK, USAGE, CommandError
from logbastion.cli.erase_user import code_of, show
from logbastion.erasure.ledger import COMPLETE, VARIABLE, Ledger, LedgerError
from logbastion.erasure.manager import ErasureError

NAME: Final = "erasures"
HELP: Final = "list erasures of people, and make them again after a restore"
_LIST: Final = """\
List the erasures in the ledger: when, with what outcome, how many events. It does not hold whom; with --user ID it
answers whether one user was erased."""
_REPLAY: Final = """\
Make erasures again, in the same way, after a backup of a host or a snapshot of the store was restored: it holds again
who was erased since. Without an ID, all are made again that can be, and those that did not end."""
_FORGET: Final = """\
Destroy the keys of erasures that no backup can undo any more (--backup-days after they began), so that nobody can go
from the ledger to these people again. `replay` and `list` never do that by themselves; run it daily."""


def add_area(areas: Any, *, epilog: str, formatter_class: Any) -> None:
    """Add the area with its commands."""
    parser = areas.add_parser(NAME, help=HELP, description=HELP, epilog=epilog, formatter_class=formatter_class)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=type(parser))
    for name, text, run in (("list", _LIST, _list), ("replay", _REPLAY, _replay), ("forget", _FORGET, _forget)):
        made = commands.add_parser(
            name, help=text.partition(":")[0].partition(".")[0], description=text, epilog=epilog,
            formatter_class=formatter_class,
        )  # fmt: skip
        erasure.add_ledger_arguments(made)
        made.add_argument("--json", action="store_true", help="print JSON, for programs")
        if name == "list":
            made.add_argument("--user", metavar="ID", help="only those of this user")
        if name == "replay":
            made.add_argument("erasure_ids", nargs="*", metavar="ID", help="of an erasure; by default all")
            erasure.add_place_arguments(made)
        made.set_defaults(run=run)


def _ledger(arguments: argparse.Namespace) -> Ledger:
    ledger = erasure.ledger_of(arguments)
    if ledger is None:
        raise CommandError(f"no ledger is named: give --ledger, or set {VARIABLE}", USAGE)
    return ledger


def _list(arguments: argparse.Namespace) -> int:
    try:
        found = _ledger(arguments).erasures(arguments.user)
    except LedgerError as error:
        raise CommandError(str(error), FAILED) from error
    if arguments.json:
        print(json.dumps({"version": 1, "erasures": [one.as_json() for one in found]}))
    elif not found:
        print("There are no erasures" + (" of this user." if arguments.user else "."))
    else:
        rows: list[tuple[object, ...]] = [("ERASURE", "BEGUN", "OUTCOME", "EVENTS", "CAN BE REPLAYED")]
        for one in found:
            events = sum(counts.get("found", 0) for counts in (one.places or {}).values())
            until = f"until {one.replay_until[:10]}" if one.can_be_replayed else "no"
            rows.append((one.erasure_id, one.begun[:19], one.outcome, events, until))
        print(erasure.table(rows))
    return OK if all(one.outcome == COMPLETE for one in found) else ATTENTION


def _replay(arguments: argparse.Namespace) -> int:
    ledger = _ledger(arguments)
    places = erasure.places_of(arguments, writes=True)
    progress = erasure.WorkLine(wanted=not arguments.json)
    manager = erasure.manager_of(arguments, places, ledger=ledger, progress=progress)
    erasure.log_to(arguments.log_directory)
    worst = OK
    try:
        chosen = arguments.erasure_ids or [one.erasure_id for one in ledger.erasures() if one.can_be_replayed]
        for erasure_id in chosen:
            try:
                report = manager.replay(erasure_id)
            except ErasureError as error:
                if error.report is None:
                    raise CommandError(str(error), FAILED) from error
                report = error.report
            progress.clear()
            show(report, as_json=arguments.json)
            worst = max(worst, code_of(report))
    except (LedgerError, ArchiveError) as error:
        raise CommandError(str(error), FAILED) from error
    if not chosen and not arguments.json:
        print("There is no erasure that can be replayed.")
    return worst


def _forget(arguments: argparse.Namespace) -> int:
    try:
        count = _ledger(arguments).forget()
    except LedgerError as error:
        raise CommandError(str(error), FAILED) from error
    print(json.dumps({"version": 1, "destroyed": count}) if arguments.json else f"{count} keys were destroyed.")
    return OK
