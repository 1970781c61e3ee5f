"""``logbastion spool status``: what waits, who ships it, and what is wrong."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any, Final

from logbastion.cli.common import ATTENTION, OK, age_text, checked_directory, printable, size_text
from logbastion.shipping.spool.survey import ProcessSurvey, SpoolSurvey, Surveyor

NAME: Final = "status"
HELP: Final = "show what waits, who ships it, and what is wrong"
DESCRIPTION: Final = """\
Show what waits in a spool, who ships it, and what is wrong.

It changes nothing and takes no lock, so it may be run beside a working application at any time. On a terminal it goes
on until Ctrl+C; into a pipe, or with --once or --json, it prints once."""

_SILENT_SECONDS: Final = 15.0
_CLEAR: Final = "\x1b[H\x1b[2J"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's own arguments."""
    parser.add_argument("--once", action="store_true", help="print once and end")
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs; implies --once")
    parser.add_argument(
        "--interval", type=_seconds, default=1.0, metavar="SECONDS", help="between two looks (default: 1)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the status; 1 when something stands in the way of delivery."""
    surveyor = Surveyor(checked_directory(arguments))
    live = sys.stdout.isatty() and not arguments.once and not arguments.json
    while True:
        survey = surveyor.survey()
        now = time.time()
        warnings = attention(survey, now)
        if arguments.json:
            print(json.dumps(as_dict(survey, warnings)))
        else:
            print((_CLEAR if live else "") + "\n".join(lines(survey, warnings, now)), flush=True)
        if not live:
            return ATTENTION if warnings else OK
        time.sleep(arguments.interval)


def attention(survey: SpoolSurvey, now: float) -> list[str]:
    """Return sentences on what stands in the way of delivery."""
    found = []
    if any(process.owner is None and process.events for process in survey.processes):
        left = sum(process.events for process in survey.processes if process.owner is None)
        if any(process.owner is not None for process in survey.processes):
            text = "living processes take them over one after the other"
        else:
            text = "no process of the application is there to take them over; `logbastion spool drain` can"
        found.append(f"{left} events of processes that have ended wait: {text}.")
    for process in survey.processes:
        status = process.status
        if process.owner is None or status is None or status.get("pid") != process.owner:
            continue
        if status.get("state") == "failing":
            found.append(f"Process {process.owner} cannot send: {printable(str(status.get('last_error')))}")
        refusing = {str(lane["error"]) for lane in _lanes(status) if lane.get("error")}
        found += [f"Process {process.owner} keeps events in memory: {printable(error)}" for error in sorted(refusing)]
        silent = now - _number(status.get("updated"))
        if silent > _SILENT_SECONDS:
            found.append(
                f"Process {process.owner} has not said anything for {age_text(silent)}: its receiver may accept and "
                "not answer, or the process may be stopped."
            )
    return found


def as_dict(survey: SpoolSurvey, warnings: list[str]) -> dict[str, Any]:
    """Return what ``--json`` prints."""
    return {
        "version": 1,
        "directory": survey.root,
        "events": sum(process.events for process in survey.processes),
        "bytes": sum(lane.bytes for process in survey.processes for lane in process.lanes.values()),
        "dead_letters": survey.dead_letters,
        "quarantined": survey.quarantined,
        "attention": warnings,
        "processes": [
            {
                "name": process.name,
                "owner": process.owner,
                "streams": {stream: vars(lane) for stream, lane in process.lanes.items()},
                "status": process.status,
            }
            for process in survey.processes
        ],
    }


def lines(survey: SpoolSurvey, warnings: list[str], now: float) -> list[str]:
    """Return the lines for people."""
    rows: list[tuple[str, ...]] = [("PROCESS", "OWNER", "STATE", "STREAM", "EVENTS", "SIZE", "OLDEST", "DROPPED")]
    for process in survey.processes:
        rows += _rows(process, now)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    text = [f"Spool {survey.root}, {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(now))}", ""]
    text += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if not survey.processes:
        text.append("Nothing waits, and no process has it open.")
    text += ["", f"Dead letters: {survey.dead_letters}   Quarantined pieces: {survey.quarantined}"]
    return text + [f"! {warning}" for warning in warnings]


def _rows(process: ProcessSurvey, now: float) -> list[tuple[str, ...]]:
    status = process.status or {}
    current = process.owner is not None and status.get("pid") == process.owner
    state = "ended" if process.owner is None else str(status.get("state", "-")) if current else "taken over"
    dropped = status.get("dropped")
    dropped = dropped if isinstance(dropped, dict) else {}
    rows: list[tuple[str, ...]] = []
    for stream in sorted({*process.lanes, *dropped}) or ["-"]:
        lane = process.lanes.get(stream)
        reasons = dropped.get(stream)
        lost = sum(int(_number(count)) for count in reasons.values()) if isinstance(reasons, dict) else 0
        age = None if lane is None or lane.oldest is None else now - lane.oldest
        first = not rows
        rows.append(
            (
                process.name if first else "",
                str(process.owner or "-") if first else "",
                printable(state) if first else "",
                printable(stream),
                str(lane.events if lane else 0),
                size_text(lane.bytes if lane else 0),
                age_text(age),
                str(lost),
            )
        )
    return rows


def _lanes(status: dict[str, Any]) -> list[dict[str, Any]]:
    lanes = status.get("lanes")
    return [lane for lane in lanes.values() if isinstance(lane, dict)] if isinstance(lanes, dict) else []


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:  # noqa: PLR2004
        raise argparse.ArgumentTypeError("write 0.1 to 3600 seconds")
    return value
