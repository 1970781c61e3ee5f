"""``logbastion erase-user``: a person is erased from every copy of the logs on this host."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Final

from logbastion.archives import ArchiveError
from logbastion.cli import erasure
from logbastion.cli.common import ATTENTION, FAILED, OK, USAGE, CommandError, printable
from logbastion.erasure.ledger import COMPLETE, HELD, LedgerError
from logbastion.erasure.manager import ErasureError
from logbastion.erasure.place import Place
from logbastion.erasure.report import ErasureReport
from logbastion.erasure.rules import ACTIONS, Rules
from logbastion.erasure.subject import SubjectError
from logbastion.streams import STREAMS

NAME: Final = "erase-user"
HELP: Final = "erase a person from every copy of the logs (GDPR, Art. 17)"
DESCRIPTION: Final = """\
Erase a person from every copy of the logs on this host: active, rotated and compressed files, the archive and the
backups in it, events that wait to be shipped, quarantine, dead letters; with --elasticsearch in the five streams there,
too. Found are the user's id (12, not 123) in fields
that hold one and in messages, the addresses and identifiers that are given, and the pseudonyms of all of these under
every key that is still there. Give --email: failed log-ins have the address alone.

In security and audit the record is kept and what names the person is replaced (Art. 17(3)(b) and (e)); in the other
streams the person's events go. Streams under legal hold are left alone, and named. Nothing that others write meanwhile
is lost. Run the same again after a crash; it ends the same. At the end every place is searched again, and the command
fails if anything is left.

Run it as the user of the application. With --ledger it can be proved afterwards, and made again after a backup or a
snapshot was restored (logbastion erasures)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    erasure.add_subject_arguments(parser)
    erasure.add_place_arguments(parser)
    erasure.add_ledger_arguments(parser)
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="STREAM=ACTION",
        help=f"{' or '.join(ACTIONS)} in one of {', '.join(STREAMS)}, other than the table says; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask; what is erased does not come back")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(arguments: argparse.Namespace) -> int:
    """Erase; 1 when something is left or held, 3 when something could not be searched or changed.

    Raises:
        CommandError: the arguments do not go together, or nothing could be begun.

    """
    person = erasure.person_of(arguments)
    places = erasure.places_of(arguments, writes=not arguments.dry_run)
    return erase(arguments, person, places, log_directory=arguments.log_directory or "")


def erase(
    arguments: argparse.Namespace, person: erasure.Person, places: Sequence[Place], *, log_directory: str | None = None
) -> int:
    """Erase a person from these places; see :func:`run`.

    Args:
        arguments: of the command.
        person: whom.
        places: where.
        log_directory: where to tell of it; empty for nowhere, None when logging is set up already.

    """
    rules = _rules(arguments.rule)
    ledger = None if arguments.dry_run else erasure.ledger_of(arguments)
    progress = erasure.WorkLine(wanted=not arguments.json)
    manager = erasure.manager_of(
        arguments, places, rules=rules, ledger=ledger, id_fields=person.id_fields, progress=progress
    )
    if not arguments.dry_run:
        _confirm(arguments, person)
        if log_directory is not None:
            erasure.log_to(log_directory)
    try:
        report = manager.anonymize_user_logs(
            person.user_id, emails=person.emails, identifiers=person.identifiers, dry_run=arguments.dry_run
        )
    except ErasureError as error:
        if error.report is None:
            raise CommandError(str(error), FAILED) from error
        report = error.report
    except SubjectError as error:
        raise CommandError(str(error), USAGE) from error
    except (LedgerError, ArchiveError) as error:
        raise CommandError(str(error), FAILED) from error
    progress.clear()
    show(report, as_json=arguments.json)
    if not person.emails and not arguments.json:
        print("No address was given: events that have only an address or its pseudonym were not looked for.")
    return code_of(report)


def code_of(report: ErasureReport) -> int:
    """Return the exit code for a report."""
    if report.all_errors:
        return FAILED
    return OK if report.outcome == COMPLETE else ATTENTION


def show(report: ErasureReport, *, as_json: bool) -> None:
    """Print a report."""
    if as_json:
        print(json.dumps(report.as_json()))
        return
    columns = ("searched", "found", "anonymised", "deleted", "held", "left")
    rows: list[tuple[object, ...]] = [("PLACE", *(column.upper() for column in columns))]
    rows += [(printable(name), *(counts[column] for column in columns)) for name, counts in report.counts().items()]
    print(erasure.table(rows))
    for error in report.all_errors:
        print(printable(f"! {error}"))
    if report.dry_run:
        print(f"{report.total('found')} events would be erased; nothing was changed.")
    elif report.outcome == COMPLETE:
        print("Nothing of the person is left in any of these places.")
    elif report.outcome == HELD:
        print(f"{report.total('held')} events are kept by a legal hold; run this again when it has ended.")
    else:
        print("The erasure is NOT complete. Run the same again once what is said above is put right.")
    if report.erasure_id:
        print(f"erasure {report.erasure_id} is in the ledger.")


def _rules(given: list[str]) -> Rules:
    changed: dict[str, str] = {}
    for one in given:
        stream, separator, action = one.partition("=")
        if not separator:
            raise CommandError(f"--rule is {one!r}, but must be STREAM=ACTION, such as debug=anonymise", USAGE)
        changed[stream] = action
    try:
        return Rules.standard(changed)
    except ValueError as error:
        raise CommandError(str(error), USAGE) from error


def _confirm(arguments: argparse.Namespace, person: erasure.Person) -> None:
    if arguments.yes:
        return
    if not sys.stdin.isatty():
        raise CommandError("what is erased does not come back: add --yes, after a look with --dry-run", USAGE)
    print("What is erased does not come back. Type the user's id once more to go on: ", end="", flush=True)
    if sys.stdin.readline().strip() != person.user_id:
        raise CommandError("that is not the same id; nothing was done", USAGE)
