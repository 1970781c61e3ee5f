"""``logbastion retention``: log files are rotated, compressed and deleted as their class asks."""

from __future__ import annotations

import argparse
import json
from typing import Final

from logbastion.archives import ArchiveError
from logbastion.cli import archives
from logbastion.cli.common import ATTENTION, FAILED, OK, USAGE, CommandError, printable, refuse_another_users, size_text
from logbastion.cli.erasure_keys import forget_erasures
from logbastion.cli.key_months import keep_key_months
from logbastion.cli.own_events import log_to
from logbastion.cli.progress import ProgressLine
from logbastion.retention import Action, LogRetentionManager, RetentionError, RetentionReport
from logbastion.retention.manager import DIRECTORY_VARIABLE
from logbastion.retention.report import (
    ARCHIVED,
    BACKED_UP,
    COMPRESSED,
    DELETED,
    DESTROYED,
    HELD,
    LOCKED,
    MADE,
    ROTATED,
    UNKNOWN,
)

NAME: Final = "retention"
HELP: Final = "rotate, compress, archive and delete log files by their retention periods"
DESCRIPTION: Final = """\
Rotate, compress, archive and delete the <stream>.log files of an application by their retention periods: security and
audit 2555 days, application 90, performance 30, debug 7. Run it once a day, as the user who owns the files.

With an archive, files go there after 365, 30, 14 and 3 days (security and audit, application, performance, debug), and
until then have a backup there (daily or weekly; debug none). A copy is read back and compared before its original goes.

The times in the events decide, not those of the files. Other files, links and files without events are left alone and
named. Streams in the file `legal-hold` of the directory, one a line, are neither compressed nor deleted. What was done
is an event of the stream audit, and an entry in manifest.jsonl, which `logbastion verify` compares with the files.

With a file of pseudonym keys and LOGBASTION_PSEUDONYM_KEY_MONTHS=yes it also makes each month's key and destroys those
whose time is over; without, it names those that are due. With a ledger of erasures it does what `logbastion erasures
forget` does."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    archives.add_arguments(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    parser.add_argument("--accept-loss", metavar="NAME", help="do only this: no longer miss a file that is lost")
    parser.add_argument("--reason", metavar="TEXT", help="why it is lost; names no one, as it is kept for ever")


def run(arguments: argparse.Namespace) -> int:
    """Keep to the periods; 1 when a file could not be handled.

    Raises:
        CommandError: the directory is not there or another user's, or nothing may be touched now.

    """
    if not arguments.log_directory:
        raise CommandError(f"no log directory is named: give --directory, or set {DIRECTORY_VARIABLE}", USAGE)
    if bool(arguments.accept_loss) != bool(arguments.reason):
        raise CommandError("--accept-loss NAME and --reason TEXT belong together", USAGE)
    store, host = archives.archive_and_host(arguments)
    progress = ProgressLine("to and from the archive:", wanted=not arguments.json)

    def show(action: Action) -> None:
        if not arguments.json:
            progress.clear()
            _print(action)

    try:
        manager = LogRetentionManager(
            directory=arguments.log_directory, archive=store, host=host, on_action=show, progress=progress
        )
        if not arguments.dry_run:
            refuse_another_users(str(manager.directory))
            log_to(manager.directory)
        if arguments.accept_loss:
            manager.accept_loss(arguments.accept_loss, arguments.reason)
            print(printable(f"{arguments.accept_loss} is entered as lost."))
            return OK
        report = manager.enforce_retention_policies(dry_run=arguments.dry_run)
        keep_key_months(manager.directory, report, show)
        forget_erasures(manager.directory, report, show)
    except (RetentionError, ArchiveError) as error:
        raise CommandError(str(error), FAILED) from error
    progress.clear()
    print(json.dumps(report.as_json()) if arguments.json else _summary(report))
    return ATTENTION if report.failures else OK


def _print(action: Action) -> None:
    print(printable(f"{action.kind:10}  {size_text(action.size):>10}  {action.file}: {action.reason}"), flush=True)


def _summary(report: RetentionReport) -> str:
    would = "would be " if report.dry_run else ""
    kinds = [ROTATED, COMPRESSED, *(kind for kind in (ARCHIVED, BACKED_UP, LOCKED) if report.count(kind)), DELETED]
    parts = [f"{report.count(kind)} {kind}" for kind in kinds]
    text = f"{would}{', '.join(parts)}; {report.count(HELD)} held, {report.count(UNKNOWN)} unknown and left alone"
    keys = report.count(MADE) + report.count(DESTROYED)
    return f"{text}, {report.failures} failed{f'; keys made or destroyed: {keys}' * bool(keys)}."
