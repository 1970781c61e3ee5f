"""What the commands that look for a person have in common: who it is, where to look, and how far it is."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from logbastion.cli import archives, erasure_store, own_events
from logbastion.cli.common import FAILED, USAGE, CommandError, refuse_another_users, size_text
from logbastion.erasure.ledger import BACKUP_DAYS_VARIABLE, DEFAULT_BACKUP_DAYS, VARIABLE, Ledger, LedgerError
from logbastion.erasure.manager import GDPRLogManager
from logbastion.erasure.place import NoProgress, Place, Progress
from logbastion.erasure.places import SPOOL_VARIABLE, local_places
from logbastion.erasure.rules import Rules
from logbastion.erasure.subject import Subject, SubjectError
from logbastion.pseudonym_keys import PseudonymKeyError
from logbastion.pseudonyms import VARIABLE as KEYS_VARIABLE
from logbastion.pseudonyms import Pseudonymizer

_LOGGERS: Final = ("privacy.gdpr", "system.log_management")
_SECONDS: Final = 0.2
_SUBJECT_FIELDS: Final = frozenset({"user_id", "emails", "identifiers", "id_fields"})


class Person(NamedTuple):
    """Whom the command is about."""

    user_id: str
    emails: list[str]
    identifiers: list[str]
    id_fields: list[str]


def add_subject_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those that say who it is."""
    parser.add_argument("user_id", nargs="?", metavar="ID", help="the user's primary key")
    parser.add_argument(
        "--email", action="append", default=[], help="an address of the person, former ones too; may be repeated"
    )
    parser.add_argument(
        "--identifier",
        action="append",
        default=[],
        metavar="TEXT",
        help="a further text that stands for the person and no one else, such as a telephone number; may be repeated",
    )
    parser.add_argument(
        "--id-field",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name of a field that holds the user's id, such as student_id; may be repeated",
    )
    parser.add_argument(
        "--subject-file",
        metavar="FILE",
        help="a JSON object with user_id, emails, identifiers and id_fields instead of arguments, which other users of "
        "this machine can see; - is standard input",
    )


