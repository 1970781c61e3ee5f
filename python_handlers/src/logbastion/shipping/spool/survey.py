"""Looks at a spool from outside, without a lock and without changing anything: for people and their tools."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from logbastion.shipping.spool.directory import DEAD_LETTERS, QUARANTINE, owner_of, process_directories
from logbastion.shipping.spool.frames import HEAD
from logbastion.shipping.spool.position import load_position
from logbastion.shipping.spool.segments import parse_segment_name

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_CHUNK: Final = 1024 * 1024
_PEEK: Final = 512
_TIMESTAMP: Final = re.compile(rb'"@timestamp":"([0-9T:.-]{19,29})Z"')
_MAX_STATUS_BYTES: Final = 1024 * 1024

STATUS_NAME: Final = "status.json"


@dataclass
class LaneSurvey:
    """What waits of one stream of one process."""

    files: int = 0
    bytes: int = 0
    events: int = 0
    """Lines, damaged ones included."""
    oldest: float | None = None
    """``@timestamp`` of the first event that waits, in seconds since 1970."""


@dataclass
class ProcessSurvey:
    """The directory of one process."""

    name: str
    owner: int | None
    """Process id of whoever holds it now; None when its process has ended and nobody has taken it over."""
    lanes: dict[str, LaneSurvey] = field(default_factory=dict)
    status: dict[str, Any] | None = None
    """What its worker wrote last, about once a second."""

    @property
    def events(self) -> int:
        """How many wait."""
        return sum(lane.events for lane in self.lanes.values())


@dataclass
class SpoolSurvey:
    """A whole spool."""

    root: str
    processes: list[ProcessSurvey]
    dead_letters: int
    quarantined: int


class Surveyor:
    """Surveys one spool again and again; files that have not changed are not read twice.

    Args:
        root: the spool's directory.

    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._counted: dict[tuple[str, int, int], int] = {}

    def survey(self) -> SpoolSurvey:
        """Return how the spool stands. Files may come and go meanwhile: it is right within a moment.

        Raises:
            OSError: the directory is not there or must not be read.

        """
        os.listdir(self.root)
        counted, self._counted = self._counted, {}
        processes = []
        for path in process_directories(self.root):
            with contextlib.suppress(FileNotFoundError):
                processes.append(self._process(path, counted))
        return SpoolSurvey(self.root, processes, self._lines(DEAD_LETTERS, counted), self._lines(QUARANTINE, counted))

    def _process(self, path: str, counted: dict[tuple[str, int, int], int]) -> ProcessSurvey:
        found = ProcessSurvey(os.path.basename(path), owner_of(path), status=_status(os.path.join(path, STATUS_NAME)))
        for name in sorted(os.listdir(path)):
            named = parse_segment_name(name)
            if named is None:
                continue
            stream, number = named
            lane = found.lanes.setdefault(stream, LaneSurvey())
            settled, offset = load_position(os.path.join(path, f"{stream}.position"))
            with contextlib.suppress(FileNotFoundError):
                start = offset if number == settled else 0
                size = os.stat(os.path.join(path, name), follow_symlinks=False).st_size
                if number < settled or start >= size:
                    continue
                lane.files += 1
                lane.bytes += size - start
                lane.events += self._count(os.path.join(path, name), start, size, counted)
                if lane.oldest is None:
                    lane.oldest = timestamp_of(_peek(os.path.join(path, name), start))
        return found

    def _lines(self, directory: str, counted: dict[tuple[str, int, int], int]) -> int:
        total = 0
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(os.path.join(self.root, directory)):
                if entry.name.endswith(".jsonl") and entry.is_file(follow_symlinks=False):
                    size = entry.stat(follow_symlinks=False).st_size
                    total += self._count(entry.path, 0, size, counted)
        return total

    def _count(self, path: str, start: int, size: int, counted: dict[tuple[str, int, int], int]) -> int:
        key = (path, start, size)
        count = counted.get(key)
        if count is None:
            count = sum(block.count(b"\n") for block in _blocks(path, start, size))
        self._counted[key] = count
        return count


def _blocks(path: str, start: int, size: int) -> Iterator[bytes]:
    descriptor = os.open(path, _READ)
    try:
        while start < size and (block := os.pread(descriptor, min(_CHUNK, size - start), start)):
            yield block
            start += len(block)
    finally:
        os.close(descriptor)


def _peek(path: str, offset: int) -> bytes:
    return next(_blocks(path, offset, offset + _PEEK), b"")[HEAD:]


def _status(path: str) -> dict[str, Any] | None:
    try:
        found = json.loads(b"".join(_blocks(path, 0, _MAX_STATUS_BYTES)))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def timestamp_of(event: bytes) -> float | None:
    """Return an event's ``@timestamp`` in seconds since 1970, or None when it has none near its start."""
    match = _TIMESTAMP.search(event[:256])
    if match is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(match[1].decode())
    except ValueError:
        return None
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()
