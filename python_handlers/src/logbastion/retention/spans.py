"""From when to when the records of a log file are, by what they say: a file's own times change when it is copied."""

from __future__ import annotations

import json
import os
import struct
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Final, NamedTuple

from logbastion.retention.codecs import GZIP, SUFFIX_OF, is_compressed, read_from

_LINES_LOOKED_AT: Final = 100
_LONGEST_LINE: Final = 1 << 20
_TAIL: Final = 1 << 20
_TIME_FIELDS: Final = ("@timestamp", "timestamp")
# RFC 1952, section 2.3: two bytes magic, method, flags, then MTIME as four bytes, least significant first.
_GZIP_HEADER: Final = struct.Struct("<4sI")
_GZIP_MAGIC: Final = b"\x1f\x8b"


class Span(NamedTuple):
    """The times of the oldest and of the youngest record, in UTC."""

    oldest: datetime
    youngest: datetime


class NoRecordTimeError(ValueError):
    """No line of the file says when it was written."""


def span_of(path: Path) -> Span | None:
    """Return the times of a file's first and last record, None when it is empty.

    In a file that was compressed with gzip here, or by gzip itself, the header's MTIME is the time of the youngest
    record, so that the file need not be decompressed.

    Raises:
        NoRecordTimeError: the lines are not events.
        OSError: it cannot be read, or is not gzip although its name ends with ``.gz``.
        CodecError: its compression is not installed.

    """
    if not is_compressed(path.name):
        with path.open("rb") as file:
            oldest = _first_time(file, path)
            return None if oldest is None else _ordered(oldest, _last_time(file, oldest))
    with read_from(path) as packed:
        oldest = _first_time(packed, path)
    if oldest is None:
        return None
    if path.name.endswith(SUFFIX_OF[GZIP]):
        with path.open("rb") as raw:
            magic, seconds = _GZIP_HEADER.unpack(raw.read(_GZIP_HEADER.size))
        if magic[:2] == _GZIP_MAGIC and seconds:
            return _ordered(oldest, datetime.fromtimestamp(seconds, timezone.utc))
    with read_from(path) as packed:
        return _ordered(oldest, _last_time_read_through(packed, oldest))


def first_record_time(path: Path) -> datetime | None:
    """Return the time of the first record of an uncompressed file, None when it is empty.

    Raises:
        NoRecordTimeError: the lines are not events.
        OSError: it cannot be read.

    """
    with path.open("rb") as file:
        return _first_time(file, path)


def record_time(line: bytes) -> datetime | None:
    """Return when the event of a line happened, None when the line does not say."""
    try:
        event = json.loads(line)
    except ValueError:
        return None
    if not isinstance(event, dict):
        return None
    for name in _TIME_FIELDS:
        value = event.get(name)
        if isinstance(value, str):
            try:
                # Python 3.10 does not know the Z of RFC 3339.
                moment = datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
            except ValueError:
                continue
            return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return None


def _ordered(one: datetime, other: datetime) -> Span:
    return Span(min(one, other), max(one, other))


def _first_time(file: IO[bytes], path: Path) -> datetime | None:
    empty = True
    for _ in range(_LINES_LOOKED_AT):
        line = file.readline(_LONGEST_LINE)
        if not line:
            break
        empty = False
        moment = record_time(line)
        if moment is not None:
            return moment
    if empty:
        return None
    raise NoRecordTimeError(f"none of the first {_LINES_LOOKED_AT} lines of {path.name} says when it was written")


def _last_time(file: IO[bytes], oldest: datetime) -> datetime:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL))
    times = (record_time(line) for line in reversed(file.read().splitlines()))
    return next((moment for moment in times if moment is not None), oldest)


def _last_time_read_through(file: IO[bytes], oldest: datetime) -> datetime:
    last = oldest
    while line := file.readline(_LONGEST_LINE):
        last = record_time(line) or last
    return last
