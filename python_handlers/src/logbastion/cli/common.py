"""What the commands have in common."""

from __future__ import annotations

import argparse
import os
import pwd
from typing import Final

OK: Final = 0
ATTENTION: Final = 1
USAGE: Final = 2
FAILED: Final = 3

EXIT_CODES: Final = {
    OK: "done, and nothing needs attention",
    ATTENTION: "something needs attention, or is left; the output says what",
    USAGE: "the arguments cannot be understood",
    FAILED: "the spool, the log files or the archive cannot be read or written",
}

_UNITS: Final = ("B", "KiB", "MiB", "GiB")
_STEP: Final = 1024


class CommandError(Exception):
    """Ends the command with a sentence.

    Args:
        message: what is wrong and what to do.
        code: for the shell.

    """

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def checked_directory(arguments: argparse.Namespace, *, writes: bool = False) -> str:
    """Return the spool's directory.

    Args:
        arguments: of the command.
        writes: whether the command makes files there, which the application must be able to use.

    Raises:
        CommandError: it is not named, not there, or another user's.

    """
    given: str | None = arguments.directory
    if not given:
        raise CommandError("no spool is named: give --directory, or set LOGBASTION_SPOOL_DIRECTORY", USAGE)
    path = os.path.abspath(given)
    if not os.path.isdir(path):
        raise CommandError(f"there is no directory {path}. The application makes it with its first event.")
    if not os.access(path, os.R_OK | os.X_OK):
        raise CommandError(f"the directory {path} must not be read by this user. Run the command as its owner.")
    if writes:
        refuse_another_users(path)
    return path


def refuse_another_users(directory: str) -> None:
    """Refuse to make files in a directory whose owner could not use them.

    Raises:
        CommandError: the directory is not this user's.

    """
    owner = os.stat(directory).st_uid
    if owner == os.geteuid():
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    raise CommandError(
        f"the directory {directory} belongs to {name}, who could not use files that this user makes there. "
        f"Run the command as {name}, for example with: sudo -u {name} logbastion ..."
    )


def size_text(count: int) -> str:
    """Return a number of bytes for people."""
    value = float(count)
    for unit in _UNITS[:-1]:
        if value < _STEP:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _STEP
    return f"{value:.1f} {_UNITS[-1]}"


def age_text(seconds: float | None) -> str:
    """Return a time span for people."""
    if seconds is None:
        return "-"
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def printable(text: str) -> str:
    """Return a text without characters that would drive a terminal: what a spool holds may come from an attacker."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
