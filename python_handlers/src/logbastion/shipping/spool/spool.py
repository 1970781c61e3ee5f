"""Keeps events on the disk from the logging call that made them until their receiver has them."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Literal

from logbastion.processes import after_fork
from logbastion.shipping.spool.adopted import AdoptedDirectory
from logbastion.shipping.spool.directory import ProcessDirectory, process_directories, process_name
from logbastion.shipping.spool.frames import Damage
from logbastion.shipping.spool.lane import Batch, Lane, Reports
from logbastion.shipping.spool.policies import DEFAULT_LIMITS, EVIDENCE, MEBIBYTE, MEMORY_SHARES, LaneLimit
from logbastion.shipping.spool.quarantine import Quarantine
from logbastion.shipping.spool.writer import AT_EXIT, WritableLane
from logbastion.streams import APPLICATION, STREAMS

DEFAULT_MEMORY_BYTES: Final = 8 * MEBIBYTE
_ADOPT_SECONDS: Final = 5.0
_MAX_ADOPTED: Final = 16
_OTHERS: Final = tuple(stream for stream in STREAMS if stream not in EVIDENCE)
_TURNS: Final = 12
_CLOSE_SECONDS: Final = 0.5
_LINE_BREAK: Final = ord("\n")  # bytes are asked for a number in a fifth of the time

Durability = Literal["process", "host"]

_spools: weakref.WeakSet[Spool] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for spool in list(_spools):
        spool._forget()  # the module's own class


after_fork(_after_fork_in_child)


class Spool:
    """Events on the disk, a lane for each stream, in a directory of this process.

    :meth:`append` may be called by every thread, from signal handlers and finalisers too; it never raises an
    ``Exception`` and never waits longer than the stream's policy says. All other methods belong to one thread. A child
    of ``fork`` begins with nothing: what the parent has appended is the parent's to ship. Nothing is made on the disk
    before the first event.

    Where the disk is full, read-only or not ours, events wait in bounded memory and :attr:`error` says why; the disk is
    tried again every three seconds.

    Args:
        directory: the spool of this application, for all its processes; None keeps events in memory only.
        durability: ``process``: an event survives the end of the process, ``kill -9`` too, once :meth:`append` has
            returned. ``host``: it survives the loss of power, too; callers wait for a ``fdatasync`` that they share.
        limits: by stream; those that are not named keep :data:`DEFAULT_LIMITS`.
        memory_bytes: how much may wait in memory in all.
        dropped: is told stream, reason and count of events that were given up. Must neither wait nor raise.

    Raises:
        ValueError: a stream that is none, an unknown durability, or too little memory.

    """

    def __init__(
        self,
        directory: str | os.PathLike[str] | None,
        *,
        durability: Durability = "process",
        limits: Mapping[str, LaneLimit] | None = None,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        dropped: Callable[[str, str, int], None] | None = None,
    ) -> None:
        if durability not in ("process", "host"):
            raise ValueError(f"The durability {durability!r} is unknown: write process or host.")
        unknown = set(limits or ()) - set(STREAMS)
        if unknown:
            raise ValueError(f"There is no stream {sorted(unknown)[0]!r}: the streams are {', '.join(STREAMS)}.")
        if memory_bytes < 8 * 8192:
            raise ValueError("Waiting in memory needs at least 65536 bytes.")
        self.root = None if directory is None else os.path.abspath(os.fspath(directory))
        self._to_host = durability == "host"
        self._limits = {**DEFAULT_LIMITS, **(limits or {})}
        self._memory_bytes = memory_bytes
        self._tell_dropped = dropped
        self._appended_before = 0
        self.damaged = 0
        """Pieces of segments that were no records, torn ends included, since the start or fork of this process."""
        self._begin()
        _spools.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._making = False
        self._home: ProcessDirectory | None = None
        self._quarantine: Quarantine | None = None
        self._adopted: tuple[AdoptedDirectory, ...] = ()
        self._adopt_at = 0.0
        self._turn = 0
        self.unadoptable: str | None = None
        """Why the directory of a dead process cannot be taken over."""
        self.reading_thread: int | None = None
        """The thread that makes room (``threading.get_ident``): it never waits for room, whatever the policy says."""
        reports = Reports(self._count_dropped, self._keep_damage)
        self._reports = reports
        home = None if self.root is None else self._home_path
        self.lanes: dict[str, WritableLane] = {
            stream: WritableLane(
                stream,
                self._limits[stream],
                self._memory_bytes * MEMORY_SHARES[stream] // 8,
                home,
                reports,
                may_wait=self._may_wait,
                to_host=self._to_host,
            )
            for stream in STREAMS
        }

    def append(self, stream: str, payload: bytes) -> bool:
        """Keep an event.

        Args:
            stream: one of :data:`logbastion.streams.STREAMS`; another name counts as ``application``.
            payload: one JSON value as UTF-8. A line break in it becomes a space, which means the same in JSON.

        Returns:
            False when it was dropped; then it was counted.

        """
        if _LINE_BREAK in payload:
            payload = payload.replace(b"\n", b" ")
        lane = self.lanes.get(stream)
        if lane is None:
            stream, lane = APPLICATION, self.lanes[APPLICATION]
        kept = lane.append(payload)
        return kept if kept is not None else self._append_after_close(stream, payload)

    def _append_after_close(self, stream: str, payload: bytes) -> bool:
        kept = None
        deadline = time.monotonic() + _CLOSE_SECONDS
        while kept is None and time.monotonic() < deadline:
            time.sleep(0.001)  # another thread is in close() and about to put new lanes in place
            kept = self.lanes[stream].append(payload)
        if kept is None:  # this very thread is in close(), interrupted by a signal
            self._count_dropped(stream, AT_EXIT, 1)
        return bool(kept)

    def read(self, max_events: int, max_bytes: int) -> Batch | None:
        """Return the next events that were not read yet, all of one stream, or None when there are none now.

        Security and audit come first in three of four calls, the others in the fourth. Of a stream, the directories of
        dead processes come before this process's own.
        """
        self._turn = (self._turn + 1) % _TURNS
        for stream in _order(self._turn):
            for lane in self._lanes_of(stream):
                batch = lane.read(max_events, max_bytes)
                if batch is not None:
                    return batch
        return None

    def settle(self, batch: Batch, count: int | None = None) -> None:
        """Note that events need never be sent again: the whole batch, or so many of its oldest unsettled ones.

        Raises:
            ValueError: an older batch of the same lane is not settled, or this one was taken back by :meth:`rewind`.

        """
        batch.lane.settle(batch, count)

    def rewind(self) -> None:
        """Read again from the settled positions."""
        for lane in self.lanes.values():
            lane.rewind()
        for adopted in self._adopted:
            adopted.rewind()

    def maintain(self) -> None:
        """Look after the disk and after the directories of dead processes. To be called about once a second."""
        for lane in self.lanes.values():
            lane.maintain()
        if self._home is not None and not self._home.is_there():
            self._leave_home()
        self._adopt()

    def adopt_next(self) -> None:
        """Take over the next directory of a dead process at once when the last one was read to its end."""
        if self._adopted and self._adopted[-1].is_read():
            self._adopt_at = 0.0
            self._adopt()

    def oldest(self) -> list[bytes]:
        """Return the oldest event that is not settled of each lane that has one."""
        adopted = [lane for directory in self._adopted for lane in directory.lanes.values()]
        return [event for lane in (*adopted, *self.lanes.values()) if (event := lane.oldest()) is not None]

    def is_empty(self) -> bool:
        """Say whether all of this process and of the directory it has adopted is settled. Any thread may ask."""
        lanes = self.lanes.values()
        return all(adopted.is_exhausted() for adopted in self._adopted) and all(lane.is_exhausted() for lane in lanes)

    def is_read(self) -> bool:
        """Say whether all of this process and of the directories it has adopted was read. Any thread may ask."""
        lanes = self.lanes.values()
        return all(adopted.is_read() for adopted in self._adopted) and all(lane.is_read() for lane in lanes)

    @property
    def home(self) -> str | None:
        """The directory of this process; None before its first event, and while there is none."""
        return None if self._home is None else self._home.path

    @property
    def bytes(self) -> int:
        """Bytes of the files, settled parts of the ones at hand included; those of an adopted directory, too."""
        adopted = sum(adopted.bytes for adopted in self._adopted)
        return adopted + sum(lane.bytes for lane in self.lanes.values())

    @property
    def fullness(self) -> float:
        """The share of its room that the fullest stream uses, on the disk or in memory; 0 to 1."""
        return max(lane.fullness for lane in self.lanes.values())

    @property
    def memory_bytes(self) -> int:
        """Bytes of events that wait in memory."""
        return sum(lane.memory_bytes for lane in self.lanes.values())

    @property
    def appended(self) -> int:
        """Events that were kept since the start or fork of this process."""
        return self._appended_before + sum(lane.appended for lane in self.lanes.values())

    @property
    def error(self) -> str | None:
        """Why events wait in memory although there is a directory, or cannot be synced; None when all is well."""
        for lane in self.lanes.values():
            if lane.error or lane.sync_error:
                return lane.error or lane.sync_error
        return None

    def close(self) -> None:
        """Bring what is in memory to the disk, leave it for adoption, or delete the directory when nothing waits.

        An event that is appended afterwards begins a new directory, from which nothing is read by this process.
        """
        lanes, home, adopted = self.lanes, self._home, self._adopted
        for lane in lanes.values():
            lane.finish()
        home = self._home or home  # bringing memory to the disk may have made it
        for directory in adopted:
            directory.close()
        if home is not None:
            if all(lane.is_exhausted() for lane in lanes.values()):
                home.remove()
            else:
                home.release()
        self._appended_before = self.appended
        self._begin()

    def _forget(self) -> None:
        """Begin anew in the child of a fork."""
        for lane in self.lanes.values():
            lane.forget()
        for adopted in self._adopted:
            adopted.forget()
        if self._home is not None:
            self._home.forget()
        self._appended_before = self.damaged = 0
        self._begin()

    def _may_wait(self) -> bool:
        return threading.get_ident() != self.reading_thread

    def _lanes_of(self, stream: str) -> Iterator[Lane]:
        for adopted in self._adopted:
            lane = adopted.lanes.get(stream)
            if lane is not None:
                yield lane
        yield self.lanes[stream]

    def _home_path(self) -> str:
        with self._lock:
            if self._home is None:
                assert self.root is not None  # noqa: S101 - for the type checker; without a root nobody asks
                if self._making:
                    raise BlockingIOError("the directory is just being made")  # by the code that a signal interrupts
                self._making = True
                try:
                    self._home = ProcessDirectory.create(self.root)
                finally:
                    self._making = False
            return self._home.path

    def _leave_home(self) -> None:
        """Somebody has deleted the directory: the next file begins a new one."""
        with self._lock:
            home, self._home = self._home, None
        if home is not None:
            home.release()
        for lane in self.lanes.values():
            lane.leave_home()

    def _adopt(self) -> None:
        """Give up adopted directories that are done, and take over one more when the last one was read."""
        for directory in self._adopted:
            if directory.is_exhausted():
                self._adopted = tuple(other for other in self._adopted if other is not directory)
                directory.close()
                self._adopt_at = 0.0  # there may be more
        if self.root is None or time.monotonic() < self._adopt_at or len(self._adopted) >= _MAX_ADOPTED:
            return
        if self._adopted and not self._adopted[-1].is_read():
            return  # others may be idle: one process does not take all
        # Not all processes of a host at the same moment.
        self._adopt_at = time.monotonic() + random.uniform(0.5, 1) * _ADOPT_SECONDS  # noqa: S311 - spreads load only
        self.unadoptable = None
        try:
            paths = process_directories(self.root)
        except OSError as error:
            self.unadoptable = str(error)
            return
        for path in paths:
            try:
                adopted = self._taken_over(path)
            except OSError as error:
                self.unadoptable = str(error)
                continue
            if adopted is None:
                continue
            if not adopted.is_exhausted():
                self._adopted = (*self._adopted, adopted)
                return
            adopted.close()

    def _taken_over(self, path: str) -> AdoptedDirectory | None:
        directory = ProcessDirectory.adopt(path)
        if directory is None:
            return None
        try:
            return AdoptedDirectory(directory, self._reports)
        except OSError:
            directory.release()
            raise

    def _count_dropped(self, stream: str, reason: str, count: int) -> None:
        if self._tell_dropped is not None:
            with contextlib.suppress(Exception):  # counting must not cost an event
                self._tell_dropped(stream, reason, count)

    def _keep_damage(self, stream: str, path: str, damage: Damage) -> None:
        self.damaged += 1
        if self.root is not None:
            if self._quarantine is None:
                self._quarantine = Quarantine(self.root, process_name())
            self._quarantine.keep(stream, path, damage)


def _order(turn: int) -> tuple[str, ...]:
    """Return all streams, in the order in which they are asked in this turn."""
    shift = turn // 4
    others = _OTHERS[shift:] + _OTHERS[:shift]
    evidence = EVIDENCE if turn % 2 else EVIDENCE[::-1]
    return others + evidence if turn % 4 == 3 else evidence + others  # noqa: PLR2004
