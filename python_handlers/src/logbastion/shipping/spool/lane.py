"""One stream's part of a spool, as its reader sees it: segments in their order, and how far they are settled."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from logbastion.shipping.spool.frames import OVERHEAD, Damage, Parsed
from logbastion.shipping.spool.position import Position, PositionFile
from logbastion.shipping.spool.segments import FileSegment, MemorySegment, Segment, cost

SPOOL_FULL: Final = "spool_full"
UNREADABLE: Final = "unreadable"
_PEEK_BYTES: Final = 4096


@dataclass(frozen=True)
class Reports:
    """Whom a lane tells what happens to events. Called with the lane locked: must neither wait nor raise."""

    dropped: Callable[[str, str, int], None]
    """Stream, reason, count of events."""
    damaged: Callable[[str, str, Damage], None]
    """Stream, path of the segment, the piece that is no record; its offset counts from the segment's start."""


@dataclass(slots=True)
class Batch:
    """Events that were read together, in their order. What is not settled is read again after :meth:`Lane.rewind`."""

    stream: str
    events: list[bytes]
    lane: Lane
    segment: Segment
    start: int
    end: int
    ends: list[int] | None
    settled: int = 0
    """How many of the oldest events are settled."""
    count: int = field(init=False)
    """How many events it has, also when they were released."""
    size: int = field(init=False)
    """Bytes of the events."""

    def __post_init__(self) -> None:
        self.count = len(self.events)
        self.size = sum(map(len, self.events))

    @property
    def unsettled(self) -> int:
        """How many events may have to be sent again."""
        return self.count - self.settled

    def release(self) -> None:
        """Give up the events' bytes, which are still in the file: nobody will ask for a single one of them."""
        if isinstance(self.segment, FileSegment):
            self.events = []

    def offset_after(self, count: int) -> int:
        """Return the place in the segment behind so many of the events, or an earlier one when that is not known."""
        if count == self.count:
            return self.end
        if not count or not self.events:
            return self.start
        if self.ends is not None:
            return self.start + self.ends[count - 1]
        return self.start + sum(map(len, self.events[:count])) + count * OVERHEAD