def add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those that say where to look."""
    archives.add_arguments(parser, log_directory="--log-directory")
    parser.add_argument(
        "--spool",
        default=os.environ.get(SPOOL_VARIABLE),
        metavar="DIRECTORY",
        help=f"of the application's events that wait (default: ${SPOOL_VARIABLE})",
    )
    parser.add_argument(
        "--dead-letters",
        action="append",
        default=[],
        metavar="DIRECTORY",
        help="of an ingest's dead letters, rsyslog's or Logstash's; may be repeated",
    )
    add_keys_argument(parser)


def add_keys_argument(parser: argparse.ArgumentParser) -> None:
    """Add the one that says where the keys of pseudonyms are."""
    parser.add_argument(
        "--pseudonym-keys",
        default=os.environ.get(KEYS_VARIABLE),
        metavar="FILE",
        help=f"the keys of pseudonyms (default: ${KEYS_VARIABLE})",
    )
    erasure_store.add_arguments(parser)


def add_ledger_arguments(parser: argparse.ArgumentParser) -> None:
    """Add those of the ledger."""
    parser.add_argument(
        "--ledger",
        default=os.environ.get(VARIABLE),
        metavar="DIRECTORY",
        help=f"where erasures are entered (default: ${VARIABLE})",
    )
    parser.add_argument(
        "--backup-days",
        type=int,
        default=os.environ.get(BACKUP_DAYS_VARIABLE) or DEFAULT_BACKUP_DAYS,
        metavar="DAYS",
        help="how long backups and snapshots live; so long can an erasure be replayed (default: "
        f"${BACKUP_DAYS_VARIABLE}, or {DEFAULT_BACKUP_DAYS})",
    )


def person_of(arguments: argparse.Namespace) -> Person:
    """Return whom the command is about.

    Raises:
        CommandError: the arguments do not say, or contradict each other.

    """
    if arguments.subject_file is None:
        if arguments.user_id is None:
            raise CommandError("say whom: the user's ID, or --subject-file", USAGE)
        person = Person(arguments.user_id, arguments.email, arguments.identifier, arguments.id_field)
    else:
        if arguments.user_id is not None or arguments.email or arguments.identifier or arguments.id_field:
            raise CommandError("--subject-file goes without ID, --email, --identifier and --id-field", USAGE)
        person = _read(arguments.subject_file)
    try:
        Subject.of(person.user_id, person.emails, person.identifiers)
    except SubjectError as error:
        raise CommandError(str(error), USAGE) from error
    return person


def _read(name: str) -> Person:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
        given = json.loads(text)
        if not isinstance(given, dict) or set(given) - _SUBJECT_FIELDS or "user_id" not in given:
            raise ValueError
        lists = [given.get(field, []) for field in ("emails", "identifiers", "id_fields")]
        if not all(isinstance(one, list) and all(isinstance(text, str) for text in one) for one in lists):
            raise ValueError
    except OSError as error:
        raise CommandError(f"the file with the person cannot be read: {error.strerror}", USAGE) from error
    except ValueError:
        raise CommandError(
            'the file with the person must be one JSON object: {"user_id": 12, "emails": [...], "identifiers": [...], '
            '"id_fields": [...]}, the lists as needed',
            USAGE,
        ) from None
    return Person(str(given["user_id"]), *lists)


def places_of(arguments: argparse.Namespace, *, writes: bool) -> list[Place]:
    """Return the places that the arguments name.

    Args:
        arguments: of the command.
        writes: whether files are changed, which the application must go on using.

    Raises:
        CommandError: none is named, one is not there, or it is another user's.

    """
    if not arguments.log_directory and arguments.archive:
        raise CommandError("--archive needs --log-directory, whose manifest knows the copies", USAGE)
    directories = [arguments.log_directory, arguments.spool, *arguments.dead_letters]
    for directory in filter(None, directories):
        if not Path(directory).is_dir():
            raise CommandError(f"there is no directory {directory}")
    for directory in filter(None, (arguments.log_directory, arguments.spool)):
        if writes:
            refuse_another_users(directory)
    store, host = archives.archive_and_host(arguments)
    found = local_places(
        log_directory=arguments.log_directory,
        spool=arguments.spool,
        archive=store,
        host=host,
        dead_letters=arguments.dead_letters,
    )
    elasticsearch = erasure_store.place_of(arguments)
    return found if elasticsearch is None else [*found, elasticsearch]


def ledger_of(arguments: argparse.Namespace) -> Ledger | None:
    """Return the ledger, None when none is named.

    Raises:
        CommandError: it cannot be used.

    """
    if not arguments.ledger:
        return None
    try:
        return Ledger(arguments.ledger, backup_days=arguments.backup_days)
    except LedgerError as error:
        raise CommandError(str(error), FAILED) from error


def manager_of(
    arguments: argparse.Namespace,
    places: Sequence[Place],
    *,
    rules: Rules | None = None,
    ledger: Ledger | None = None,
    id_fields: Sequence[str] = (),
    progress: Progress | None = None,
) -> GDPRLogManager:
    """Return the manager of these places.

    Raises:
        CommandError: there is no place, or the keys of pseudonyms cannot be used.

    """
    if not places:
        raise CommandError(
            "no place is named where logs are: give --log-directory, --spool, --dead-letters or --elasticsearch, or "
            "set the variables that --help names",
            USAGE,
        )
    keys = keys_of(arguments)
    return GDPRLogManager(places, keys=keys, rules=rules, ledger=ledger, id_fields=id_fields, progress=progress)


def keys_of(arguments: argparse.Namespace) -> Pseudonymizer | None:
    """Return the keys of pseudonyms, None when none are named.

    Raises:
        CommandError: they cannot be used.

    """
    if not arguments.pseudonym_keys:
        return None
    try:
        return Pseudonymizer.from_file(arguments.pseudonym_keys)
    except PseudonymKeyError as error:
        raise CommandError(f"{error} Without the keys, people's pseudonyms would be left", FAILED) from error


def log_to(directory: str) -> None:
    """Write what is done to the log itself, and to where that is shipped.

    An auditor looks for the proof there (GDPR, Art. 5(2)).

    Args:
        directory: of the log files; empty for nowhere.

    Raises:
        CommandError: ``LOGBASTION_ENVIRONMENT`` cannot be used.

    """
    if directory:
        own_events.log_to(Path(directory), _LOGGERS)
        return
    for name in _LOGGERS:
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False


class WorkLine(NoProgress):
    """Shows how far a place is, on standard error when that is a terminal.

    Args:
        wanted: False shows nothing.

    """

    def __init__(self, *, wanted: bool = True) -> None:
        self._wanted = wanted and sys.stderr.isatty()
        self._what, self._unit = "", "bytes"
        self._total: int | None = None
        self._done, self._shown = 0, 0.0

    def begin(self, place: str, work: str, total: int | None = None, unit: str = "bytes") -> None:
        """Begin to show the next piece of work."""
        self._what, self._total, self._unit, self._done = f"{place}: {work}", total, unit, 0
        self._show()

    def step(self, count: int) -> None:
        """Count so much more as done."""
        self._done += count
        if time.monotonic() - self._shown >= _SECONDS:
            self._show()

    def clear(self) -> None:
        """Take the line away."""
        if self._wanted:
            print("\r\033[K", end="", file=sys.stderr, flush=True)

    def _show(self) -> None:
        if not self._wanted:
            return
        self._shown = time.monotonic()
        text = f"{self._what} {self._amount(self._done)}"
        if self._total:
            text += f" of {self._amount(self._total)} ({min(100, 100 * self._done // self._total)} %)"
        print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)

    def _amount(self, count: int) -> str:
        return size_text(count) if self._unit == "bytes" else f"{count} {self._unit}"


def table(rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as a table; the first is its head, numbers stand to the right."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in texts) for column in range(len(texts[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    )
