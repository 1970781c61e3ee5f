"""The pieces that a lane consists of: files, and memory where the disk takes nothing."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Final, Protocol

from logbastion.shipping.spool.frames import OVERHEAD, Parsed, parse

FILE_MODE: Final = 0o600
_CREATE: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_NAME: Final = re.compile(r"([a-z][a-z0-9_]*)\.(\d{8,10})\.spool")
_MAX_LINE: Final = 4 * 1024 * 1024
_BLOCK_BYTES: Final = 160 * 1024
"""Read and parsed at once; meanwhile, for a quarter of a millisecond, other threads do not have the interpreter."""

EVENT_COST: Final = 64
"""Bytes that Python needs for an event in memory, besides its own."""


def segment_name(stream: str, number: int) -> str:
    """Return the file name of a segment."""
    return f"{stream}.{number:08d}.spool"


def parse_segment_name(name: str) -> tuple[str, int] | None:
    """Return stream and number of a segment's file name, or None when it is another file's."""
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2])) if match else None


class Segment(Protocol):
    """A piece of a lane. Offsets are bytes in a file and counts of events in memory; they only grow."""

    number: int
    size: int
    """The offset behind the last event."""
    records: int
    """Events that were put in; 0 when nobody counted."""
    handed_over: int
    """Events that were read and not taken back."""
    closed: bool
    """Whether nothing will be appended any more."""
    gone: bool
    """Whether it was deleted to make room."""

    def read(self, offset: int, limit: int, max_events: int, max_bytes: int) -> Parsed:
        """Return events from an offset on, at most up to the offset ``limit``."""

    def settle(self, offset: int) -> int:
        """Note that nothing before the offset is needed any more; return how many bytes of room that has made."""

    def give_up(self) -> int:
        """Count as nothing from now on; return how many bytes of room that will make."""

    def delete(self) -> None:
        """Remove the file, if there is one. It may be asked twice."""

    def release(self) -> None:
        """Close the descriptor for reading."""


class FileSegment:
    """A file of framed records. The one who appends has a descriptor of its own.

    Args:
        path: of the file.
        number: its place in the lane.
        size: bytes that are known to be whole.
        closed: whether nothing will be appended any more.

    """

    def __init__(self, path: str, number: int, *, size: int = 0, closed: bool = False) -> None:
        self.path = path
        self.number = number
        self.size = size
        self.records = 0
        self.handed_over = 0
        self.closed = closed
        self.gone = False
        self._descriptor = -1

    @classmethod
    def create(cls, path: str, number: int) -> tuple[FileSegment, int]:
        """Make an empty file; return it with a descriptor to append with.

        Raises:
            OSError: the disk or the directory does not take it.

        """
        descriptor = os.open(path, _CREATE, FILE_MODE)
        return cls(path, number), descriptor

    def read(self, offset: int, limit: int, max_events: int, max_bytes: int) -> Parsed:
        """Return events, their bytes at most ``max_bytes`` unless the first alone has more.

        Raises:
            OSError: the file is gone or cannot be read.

        """
        if self._descriptor < 0:
            self._descriptor = os.open(self.path, _READ)
        want = min(max_bytes, limit - offset, _BLOCK_BYTES)
        found, at_limit = self._read_block(offset, want, limit, max_events)
        while not found.end and not at_limit:  # a line longer than the block
            want = min(4 * want, limit - offset)
            found, at_limit = self._read_block(offset, want, limit, 1)
        while found.ends is None and not at_limit and len(found.events) < max_events:
            room = max_bytes - found.end
            if room < _BLOCK_BYTES // 2:
                break
            # Reading gives the interpreter back for too short a time: a thread that wants it, and was woken on the
            # processor of this one, would wait there for milliseconds.
            os.sched_yield()
            start = offset + found.end
            want = min(room, limit - start, _BLOCK_BYTES)
            more, at_limit = self._read_block(start, want, limit, max_events - len(found.events))
            if more.ends is not None or not more.end:
                break  # damaged, or a longer line: for the next call
            found.events += more.events
            found.end += more.end
        return found

    def _read_block(self, offset: int, want: int, limit: int, max_events: int) -> tuple[Parsed, bool]:
        """Return the events of so many bytes, and whether these are the last ones before the limit."""
        block = os.pread(self._descriptor, want, offset)
        at_limit = offset + len(block) >= limit or len(block) < want
        final = (self.closed and at_limit) or len(block) >= _MAX_LINE
        return parse(block, max_events, final), at_limit

    def settle(self, offset: int) -> int:
        """Files are given back as a whole."""
        return 0

    def give_up(self) -> int:
        """See :meth:`Segment.give_up`."""
        size, self.size = self.size, 0
        return size

    def delete(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def release(self) -> None:
        """Close the descriptor for reading."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)


class MemorySegment:
    """Events that wait in memory. ``offset`` counts them from the first that was ever here."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.size = 0
        self.records = 0
        self.handed_over = 0
        self.closed = False
        self.gone = False
        self._events: list[bytes] = []
        self._first = 0

    @property
    def path(self) -> None:
        """There is none."""

    def append(self, payload: bytes) -> int:
        """Take an event; return the bytes of memory that it needs."""
        self._events.append(payload)
        self.size += 1
        self.records += 1
        return cost(payload)

    def read(self, offset: int, limit: int, max_events: int, max_bytes: int) -> Parsed:
        """See :meth:`FileSegment.read`."""
        offset = max(offset, self._first)
        events: list[bytes] = []
        room = max_bytes
        for payload in self._events[offset - self._first : min(limit - self._first, offset - self._first + max_events)]:
            room -= len(payload) + OVERHEAD
            if room < 0 and events:
                break
            events.append(payload)
        return Parsed(events, len(events), list(range(1, len(events) + 1)))

    def settle(self, offset: int) -> int:
        """Forget the events before the offset."""
        count = min(max(offset - self._first, 0), len(self._events))
        freed = sum(map(cost, self._events[:count]))
        del self._events[:count]
        self._first += count
        return freed

    def take_from(self, offset: int) -> list[bytes]:
        """Remove and return the events from an offset on."""
        place = max(offset - self._first, 0)
        taken = self._events[place:]
        del self._events[place:]
        self.size -= len(taken)
        self.records -= len(taken)
        return taken

    def drop(self, offset: int, room: int) -> tuple[int, int]:
        """Forget the oldest events from an offset on until so many bytes are free; return the count and the bytes."""
        place = max(offset - self._first, 0)
        count = freed = 0
        for payload in self._events[place:]:
            if freed >= room:
                break
            count += 1
            freed += cost(payload)
        del self._events[place : place + count]
        self.size -= count
        self.records -= count
        return count, freed

    def give_up(self) -> int:
        """Forget everything."""
        freed = sum(map(cost, self._events))
        self._events = []
        return freed

    def delete(self) -> None:
        """There is no file."""

    def release(self) -> None:
        """Nothing is open."""


def cost(payload: bytes) -> int:
    """Return the bytes of memory that an event needs."""
    return len(payload) + EVENT_COST
