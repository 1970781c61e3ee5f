"""What the commands that use the archive have in common."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from logbastion.archives import ArchiveError, ArchiveStore, archive_at, host_in_archive
from logbastion.archives.address import HOST_VARIABLE, VARIABLE
from logbastion.cli.common import USAGE, CommandError
from logbastion.retention.manager import DIRECTORY_VARIABLE


def add_arguments(parser: argparse.ArgumentParser, *, log_directory: str = "--directory") -> None:
    """Add those that say where the files are, and where their copies.

    Args:
        parser: of the command.
        log_directory: name of the argument for the directory of the log files.

    """
    parser.add_argument(
        log_directory,
        dest="log_directory",
        metavar="DIRECTORY",
        default=os.environ.get(DIRECTORY_VARIABLE),
        help=f"where the log files are (default: ${DIRECTORY_VARIABLE})",
    )
    parser.add_argument(
        "--archive",
        default=os.environ.get(VARIABLE),
        help=f"a path, or s3://BUCKET/PREFIX?endpoint=https://... (default: ${VARIABLE})",
    )
    parser.add_argument(
        "--host",
        default=None,
        help=f"under whose name the files are in the archive (default: ${HOST_VARIABLE}, else this host's name)",
    )


def checked_log_directory(arguments: argparse.Namespace) -> Path:
    """Return the directory of the log files.

    Raises:
        CommandError: it is not named, or not there.

    """
    if not arguments.log_directory:
        raise CommandError(f"no log directory is named: give one, or set {DIRECTORY_VARIABLE}", USAGE)
    path = Path(arguments.log_directory).absolute()
    if not path.is_dir():
        raise CommandError(f"there is no directory {path}")
    return path


def archive_and_host(arguments: argparse.Namespace) -> tuple[ArchiveStore | None, str]:
    """Return the archive, None when none is named, and the host's name there.

    Raises:
        CommandError: the archive cannot be used, or the name is none.

    """
    try:
        host = arguments.host or host_in_archive()
        return (archive_at(arguments.archive) if arguments.archive else None), host
    except ArchiveError as error:
        raise CommandError(str(error)) from error
