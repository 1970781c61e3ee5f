"""``logbastion restore``: log files come back from the archive and the backups."""

from __future__ import annotations

import argparse
import json
from datetime import datetime, time, timezone
from pathlib import Path
from typing import Any, Final

from logbastion.archives import ArchiveError
from logbastion.archives.address import VARIABLE
from logbastion.cli import archives, erasure
from logbastion.cli.common import FAILED, OK, USAGE, CommandError, printable, refuse_another_users, size_text
from logbastion.cli.own_events import log_to
from logbastion.cli.progress import ProgressLine
from logbastion.erasure.replaying import replay_in_restored
from logbastion.retention.locking import DirectoryLockedError
from logbastion.retention.manifest import BACKUP_PREFIX
from logbastion.retention.restoring import Copy, RestoreError, Restorer, call_after_restore
from logbastion.streams import STREAMS

NAME: Final = "restore"
HELP: Final = "get log files back from the archive and the backups"
DESCRIPTION: Final = """\
Get rotated log files back from the archive and the backups, by name or by stream and time. Each is compared with its
checksum in the manifest before it has its name; nothing is overwritten; each is entered into the manifest.

In the log directory a file from the archive stays until its period is over, as its copy in the archive does; remove it
earlier when you need its room, the archive keeps it. To look into old files, give another --directory; whoever reads it
must be allowed to read logs, and you remove it when you are done.

On a new host in place of a lost one, restore first, before the first retention run: the manifest comes from the archive
with the first restore, or alone with --manifest. With --not-archived only what is among the backups comes
back: what is in the archive was not on the lost host either. If the host has another name now, say --host.

With a --ledger, erasures of people are made again in what was restored, before it is reported as done."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a file, such as security.log.20261124T020000Z")
    parser.add_argument("--stream", choices=STREAMS, help="all files of a stream instead")
    parser.add_argument("--from", dest="first", type=_moment, metavar="TIME", help="with records of this day or later")
    parser.add_argument("--to", dest="last", type=_end, metavar="TIME", help="with records of this day or earlier")
    parser.add_argument(
        "--not-archived", action="store_true", help="with --stream: only files that the archive has not"
    )
    parser.add_argument("--manifest", action="store_true", help="only the manifest, where the directory has none")
    parser.add_argument("--directory", dest="target", metavar="DIRECTORY", help="where to (default: the log directory)")
    archives.add_arguments(parser, log_directory="--log-directory")
    erasure.add_ledger_arguments(parser)
    erasure.add_keys_argument(parser)
    parser.add_argument("--dry-run", action="store_true", help="say what would be restored, and do nothing")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(arguments: argparse.Namespace) -> int:
    """Restore the files.

    Raises:
        CommandError: the arguments do not say what, or a file cannot be restored.

    """
    if bool(arguments.names) + bool(arguments.stream) + arguments.manifest != 1:
        raise CommandError("say what to restore: names of files, or --stream, or --manifest", USAGE)
    if arguments.not_archived and not arguments.stream:
        raise CommandError("--not-archived chooses among the files of a --stream: name one", USAGE)
    directory = archives.checked_log_directory(arguments)
    refuse_another_users(str(directory))
    target = Path(arguments.target).absolute() if arguments.target else None
    if target is not None and not target.is_dir():
        raise CommandError(f"there is no directory {target}; make it, with mode 0750, for those who may read logs")
    store, host = archives.archive_and_host(arguments)
    if store is None:
        raise CommandError(f"no archive is named: give --archive, or set {VARIABLE}", USAGE)
    progress = ProgressLine("restored:", wanted=not arguments.json)
    try:
        restorer = Restorer(directory, store, host, progress=progress)
        entries = restorer.bring_manifest()
        copies = _chosen(restorer, arguments)
        if not arguments.dry_run:
            log_to(directory)
            _erase_again(arguments, directory)
        restored = _restored(restorer, copies, target, arguments, progress)
    except (RestoreError, ArchiveError, DirectoryLockedError) as error:
        progress.clear()
        raise CommandError(str(error), FAILED) from error
    progress.clear()
    if arguments.json:
        print(json.dumps({"version": 1, "dry_run": arguments.dry_run, "entries": entries, "files": restored}))
    elif arguments.manifest:
        print(f"the manifest has {entries} entries.")
    else:
        print(f"{'would be ' if arguments.dry_run else ''}{len(restored)} restored.")
    return OK


def _erase_again(arguments: argparse.Namespace, directory: Path) -> None:
    ledger = erasure.ledger_of(arguments)
    if ledger is not None:
        erasure.log_to(str(directory))
        call_after_restore(replay_in_restored(ledger, erasure.keys_of(arguments)))


def _chosen(restorer: Restorer, arguments: argparse.Namespace) -> list[Copy]:
    if arguments.manifest:
        return []
    if arguments.names:
        return restorer.named(arguments.names)
    found = restorer.between(arguments.stream, arguments.first, arguments.last)
    if arguments.not_archived:
        found = [copy for copy in found if copy.entry.archive.startswith(BACKUP_PREFIX)]
    return [copy for copy in found if not copy.is_here or arguments.target]


def _restored(
    restorer: Restorer, copies: list[Copy], target: Path | None, arguments: argparse.Namespace, progress: ProgressLine
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    paths = restorer.restore(copies, target)
    for copy in copies:
        entry = copy.entry
        name = entry.file if arguments.dry_run else str(next(paths))
        found.append({"file": name, "from": entry.archive, "events": entry.events, "sha256": entry.stored_sha256})
        if not arguments.json:
            progress.clear()
            text = f"restored    {size_text(entry.stored_bytes):>10}  {name}: {entry.events} events, {entry.first[:10]}"
            print(printable(f"{text} to {entry.last[:10]}"), flush=True)
    if not arguments.dry_run:
        for _ in paths:  # what is called after the last file
            pass
    return found


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day such as 2026-11-24, and no time of RFC 3339") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _end(text: str) -> datetime:
    moment = _moment(text)
    is_day = len(text) == len("2026-11-24")
    return datetime.combine(moment.date(), time.max, timezone.utc) if is_day else moment
