"""``logbastion keys``: the keys of pseudonyms are listed, made and destroyed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from logbastion.cli.common import ATTENTION, FAILED, OK, USAGE, CommandError
from logbastion.cli.own_events import as_owner_of, close_log, log_to
from logbastion.pseudonym_key_events import tell_destroyed, tell_made
from logbastion.pseudonym_key_months import CURRENT, DESTROYED, DUE, ListedKey, PseudonymKeyMonths, key_of
from logbastion.pseudonym_keys import PseudonymKeyError
from logbastion.pseudonyms import VARIABLE
from logbastion.retention.legal_hold import LEGAL_HOLD_FILE, LegalHoldError, held_streams
from logbastion.retention.manager import DIRECTORY_VARIABLE

_LIST: Final = """\
List the keys of pseudonyms: when each was made and used, when it is to be destroyed, and its state. A key itself is
never shown. States: current (makes pseudonyms), kept (finds older ones), due (to be destroyed), held (due, but a legal
hold stops it), destroyed. The exit code is 1 when a key is due."""
_MAKE: Final = """\
Make this month's key, which makes all pseudonyms from then on; the others stay, to find older ones. When the current
key is of this month, nothing is done. Running processes use the new key with their next pseudonym. The hosts of one
application need the same keys: where there are several, use playbooks/rotate_pseudonym_key.yml instead."""
_DESTROY: Final = """\
Destroy a key for good. Its pseudonyms then say nothing of a person to anybody, in logs, archives, backups and
Elasticsearch at once: those events can no more be found by a person, neither for an investigation nor for an erasure.
The current key cannot be destroyed, and under a legal hold none. The key's id is asked for a second time: at a
terminal, or by --confirm. Copies of the file of keys that you made yourself are yours to destroy."""
_EXIT_TEXT: Final = """\
exit codes:
  0  done
  1  list: a key is due to be destroyed; destroy: it was not confirmed at the terminal
  2  the arguments cannot be understood, or the confirmation is missing
  3  it cannot be done; the output says why"""


def add_area(areas: Any, **layout: Any) -> None:
    """Add the area with its commands."""
    text = "The keys of pseudonyms: which there are, a new one, the end of an old one."
    area = areas.add_parser("keys", help=text, description=text, epilog=_EXIT_TEXT, **layout)
    commands = area.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, description in (
        ("list", run_list, _LIST),
        ("make", run_make, _MAKE),
        ("destroy", run_destroy, _DESTROY),
    ):
        made = commands.add_parser(
            name, help=description.split(".")[0].split(":")[0], description=description, epilog=_EXIT_TEXT, **layout
        )
        made.add_argument("--file", default=os.environ.get(VARIABLE), help=f"the file of keys (default: ${VARIABLE})")
        made.add_argument(
            "--log-directory",
            metavar="DIRECTORY",
            default=os.environ.get(DIRECTORY_VARIABLE),
            help=f"where the log files, and a legal hold, are (default: ${DIRECTORY_VARIABLE})",
        )
        made.add_argument("--json", action="store_true", help="print one JSON object, for programs")
        made.set_defaults(run=run)
        if name == "make":
            made.add_argument(
                "--another", action="store_true", help="a second one this month: others have seen the first"
            )
        if name == "destroy":
            made.add_argument("key_id", metavar="KEY_ID", help="of the key, as `list` shows it")
            made.add_argument("--confirm", metavar="KEY_ID", help="the same once more, where nobody can be asked")


def run_list(arguments: argparse.Namespace) -> int:
    """Print the keys; 1 when one is due.

    Raises:
        CommandError: no file is named, or it cannot be used.

    """
    months = _months(arguments)
    directory = _log_directory(arguments)
    held = bool(directory is not None and _held(directory))
    listed = _listed(months)
    rows = [{**key.as_json(), "state": "held" if held and key.state == DUE else key.state} for key in listed]
    if arguments.json:
        print(json.dumps({"version": 1, "file": months.path, "keep_days": months.keep_days, "keys": rows}))
    else:
        print(f"{'KEY':13}{'MADE':12}{'USED FROM':12}{'USED UNTIL':12}{'DESTROY ON':12}STATE")
        for row in rows:
            days = "".join(f"{row[name] or '-':12}" for name in ("made", "used_from", "used_until", "destroys_on"))
            print(f"{row['key_id']:13}{days}{row['state']}")
        print(f"Identifiers are kept for {months.keep_days} days; what is not known yet is -.")
    return ATTENTION if any(row["state"] == DUE for row in rows) else OK


def run_make(arguments: argparse.Namespace) -> int:
    """Make this month's key.

    Raises:
        CommandError: no file is named, or it cannot be changed.

    """
    months = _months(arguments)
    directory = _log_directory(arguments)
    try:
        made = months.make(another=arguments.another)
    except (PseudonymKeyError, OSError) as error:
        raise CommandError(_refusal(error, months.path), FAILED) from error
    current = _listed(months)[-1].key_id
    if made and directory is not None:
        _tell(directory, lambda: tell_made(made, "command"))
    if arguments.json:
        print(json.dumps({"version": 1, "file": months.path, "made": made or None, "current": current}))
    elif made:
        print(f"{made} was made, and makes all pseudonyms from now on.")
        if directory is None:
            print(f"No event tells of it: no log directory is named (--log-directory, {DIRECTORY_VARIABLE}).")
    else:
        print(f"The current key {current} is of this month: nothing was done. --another makes a second one.")
    return OK


def run_destroy(arguments: argparse.Namespace) -> int:
    """Destroy a key, after a second confirmation.

    Raises:
        CommandError: it must not be destroyed, is not there, or was not confirmed.

    """
    months = _months(arguments)
    directory = _log_directory(arguments)
    if directory is None:
        raise CommandError(
            f"no log directory is named: give --log-directory, or set {DIRECTORY_VARIABLE}. A legal hold would be "
            "there, and an event has to tell of the destruction",
            USAGE,
        )
    try:
        key = key_of(_listed(months), arguments.key_id)
    except PseudonymKeyError as error:
        raise CommandError(str(error)) from error
    _refuse(key, directory)
    if key.state != DESTROYED:
        if not _confirmed(arguments, key, months):
            print("Nothing was destroyed.", file=sys.stderr)
            return ATTENTION
        try:
            months.destroy(key.key_id)
        except (PseudonymKeyError, OSError) as error:
            raise CommandError(_refusal(error, months.path), FAILED) from error
    _tell(directory, lambda: tell_destroyed(key, "command"))
    if arguments.json:
        was = key.state == DESTROYED
        print(json.dumps({"version": 1, "file": months.path, "destroyed": key.key_id, "was_destroyed_before": was}))
    elif key.state == DESTROYED:
        print(f"{key.key_id} was destroyed on {key.destroys_on}; the event on it was logged again.")
    else:
        print(f"{key.key_id} was destroyed.")
    return OK


def _refuse(key: ListedKey, directory: Path) -> None:
    if key.state == CURRENT:
        raise CommandError(
            f"{key.key_id} is the current key and makes pseudonyms: make a new one first, with logbastion keys make "
            "--another (on several hosts with playbooks/rotate_pseudonym_key.yml)"
        )
    if key.state != DESTROYED and (held := _held(directory)):
        raise CommandError(
            f"{', '.join(sorted(held))} under legal hold ({directory / LEGAL_HOLD_FILE}): no key is destroyed, because "
            "each serves all streams. Nothing was done"
        )


def _confirmed(arguments: argparse.Namespace, key: ListedKey, months: PseudonymKeyMonths) -> bool:
    if arguments.confirm is not None:
        if arguments.confirm != key.key_id:
            raise CommandError("--confirm names another key than KEY_ID: nothing was destroyed", USAGE)
        if not arguments.json:
            print(_consequence(key, months))
        return True
    if arguments.json or not sys.stdin.isatty():
        raise CommandError(
            f"nobody can be asked here: say --confirm {key.key_id} to destroy it for good. {_consequence(key, months)}",
            USAGE,
        )
    print(_consequence(key, months))
    return input("To destroy it for good, type its id: ").strip() == key.key_id


def _consequence(key: ListedKey, months: PseudonymKeyMonths) -> str:
    start, end = key.used_from or "an unknown day", key.used_until or "an unknown day"
    text = (
        f"Pseudonyms p1:{key.key_id}:..., made from {start} to {end}, become anonymous wherever they are: files, "
        "archives, backups, Elasticsearch. Events with them can no more be found by a person, for an erasure neither."
    )
    if key.state == DUE:
        return f"{text} Its {months.keep_days} days are over since {key.destroys_on}."
    until = f"are over on {key.destroys_on}" if key.destroys_on else "have not begun, as far as is known"
    return f"{text} That is before its time: its {months.keep_days} days {until}."


def _months(arguments: argparse.Namespace) -> PseudonymKeyMonths:
    if not arguments.file:
        raise CommandError(f"no file of keys is named: give --file, or set {VARIABLE}", USAGE)
    return PseudonymKeyMonths(os.path.abspath(arguments.file))


def _listed(months: PseudonymKeyMonths) -> list[ListedKey]:
    try:
        return months.listed()
    except PseudonymKeyError as error:
        raise CommandError(str(error)) from error


def _log_directory(arguments: argparse.Namespace) -> Path | None:
    if not arguments.log_directory:
        return None
    path = Path(arguments.log_directory).absolute()
    if not path.is_dir():
        raise CommandError(f"there is no directory {path}. The application makes it with its first event.")
    return path


def _held(directory: Path) -> set[str]:
    try:
        return held_streams(directory)
    except LegalHoldError as error:
        raise CommandError(str(error)) from error


def _refusal(error: Exception, path: str) -> str:
    if isinstance(error, PermissionError):
        return (
            f"{path} cannot be changed by this user: {error.strerror}. Run the command as who owns the file and its "
            "directory. On hosts that Ansible has set up that is root; see playbooks/rotate_pseudonym_key.yml. Nothing "
            "was done"
        )
    return str(error)


def _tell(directory: Path, tell: Any) -> None:
    with as_owner_of(directory):
        log_to(directory)
        tell()
        close_log()
