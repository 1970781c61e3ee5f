"""``logbastion retention``: log files are rotated, compressed and deleted as their class asks."""

from __future__ import annotations

import argparse
import json
import logging
import os
from pathlib import Path
from typing import Final

from logbastion.cli.common import ATTENTION, FAILED, OK, USAGE, CommandError, printable, refuse_another_users, size_text
from logbastion.files import StreamFileHandler
from logbastion.retention import Action, LogRetentionManager, RetentionError, RetentionReport
from logbastion.retention.manager import DIRECTORY_VARIABLE
from logbastion.retention.report import COMPRESSED, DELETED, HELD, ROTATED, UNKNOWN

NAME: Final = "retention"
HELP: Final = "rotate, compress and delete log files by their retention periods"
DESCRIPTION: Final = """\
Rotate, compress and delete the <stream>.log files of an application by their retention periods: security and audit
2555 days, application 90, performance 30, debug 7. Run it once a day, as the user who owns the files.

The times in the events decide, not those of the files. Other files, links and files without events are left alone and
named. Streams in the file `legal-hold` of the directory, one a line, are neither compressed nor deleted. What was done
is an event of the stream audit."""

_LOGGER: Final = "system.log_management"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument(
        "--directory",
        default=os.environ.get(DIRECTORY_VARIABLE),
        help=f"where the log files are (default: ${DIRECTORY_VARIABLE})",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(arguments: argparse.Namespace) -> int:
    """Keep to the periods; 1 when a file could not be handled.

    Raises:
        CommandError: the directory is not there or another user's, or nothing may be touched now.

    """
    if not arguments.directory:
        raise CommandError(f"no log directory is named: give --directory, or set {DIRECTORY_VARIABLE}", USAGE)
    show = _ignore if arguments.json else _print
    try:
        manager = LogRetentionManager(directory=arguments.directory, on_action=show)
        if not arguments.dry_run:
            refuse_another_users(str(manager.directory))
            _log_to(manager.directory)
        report = manager.enforce_retention_policies(dry_run=arguments.dry_run)
    except RetentionError as error:
        raise CommandError(str(error), FAILED) from error
    print(json.dumps(report.as_json()) if arguments.json else _summary(report))
    return ATTENTION if report.failures else OK


def _log_to(directory: Path) -> None:
    """Write what is done to the log itself, where an auditor looks for it (PCI DSS v4.0.1, 10.2.1.6)."""
    logger = logging.getLogger(_LOGGER)
    if not any(isinstance(handler, StreamFileHandler) for handler in logger.handlers):
        logger.addHandler(StreamFileHandler(directory))
        logger.setLevel(logging.INFO)
        logger.propagate = False


def _ignore(_: Action) -> None:
    pass


def _print(action: Action) -> None:
    print(printable(f"{action.kind:10}  {size_text(action.size):>10}  {action.file}: {action.reason}"), flush=True)


def _summary(report: RetentionReport) -> str:
    would = "would be " if report.dry_run else ""
    parts = [f"{report.count(kind)} {kind}" for kind in (ROTATED, COMPRESSED, DELETED)]
    text = f"{would}{', '.join(parts)}; {report.count(HELD)} held, {report.count(UNKNOWN)} unknown and left alone"
    return f"{text}, {report.failures} failed."