class Lane:
    """Reads the segments of one stream in one directory. One thread reads; others may append and drop meanwhile.

    Args:
        stream: its name.
        segments: in the order of their numbers.
        position: where to begin.
        store: where the settled position is kept; None keeps it in memory.
        reports: whom to tell.

    """

    def __init__(
        self,
        stream: str,
        segments: Iterable[Segment],
        position: Position,
        store: PositionFile | None,
        reports: Reports,
    ) -> None:
        self.stream = stream
        self.lock = threading.RLock()  # a signal handler or a finaliser may log within any step of its own thread
        self.busy = False
        self.segments: list[Segment] = list(segments)
        self.bytes = sum(segment.size for segment in self.segments if isinstance(segment, FileSegment))
        self.memory_bytes = 0
        self.memory_under_way = 0
        """How many of the bytes in memory are of events that were read and are not settled."""
        self.settled_events = 0
        self._settled = position
        self._read = position
        self._reported: Position = (0, -1)
        self._store = store
        self._reports = reports
        self._outstanding: deque[Batch] = deque()
        self._retired: list[Segment] = []
        self._reclaim()

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep others out, and this thread's own logging: what it appends meanwhile is taken in at the end."""
        with self.lock:
            before = self.busy
            try:
                self.busy = True
                yield
            finally:
                self.busy = before
                if not before:
                    self._catch_up()

    def _catch_up(self) -> None:
        """Nothing is ever put off where nobody appends."""

    @property
    def settled_position(self) -> Position:
        """Everything before need never be sent again."""
        return self._settled

    def is_exhausted(self) -> bool:
        """Say whether everything was read and settled. Any thread may ask."""
        with self.exclusive():
            return not self._outstanding and not self._holds_more_than(self._settled)

    def is_read(self) -> bool:
        """Say whether everything was read. Any thread may ask."""
        with self.exclusive():
            return not self._holds_more_than(self._read)

    def _holds_more_than(self, position: Position) -> bool:
        number, offset = position
        return any(
            segment.size > (offset if segment.number == number else 0)
            for segment in self.segments
            if segment.number >= number
        )

    def oldest(self) -> bytes | None:
        """Return the oldest event that is not settled, or None."""
        with self.exclusive():
            segment: Segment | None
            if self._outstanding:
                first = self._outstanding[0]
                if first.events:
                    return first.events[first.settled]
                segment, offset = first.segment, first.start
            else:
                segment, offset = self._segment_to_read(), self._read[1]
            if segment is None or offset >= segment.size:
                return None
            with contextlib.suppress(OSError):
                events = segment.read(offset, segment.size, 1, _PEEK_BYTES).events
                return events[0] if events else None
            return None

    def read(self, max_events: int, max_bytes: int) -> Batch | None:
        """Return the next events, all of one segment, or None when there are none now.

        Args:
            max_events: at least 1.
            max_bytes: a single event may have more.

        """
        self._delete_retired()
        while True:
            with self.exclusive():
                segment = self._segment_to_read()
                if segment is None or self._read[1] >= segment.size:
                    return None
                offset, limit = self._read[1], segment.size
                if isinstance(segment, MemorySegment):
                    return self._hand_over(segment, offset, segment.read(offset, limit, max_events, max_bytes))
            try:
                parsed = segment.read(offset, limit, max_events, max_bytes)
            except OSError as error:
                parsed = Parsed(end=limit - offset, damage=[Damage(0, str(error).encode(), torn=False)])
                self._lost(segment)
            with self.exclusive():
                if segment.gone:
                    continue  # deleted for room meanwhile, and its events counted
                if not parsed.end:
                    if not segment.closed:
                        return None
                    # Somebody has made the file shorter.
                    parsed = Parsed(end=limit - offset, damage=[Damage(0, b"", torn=True)])
                batch = self._hand_over(segment, offset, parsed)
            if batch is not None:
                return batch

    def settle(self, batch: Batch, count: int | None = None) -> None:
        """Note that the batch, or so many of its oldest unsettled events, need never be sent again.

        Raises:
            ValueError: an older batch of this lane is not settled, or this one was taken back.

        """
        with self.exclusive():
            if not self._outstanding or self._outstanding[0] is not batch:
                raise ValueError("Batches are settled in the order in which they were read, once each.")
            left = batch.unsettled
            step = left if count is None else min(count, left)
            batch.settled += step
            self.settled_events += step
            done = not batch.unsettled
            if done:
                self._outstanding.popleft()
            if done and not self._outstanding:
                self._settle_to(self._read)  # also what lies behind the last event and is none
            elif not batch.segment.gone:
                self._settle_to((batch.segment.number, batch.offset_after(batch.settled)))
        self._delete_retired()

    def rewind(self) -> None:
        """Read again what was read and not settled."""
        with self.exclusive():
            lost = 0
            for batch in self._outstanding:
                batch.segment.handed_over -= batch.unsettled
                if batch.segment.gone:
                    lost += batch.unsettled
            self._outstanding.clear()
            self._read = self._settled
            self.memory_under_way = 0
            if lost:
                self._reports.dropped(self.stream, SPOOL_FULL, lost)

    def close(self) -> None:
        """Close the descriptors. What is left stays where it is."""
        with self.exclusive():
            self._outstanding.clear()
            self._delete_retired()
            for segment in self.segments:
                segment.release()
            if self._store is not None:
                self._store.close()

    def forget(self) -> None:
        """Close the descriptors without touching a file: in the child of a fork they are the parent's."""
        for segment in (*self.segments, *self._retired):
            segment.release()
        if self._store is not None:
            self._store.close()

    def _hand_over(self, segment: Segment, offset: int, parsed: Parsed) -> Batch | None:
        end = offset + parsed.end
        for damage in parsed.damage:
            place = (segment.number, offset + damage.offset)
            if place > self._reported:  # after a rewind the same damage is met again
                self._reported = place
                segment.handed_over += 1  # what it was is gone, and told
                path = segment.path if isinstance(segment, FileSegment) else ""
                self._reports.damaged(self.stream, path, damage._replace(offset=place[1]))
        self._read = (segment.number, end)
        if not parsed.events:
            if not self._outstanding:
                self._settle_to(self._read)
            return None
        segment.handed_over += len(parsed.events)
        if isinstance(segment, MemorySegment):
            self.memory_under_way += sum(map(cost, parsed.events))
        batch = Batch(self.stream, parsed.events, self, segment, offset, end, parsed.ends)
        self._outstanding.append(batch)
        return batch

    def _segment_to_read(self) -> Segment | None:
        for segment in self.segments:
            if segment.number < self._read[0]:
                continue
            if segment.number > self._read[0]:
                self._read = (segment.number, 0)
            if self._read[1] < segment.size or not segment.closed:
                return segment
            segment.release()
        return None

    def _settle_to(self, position: Position) -> None:
        if position < self._settled:
            return
        self._settled = position
        self._reclaim()
        if self._store is not None:
            self._store.store(self._settled)

    def _reclaim(self) -> None:
        """Remove the segments that are settled to their end."""
        while self.segments:
            first = self.segments[0]
            past = first.number < self._settled[0]
            at_end = first.number == self._settled[0] and self._settled[1] >= first.size
            if isinstance(first, MemorySegment) and first.number == self._settled[0]:
                self._freed_memory(first.settle(self._settled[1]))
            if not past and not (at_end and first.closed):
                return
            self._remove(first)

    def _remove(self, segment: Segment) -> None:
        self.segments.remove(segment)
        freed = segment.give_up()
        if isinstance(segment, FileSegment):
            self.bytes -= freed
        else:
            self._freed_memory(freed)
        self._retired.append(segment)

    def _freed_memory(self, freed: int) -> None:
        """Note that settled events are gone from memory: all of them had been read."""
        self.memory_bytes -= freed
        self.memory_under_way = max(0, self.memory_under_way - freed)

    def _delete_retired(self) -> None:
        """Delete the files of the segments that were removed; for the reading thread, which may use their descriptors.

        Not with the lane locked: callers should not wait for the file system, which takes its time for a file.
        """
        while self._retired:
            segment = self._retired.pop()
            segment.delete()
            segment.release()

    def _lost(self, segment: Segment) -> None:
        """Count what can no longer be read. In another process's directory nobody knows how much it was."""
        count = segment.records - segment.handed_over
        if count > 0 and not segment.gone:
            segment.records = segment.handed_over
            self._reports.dropped(self.stream, UNREADABLE, count)
