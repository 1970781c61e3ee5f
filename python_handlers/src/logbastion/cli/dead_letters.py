"""``logbastion spool dead-letters``: events that the receiver refused."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from typing import Any, Final

from logbastion.cli.common import ATTENTION, OK, USAGE, CommandError, checked_directory, printable
from logbastion.shipping.dead_letters import DeadLetter, letter_files, letters_of
from logbastion.shipping.spool import Block, LaneLimit, Spool
from logbastion.streams import STREAMS

NAME: Final = "dead-letters"
HELP: Final = "list the events that the receiver refused, and give them back to the spool"
DESCRIPTION: Final = """\
List the events that the receiver refused for good, with its reasons. They are as confidential as the streams
themselves.

Once what was wrong is put right, --resend gives them back to the spool, from which a running application (or
`logbastion spool drain`) ships them, and deletes their file."""

_MAX_REASON: Final = 120
_ROOM: Final = 1 << 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="only those that were refused on that day (UTC)")
    parser.add_argument("--summary", action="store_true", help="print how many there are of each reason")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line, events included")
    parser.add_argument("--resend", action="store_true", help="give them back to the spool, and delete their file")
    parser.add_argument("--dry-run", action="store_true", help="with --resend: say what would be done, and do nothing")


def run(arguments: argparse.Namespace) -> int:
    """List or resend; 1 when a file could not be resent."""
    if arguments.dry_run and not arguments.resend:
        raise CommandError("--dry-run goes with --resend only; without it nothing is changed anyway", USAGE)
    root = checked_directory(arguments, writes=arguments.resend)
    files = letter_files(root)
    if arguments.date is not None:
        files = [path for path in files if os.path.basename(path) == f"{arguments.date}.jsonl"]
    if arguments.resend:
        return _resend(root, files, arguments)
    reasons: Counter[tuple[str, str]] = Counter()
    total = 0
    for path in files:
        with letters_of(path) as letters:
            found = list(letters)
        total += len(found)
        for letter in found:
            if arguments.summary:
                reasons[letter.stream, letter.reason[:_MAX_REASON]] += 1
            elif arguments.json:
                print(json.dumps(letter._asdict()))
            else:
                print(_line(letter))
    for (stream, reason), count in reasons.most_common():
        facts = {"count": count, "stream": stream, "reason": reason}
        print(json.dumps(facts) if arguments.json else f"{count:8}  {printable(stream):12} {printable(reason)}")
    if not total and not arguments.json:
        print("There are no dead letters.")
    return OK


def _resend(root: str, files: list[str], arguments: argparse.Namespace) -> int:
    given_back = 0
    failed: list[str] = []
    for path in files:
        with letters_of(path) as letters:
            if not arguments.dry_run and not _give_back(root, letters):
                failed.append(path)
                continue
            given_back += len(letters)
            if not arguments.dry_run:
                os.unlink(path)
    result: dict[str, Any] = {"version": 1, "resent": given_back, "dry_run": arguments.dry_run, "failed": failed}
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"{given_back} events {'would be' if arguments.dry_run else 'were'} given back to the spool.")
        for path in failed:
            print(f"Not all events of {path} could be kept by the spool; the file is left as it is.")
    return ATTENTION if failed else OK


def _give_back(root: str, letters: list[DeadLetter]) -> bool:
    """Append events to a directory of their own; True when all of them are on the disk itself."""
    limit = LaneLimit(_ROOM, Block(0))
    spool = Spool(root, durability="host", limits=dict.fromkeys(STREAMS, limit))
    kept = True
    for letter in letters:
        event = json.dumps(letter.event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        kept = spool.append(letter.stream, event) and kept
    kept = kept and spool.error is None
    spool.close()
    return kept


def _line(letter: DeadLetter) -> str:
    event = letter.event if isinstance(letter.event, dict) else {}
    identity = event.get("event")
    name = identity.get("id", "-") if isinstance(identity, dict) else "-"
    reason = letter.reason if len(letter.reason) <= _MAX_REASON else letter.reason[: _MAX_REASON - 3] + "..."
    return printable(f"{letter.refused_at}  {letter.stream}  {name}  {event.get('logger', '-')}  {reason}")
