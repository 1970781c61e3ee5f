"""``logbastion verify``: shows an auditor whether the log files are what was logged."""

from __future__ import annotations

import argparse
import json
from typing import Final

from logbastion.cli import archives
from logbastion.cli.common import ATTENTION, FAILED, OK, CommandError, printable
from logbastion.cli.progress import ProgressLine
from logbastion.retention.locking import DirectoryLockedError, alone_in
from logbastion.retention.verification import VerificationReport, verify

NAME: Final = "verify"
HELP: Final = "compare log files and archives with their manifest: was one altered, cut, put in or removed?"
DESCRIPTION: Final = """\
Compare the rotated log files of an application, and their copies in the archive, with manifest.jsonl, in which each
step of their life is entered with checksums, chained line by line. Named are files that were altered or cut, that are
missing, that the manifest does not have, and entries that were altered, removed or moved.

That entries are missing at the end of the manifest is seen by the heads that each run writes into the stream audit.
Whoever can write to the log directory can remove those, too: take the newest event with event_type log_manifest_head
from where the logs are shipped to, and give its field `head` as --expected-head.

It cannot see what was done to a file before it was rotated, and changes nothing. Run it as a user who may read the
files; run `logbastion retention` beforehand if something else rotates them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    archives.add_arguments(parser)
    parser.add_argument("--expected-head", default="", metavar="HEAD", help="a head that the chain must have")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")


def run(arguments: argparse.Namespace) -> int:
    """Compare everything; 1 when something is not as entered.

    Raises:
        CommandError: the directory or the archive cannot be read, or a retention run is at work.

    """
    directory = archives.checked_log_directory(arguments)
    store, host = archives.archive_and_host(arguments)
    progress = ProgressLine("read back from the archive:", wanted=not arguments.json)
    try:
        with alone_in(directory):
            report = verify(
                directory, archive=store, host=host, expected_head=arguments.expected_head, progress=progress
            )
    except DirectoryLockedError as error:
        raise CommandError(str(error), FAILED) from error
    progress.clear()
    print(json.dumps(report.as_json()) if arguments.json else "\n".join(lines(report)))
    return ATTENTION if report.problems else OK


def lines(report: VerificationReport) -> list[str]:
    """Return the lines for people."""
    found = [
        f"{report.entries} entries, {report.files} files and {report.copies} copies compared, {report.anchors} heads "
        "of the chain confirmed."
    ]
    found += [printable(f"{problem.kind.upper():10} {problem.name}: {problem.message}") for problem in report.problems]
    found += [printable(f"note: {note}") for note in report.notes]
    if not report.entries:
        found.append("There is no manifest: no retention run has entered a file yet.")
    else:
        intact = "Nothing was altered, cut, put in or removed, as far as that can be seen here."
        found.append(f"{len(report.problems)} problems." if report.problems else intact)
        found.append(f"head: {report.head}")
    return found
