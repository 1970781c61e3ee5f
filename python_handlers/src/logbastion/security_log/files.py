"""The security stream in the local files, read from their ends and no further than a bound."""

from __future__ import annotations

import collections
import heapq
import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from logbastion.security_log.query import MAX_TYPES, SEVERE, Found, Query, cursor_of, matches, moment_of, text_at
from logbastion.streams import SECURITY

MAX_BYTES: Final = 16 * 1024 * 1024
_BLOCK: Final = 1024 * 1024
_SLACK_MICROSECONDS: Final = 600 * 1_000_000  # several processes write; none is this late
_NAMES: Final = re.compile(rf"{SECURITY}\.log(?:[.-][0-9TZ-]{{1,32}})?(?P<compressed>\.gz)?", re.ASCII)


class FileLog:
    """Reads ``security.log`` and the rotated files beside it, the newest first. Compressed ones are named, not read.

    A question takes memory for a page and the bytes of a block, however large the files are.

    Args:
        directory: of the log files.
        max_bytes: that one question reads at most.

    """

    def __init__(self, directory: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> None:
        self._directory = Path(directory)
        self._max_bytes = max_bytes

    def search(self, query: Query) -> Found:
        """Return a page of events with the counts.

        Raises:
            OSError: the directory or a file of it cannot be read.

        """
        paths, compressed = self._files()
        reading = _Reading(query)
        room, cut = self._max_bytes, False
        for path in paths:
            size = path.stat().st_size
            if any(map(reading.is_over, _lines_from_the_end(path, room))):
                break
            cut, room = size > room, room - size
            if room <= 0:
                cut = cut or path is not paths[-1]
                break
        notes = []
        if cut:
            notes.append(
                f"Only the last {self._max_bytes // (1024 * 1024) or 1} MiB of the files were read: older events are "
                "not shown and not counted."
            )
        elif compressed and not reading.over:
            notes.append(f"{compressed} compressed files are not read: their events are not shown and not counted.")
        if reading.unreadable:
            notes.append(f"{reading.unreadable} lines are no events and are not shown.")
        return reading.found(notes)

    def _files(self) -> tuple[list[Path], int]:
        """Return the files, the newest first, and how many there are that are compressed."""
        found: list[tuple[bool, float, Path]] = []
        compressed = 0
        with os.scandir(self._directory) as entries:
            for entry in entries:
                match = _NAMES.fullmatch(entry.name)
                if match is None or not entry.is_file(follow_symlinks=False):
                    continue
                if match["compressed"]:
                    compressed += 1
                else:
                    written = entry.stat(follow_symlinks=False).st_mtime
                    found.append((entry.name == f"{SECURITY}.log", written, Path(entry.path)))
        return [path for _, _, path in sorted(found, reverse=True)], compressed


class _Reading:
    """What one question has met so far: counts, and the events of the page."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._step = query.step_seconds
        self._since, self._until = (int(moment.timestamp() * 1_000_000) for moment in (query.since, query.until))
        self._page: list[tuple[Any, int, dict[str, Any]]] = []
        self._bars: dict[int, list[int]] = collections.defaultdict(lambda: [0, 0])
        self._types: collections.Counter[str] = collections.Counter()
        self._total = 0
        self.unreadable = 0
        self.over = False

    def is_over(self, line: bytes) -> bool:
        """Look at a line; say whether it is older than all that is asked for."""
        if not line:
            return False
        try:
            event = json.loads(line)
            moment = moment_of(event["@timestamp"])
        except (ValueError, KeyError, TypeError, RecursionError):
            self.unreadable += 1
            return False
        if moment < self._since:
            self.over = moment < self._since - _SLACK_MICROSECONDS
            return self.over
        if moment <= self._until and matches(self._query, event):
            self._take(event, moment)
        return False

    def _take(self, event: dict[str, Any], moment: int) -> None:
        kind = event.get("event_type")
        if isinstance(kind, str):
            self._types[kind] += 1
        if self._query.event_type and kind != self._query.event_type:
            return
        self._total += 1
        bar = self._bars[moment // 1_000_000 // self._step * self._step]
        bar[0] += 1
        bar[1] += text_at(event, "level") in SEVERE
        key, cursor = cursor_of(event).key, self._query.cursor
        newer = self._query.direction == "newer"
        if cursor is not None and (key <= cursor.key if newer else key >= cursor.key):
            return
        # A heap with the event on top that is the first to go. The number keeps events from being compared.
        place = (-key[0], _Reversed(key[1])) if newer else key
        heapq.heappush(self._page, (place, self._total, event))
        if len(self._page) > self._query.size + 1:
            heapq.heappop(self._page)

    def found(self, notes: list[str]) -> Found:
        """Return the answer."""
        query = self._query
        newer = query.direction == "newer"
        kept = [item[-1] for item in sorted(self._page, key=lambda item: item[:2], reverse=True)]
        further, events = len(kept) > query.size, kept[: query.size]
        if newer:
            events.reverse()
        return Found(
            events,
            total=self._total,
            older=further if not newer else True,
            newer=further if newer else query.cursor is not None,
            bars=query.bars({begin: (bar[0], bar[1]) for begin, bar in self._bars.items()}),
            types=self._types.most_common(MAX_TYPES),
            notes=notes,
        )


class _Reversed(str):
    """A text in the opposite order."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


def _lines_from_the_end(path: Path, budget: int) -> Iterator[bytes]:
    """Give the lines of a file, the last one first, of at most so many bytes, without one that the bound cuts."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return
        end = status.st_size
        least = max(0, end - budget)
        tail = b""
        while end > least:
            begin = max(least, end - _BLOCK)
            file.seek(begin)
            lines = (file.read(end - begin) + tail).split(b"\n")
            end, tail = begin, lines[0]
            yield from reversed(lines[1:])
        if not least:
            yield tail
