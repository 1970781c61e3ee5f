"""The lane that a process appends to: on the disk while it takes records, in bounded memory while it does not."""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from logbastion.shipping.spool.frames import frame
from logbastion.shipping.spool.group_commit import GroupCommit
from logbastion.shipping.spool.lane import SPOOL_FULL, Lane, Reports
from logbastion.shipping.spool.policies import Block, DropOldest, LaneLimit
from logbastion.shipping.spool.position import PositionFile
from logbastion.shipping.spool.segments import FileSegment, MemorySegment, cost, segment_name
from logbastion.syncing import sync_directory

SEGMENT_BYTES: Final = 1024 * 1024
MEMORY_FULL: Final = "memory_full"
REENTRANT: Final = "reentrant"
AT_EXIT: Final = "exit"
_RETRY_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.002
_MAX_PUT_OFF: Final = 1000
_CHUNK_BYTES: Final = 256 * 1024
_TURN_EVENTS: Final = 64
"""After so many events in memory the sending thread gets a turn, which each write to a file gives it anyway."""


class WritableLane(Lane):
    """A :class:`Lane` that takes events.

    Args:
        stream: its name.
        limit: how much may wait, and what happens beyond.
        memory_limit: bytes that may wait in memory when the disk takes nothing.
        home: returns the directory for the files, made when it was not there; None for memory only.
        reports: whom to tell.
        may_wait: says whether the calling thread may wait for room.
        to_host: whether :meth:`append` returns only when the record is on the disk itself.

    """

    def __init__(
        self,
        stream: str,
        limit: LaneLimit,
        memory_limit: int,
        home: Callable[[], str] | None,
        reports: Reports,
        *,
        may_wait: Callable[[], bool],
        to_host: bool = False,
    ) -> None:
        super().__init__(stream, (), (0, 0), None, reports)
        self.error: str | None = None
        """Why events wait in memory; None while they go to the disk."""
        self.sync_error: str | None = None
        """The last refusal of a sync; always None without ``to_host``."""
        self.appended = 0
        self.ended = False
        """Whether nothing can be appended any more, because another lane takes this one's place."""
        self._limit = limit.bytes
        self._policy = limit.policy
        self._waits = isinstance(limit.policy, Block)
        self._memory_limit = memory_limit
        self._segment_bytes = min(SEGMENT_BYTES, limit.bytes // 8)
        self._home = home
        self._may_wait = may_wait
        self._commit = GroupCommit(self._to_sync) if to_host else None
        self._later: deque[bytes] = deque()
        self._file: FileSegment | None = None
        self._descriptor = -1
        self._memory: MemorySegment | None = None
        self._last_number = 0
        self._suspect = False
        self._retry_at = 0.0

    @property
    def fullness(self) -> float:
        """The share of its room that it uses, on the disk or in memory, whichever is larger; 0 to 1."""
        return max(self.bytes / self._limit, self.memory_bytes / max(1, self._memory_limit))

    def append(self, payload: bytes) -> bool | None:
        """Keep an event; see :meth:`logbastion.shipping.spool.Spool.append`. None when the lane has ended."""
        with self.lock:
            if self.ended:
                return None
            if self.busy:
                return self._put_off(payload)
            try:
                self.busy = True
                kept = self._put(payload)
            except BaseException:
                self._suspect = True  # a signal handler has raised in here: anything may be half done
                raise
            finally:
                self.busy = False
            if self._later:
                self._catch_up()
            record = self.appended
        if self._memory is not None and not record % _TURN_EVENTS and self.memory_bytes > self._memory_limit // 4:
            time.sleep(0)
        if kept is None:
            kept, record = self._wait_for_room(payload)
        if kept and self._commit is not None and self.error is None:
            self._sync(record)
        return kept

    def maintain(self) -> None:
        """Try the disk again when that is due, and see that the file is as it was left. To be called now and then."""
        with self.exclusive():
            if self._file is not None:
                self._inspect(self._file)
            elif self._memory is not None and self._is_disk_due():
                self._open_file()

    def leave_home(self) -> None:
        """Begin a file in another directory with the next event: this one is gone."""
        with self.exclusive():
            self._end_file()
            store, self._store = self._store, None
            if store is not None:
                store.close()

    def finish(self) -> None:
        """Bring what is in memory to the disk if that is possible, count what is not, and close the files."""
        with self.exclusive():
            self.rewind()
            if self._memory is not None and self._home is not None:
                self._open_file()
            lost = sum(len(self._taken(segment)) for segment in self.segments if isinstance(segment, MemorySegment))
            if lost:
                self._reports.dropped(self.stream, AT_EXIT, lost)
            self._end_file()
            self.ended = True
        self.close()

    def forget(self) -> None:
        """See :meth:`Lane.forget`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        super().forget()

    def _put(self, payload: bytes) -> bool | None:
        """Keep an event now. False when it was dropped, None when the policy is to wait for room."""
        line = frame(payload)
        size = len(line)
        file = self._file
        if file is None or file.size + size > self._segment_bytes or self.bytes + size > self._limit or self._suspect:
            if not self._prepare(size):
                return self._refuse(SPOOL_FULL)
            file = self._file
            if file is None:
                return self._put_in_memory(payload)
        try:
            written = os.write(self._descriptor, line)
        except OSError as error:
            self._fall_back(error)
            return self._put_in_memory(payload)
        if written != size:
            self._fall_back(_no_space(), written)
            return self._put_in_memory(payload)
        file.size += size
        file.records += 1
        self.bytes += size
        self.appended += 1
        return True

    def _prepare(self, size: int) -> bool:
        """Have a file with room for so many bytes, or none at all where the disk takes nothing. False: lane is full."""
        if self._suspect:
            self._end_file()
        # A large memory is brought to the disk by the worker, not by a logging call.
        if self._file is None and self._is_disk_due() and self.memory_bytes <= _CHUNK_BYTES:
            self._open_file()
        if self._file is None:
            return True
        if self.bytes + size > self._limit and not self._make_room(size):
            return False
        if self._file is None or self._file.size + size > self._segment_bytes:
            self._end_file()
            self._open_file()
        return True

    def _make_room(self, size: int) -> bool:
        if not isinstance(self._policy, DropOldest):
            return False
        while self.bytes + size > self._limit:
            oldest = next((segment for segment in self.segments if isinstance(segment, FileSegment)), None)
            if oldest is None:
                return False
            if oldest is self._file:
                self._end_file()
            if oldest in self.segments:  # it is not when ending it has shown that all of it is settled
                oldest.gone = True
                unread = oldest.records - oldest.handed_over
                self._remove(oldest)
                oldest.delete()  # at once: the reading thread may be waiting for its receiver
                if unread > 0:
                    self._reports.dropped(self.stream, SPOOL_FULL, unread)
        return True

    def _refuse(self, reason: str) -> bool | None:
        if self._waits:
            return None
        self._reports.dropped(self.stream, reason, 1)
        return False

    def _wait_for_room(self, payload: bytes) -> tuple[bool, int]:
        """Ask again until there is room or the policy's time is over. Holds no lock while it sleeps."""
        seconds = self._policy.seconds if isinstance(self._policy, Block) and self._may_wait() else 0.0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            with self.exclusive():
                kept = self._put(payload)
                if kept is not None:
                    return kept, self.appended
        self._reports.dropped(self.stream, SPOOL_FULL if self._memory is None else MEMORY_FULL, 1)
        return False, 0

    def _put_off(self, payload: bytes) -> bool:
        """Keep an event that was logged while this very thread is inside this lane."""
        if len(self._later) >= _MAX_PUT_OFF:
            self._reports.dropped(self.stream, REENTRANT, 1)
            return False
        self._later.append(payload)
        return True

    def _catch_up(self) -> None:
        while self._later and not self.busy:
            try:
                self.busy = True
                if self._put(self._later.popleft()) is None:
                    self._reports.dropped(self.stream, SPOOL_FULL if self._memory is None else MEMORY_FULL, 1)
            finally:
                self.busy = False

    def _put_in_memory(self, payload: bytes) -> bool | None:
        if self._memory is None:
            self._memory = MemorySegment(self._next_number())
            self.segments.append(self._memory)
        # What is under way is bounded by the transport, and waits for its receipt, not for being sent.
        short = self.memory_bytes - self.memory_under_way + cost(payload) - self._memory_limit
        if short > 0 and isinstance(self._policy, DropOldest):
            for segment in self.segments:
                if isinstance(segment, MemorySegment) and short > 0:
                    count, freed = segment.drop(self._read_offset(segment), short)
                    self.memory_bytes -= freed
                    short -= freed
                    if count:
                        self._reports.dropped(self.stream, MEMORY_FULL, count)
        if short > 0:
            return self._refuse(MEMORY_FULL)
        self.memory_bytes += self._memory.append(payload)
        self.appended += 1
        return True

    def _is_disk_due(self) -> bool:
        return self._home is not None and time.monotonic() >= self._retry_at

    def _open_file(self) -> None:
        """Begin a file with what waits in memory; when that is not possible, memory goes on."""
        assert self._home is not None  # noqa: S101 - callers have asked
        try:
            home = self._home()
            number = self._next_number()
            path = os.path.join(home, segment_name(self.stream, number))
            self._file, self._descriptor = FileSegment.create(path, number)
            self.segments.append(self._file)
            if self._commit is not None:
                sync_directory(home)
                sync_directory(os.path.dirname(home))  # which may be new, too
        except OSError as error:
            self._fall_back(error)
            return
        if self._store is None:
            self._store = PositionFile(os.path.join(home, f"{self.stream}.position"))
            self._store.store(self._settled)
        self.error = None
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.closed = True
            self._spill(self._taken(memory))
            if not memory.size and memory in self.segments:
                self._remove(memory)  # a disk that stays full is tried again and again

    def _spill(self, payloads: list[bytes]) -> None:
        """Write events from memory to the new file, many at a time."""
        place = 0
        while place < len(payloads):
            lines: list[bytes] = []
            room = _CHUNK_BYTES
            while room > 0 and place + len(lines) < len(payloads):
                lines.append(frame(payloads[place + len(lines)]))
                room -= len(lines[-1])
            chunk = b"".join(lines)
            failure: OSError | None = None
            written = 0
            try:
                written = os.write(self._descriptor, chunk)
            except OSError as error:
                failure = error
            whole = chunk.count(b"\n", 0, written)
            kept = chunk.rfind(b"\n", 0, written) + 1
            assert self._file is not None  # noqa: S101 - for the type checker
            self._file.size += kept
            self._file.records += whole
            self.bytes += kept
            place += whole
            if written != len(chunk):
                self._fall_back(failure or _no_space(), written - kept)
                self._memory = MemorySegment(self._next_number())
                self.segments.append(self._memory)
                self.memory_bytes += sum(self._memory.append(payload) for payload in payloads[place:])
                return

    def _taken(self, memory: MemorySegment) -> list[bytes]:
        payloads = memory.take_from(self._read_offset(memory))
        self.memory_bytes -= sum(map(cost, payloads))
        return payloads

    def _read_offset(self, segment: MemorySegment) -> int:
        number, offset = self._read
        return 0 if number < segment.number else offset if number == segment.number else segment.size

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _fall_back(self, error: OSError, torn: int = 0) -> None:
        """Go on in memory: the disk has refused, perhaps after ``torn`` bytes of a record."""
        if torn:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - torn)
        self.error = str(error)
        self._retry_at = time.monotonic() + _RETRY_SECONDS
        self._end_file()

    def _end_file(self) -> None:
        """Close the current file for good. Interrupted at any point, it can be done again."""
        file, descriptor = self._file, self._descriptor
        if file is not None:
            if self._suspect and descriptor >= 0:
                with contextlib.suppress(OSError):
                    size = os.fstat(descriptor).st_size
                    self.bytes += size - file.size
                    file.size = size
            file.closed = True
            self._file = None
        self._descriptor = -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                if self._commit is not None:
                    os.fdatasync(descriptor)
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._suspect = False
        if file is not None:
            if not file.size and file in self.segments:
                self._remove(file)  # a full disk takes the file, but nothing into it
                file.delete()
            self._reclaim()

    def _inspect(self, file: FileSegment) -> None:
        """Notice that somebody has deleted or shortened the file, or that an interrupted write has left something."""
        try:
            status = os.fstat(self._descriptor)
        except OSError:
            return
        if status.st_size < file.size and self._read[0] == file.number:
            # Known offsets mean nothing any more, so the file is read again: doubles, but no loss.
            self._outstanding.clear()
            self._read = self._settled = min(self._settled, (file.number, 0))
        if status.st_size != file.size or status.st_nlink == 0:
            self._suspect = True
            self._end_file()

    def _to_sync(self) -> tuple[int, int]:
        with self.lock:
            return self.appended, os.dup(self._descriptor) if self._descriptor >= 0 else -1

    def _sync(self, record: int) -> None:
        assert self._commit is not None  # noqa: S101 - the caller has asked
        try:
            self._commit.wait(record)
        except OSError as error:
            self.sync_error = str(error)


def _no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
