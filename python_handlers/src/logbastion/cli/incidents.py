"""``logbastion incidents``: what lines would be taken for an incident, and why."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterable
from typing import Any, Final

from logbastion.cli.common import ATTENTION, OK, USAGE, CommandError, printable
from logbastion.incidents.matching import MAX_TEXT, Match, Matcher
from logbastion.incidents.patterns import FIELDS, IncidentPattern, PatternError, load_patterns, read_patterns

_TEST: Final = """\
Say which incident patterns a log line matches, and why. Without LINE, lines are read from standard input. A line that
is an event in JSON is taken apart, so a log file can be given: logbastion incidents test < application.log"""
_LIST: Final = "List the incident patterns, after a check of all of them and of their samples."
_EXIT_TEXT: Final = """\
exit codes:
  0  test: no line matches; list: all patterns can be used
  1  test: a line matches
  2  the arguments or the patterns cannot be used; the output says why
  3  the input cannot be read"""


def add_area(areas: Any, **layout: Any) -> None:
    """Add the area with its commands."""
    text = "What is taken for an incident."
    area = areas.add_parser("incidents", help=text, description=text, epilog=_EXIT_TEXT, **layout)
    commands = area.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, run, description in (("test", run_test, _TEST), ("list", run_list, _LIST)):
        made = commands.add_parser(name, help=description.split(".")[0], description=description,
                                   epilog=_EXIT_TEXT, **layout)  # fmt: skip
        made.add_argument("--json", action="store_true", help="print one JSON object a line, for programs")
        made.add_argument("--patterns", metavar="FILE", help="a JSON file with a list of further patterns")
        made.add_argument("--without", metavar="ID", action="append", default=[], help="leave a shipped pattern out")
        if name == "test":
            made.add_argument(
                "--field", choices=FIELDS, default="text", help="what a plain LINE is (default: the text)"
            )
            made.add_argument("line", metavar="LINE", nargs="?", help="by default standard input is read")
        made.set_defaults(run=run)


def run_test(arguments: argparse.Namespace) -> int:
    """Print what each line matches; 1 when one does.

    Raises:
        CommandError: the patterns cannot be used.

    """
    matcher = Matcher(_patterns(arguments))
    lines: Iterable[str] = [arguments.line] if arguments.line is not None else sys.stdin
    matched = 0
    for number, line in enumerate(lines, 1):
        found = matcher.matches_of(_values(line.rstrip("\n"), arguments.field))
        matched += bool(found)
        if arguments.json:
            print(json.dumps({"line": number, "matches": [_described(match) for match in found]}))
        elif found:
            print("\n".join(printable(text) for match in found for text in _explained(number, match)))
    if not matched and not arguments.json:
        print(f"No line matches any of {len(matcher.patterns)} patterns.")
    return ATTENTION if matched else OK


def run_list(arguments: argparse.Namespace) -> int:
    """Print the patterns.

    Raises:
        CommandError: one cannot be used.

    """
    for pattern in _patterns(arguments):
        if arguments.json:
            print(json.dumps(dataclasses.asdict(pattern)))
            continue
        print(printable(f"{pattern.id} ({pattern.severity}): {pattern.title}"))
        for regex in pattern.pattern:
            print(printable(f"    {pattern.field}: {regex}"))
        print(f"    opens with {pattern.threshold:g} lines, ends after {pattern.quiet_seconds:g} s without one")
        print(printable(f"    {pattern.runbook}"))
    return OK


def _patterns(arguments: argparse.Namespace) -> tuple[IncidentPattern, ...]:
    try:
        return load_patterns(read_patterns(arguments.patterns) if arguments.patterns else (), arguments.without)
    except PatternError as error:
        raise CommandError(str(error), USAGE) from None


def _values(line: str, field: str) -> dict[str, str]:
    """Return the fields of an event in JSON; of any other line, what it was said to be."""
    try:
        event = json.loads(line) if line.startswith("{") else None
    except ValueError:
        event = None
    if not isinstance(event, dict):
        shown = line[:MAX_TEXT]
        return {"message": shown, "error": shown, "text": shown} if field == "text" else {field: shown, "text": shown}
    nested = event.get("error")
    error = nested if isinstance(nested, dict) else {}
    cause = f"{error.get('type', '')}: {error.get('message', '')}" if error else ""
    values = {name: str(event.get(name) or "")[:MAX_TEXT] for name in ("message", "logger", "event_type")}
    return {**values, "error": cause[:MAX_TEXT], "text": f"{values['message']}\n{cause[:MAX_TEXT]}"}


def _explained(number: int, match: Match) -> list[str]:
    pattern = match.pattern
    return [
        f"line {number}: {pattern.id} ({pattern.severity}) {pattern.title}",
        f"    {pattern.field} has {match.matched!r}, which {match.regex!r} matches",
        f"    opens with line {pattern.threshold:g} of its kind; responses beside notification, where switched on: "
        f"{', '.join(pattern.response) or 'none'}",
    ]


def _described(match: Match) -> dict[str, Any]:
    pattern = match.pattern
    return {
        "id": pattern.id, "title": pattern.title, "severity": pattern.severity, "field": pattern.field,
        "pattern": match.regex, "matched": match.matched, "threshold": pattern.threshold, "runbook": pattern.runbook,
    }  # fmt: skip
