"""Numbered events of several people in log files, and what is left of them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path

from logbastion.encoding import encode_event
from logbastion.erasure.manager import GDPRLogManager
from logbastion.erasure.matching import Matcher
from logbastion.erasure.place import NoProgress
from logbastion.erasure.rules import Rules
from logbastion.erasure.subject import Subject
from logbastion.retention.codecs import SUFFIX_OF, reading, writing

MARIA = "maria.silva@escola.pt"
START = datetime(2026, 1, 1, 2, tzinfo=timezone.utc)
PEOPLE = (12, 123, 4123, 7)


def event(number: int, user: int, stream: str = "application", moment: datetime = START) -> dict:
    """Return an event of the contract; every third has the id in the message, every eighth within `extra`."""
    time = (moment + timedelta(microseconds=number)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    made = {
        "@timestamp": time,
        "timestamp": time,
        "level": "INFO",
        "logger": "business",
        "message": f"User {user} opened page {number}" if number % 3 == 0 else f"page {number} opened <12>",
        "event": {"id": f"0192f0c1-7d2e-7a11-8c4b-{number:012d}", "dataset": f"django.{stream}"},
        "service": {"name": "school", "environment": "test"},
        "host": {"name": "host-1"},
        "process": {"pid": 12},
        "ecs": {"version": "8.17.0"},
        "extra": {"number": number, "ratio": 0.12},
    }
    if number % 8 == 0:
        made["extra"]["by"] = [{"user": {"id": user}}]
    else:
        made["user_id"] = user
    if user == 12 and number % 5 == 0:
        made["extra"]["to"] = MARIA.upper()
    return made


def lines(numbers: Iterable[int], stream: str = "application", moment: datetime = START) -> list[bytes]:
    """Return a line for each number, of the people in turns."""
    return [encode_event(event(number, PEOPLE[number % 4], stream, moment)) + b"\n" for number in numbers]


def write(path: Path, content: Iterable[bytes], codec: str = "") -> Path:
    """Write a log file, compressed when a codec is named."""
    path = path.with_name(path.name + SUFFIX_OF.get(codec, ""))
    with path.open("wb") as raw:
        if not codec:
            raw.writelines(content)
        else:
            with writing(raw, codec, START) as packed:
                for line in content:
                    packed.write(line)
    path.chmod(0o640)
    return path


def content_of(path: Path) -> list[bytes]:
    return reading(io.BytesIO(path.read_bytes()), path.name).read().splitlines(keepends=True)


def others(content: Iterable[bytes]) -> list[bytes]:
    """Return the lines that are not about user 12."""
    one = matcher()
    return [line for line in content if not one.in_bytes(line) and b'"message":"[erased]"' not in line]


def matcher(user: object = 12, **options) -> Matcher:
    return Matcher(Subject.of(str(user), [MARIA] if str(user) == "12" else []), **options)


def erase(place, user: object = 12, *, dry_run: bool = False, rules: Rules | None = None):
    return place.erase(matcher(user), rules or Rules.standard(), dry_run=dry_run, progress=NoProgress())


def hits(place, user: object = 12) -> int:
    return place.hits(matcher(user), progress=NoProgress())


def manager(*places, **options) -> GDPRLogManager:
    return GDPRLogManager(places, **options)


def numbers(content: Iterable[bytes]) -> list[int]:
    """Return the numbers of the events that still have their content."""
    found = []
    for line in content:
        extra = json.loads(line).get("extra", {})
        if "number" in extra:
            found.append(extra["number"])
    return found
