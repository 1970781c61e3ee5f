"""The place "spool": events that wait to be shipped, of living and of ended processes, and pieces in quarantine.

Each frame of the person is overwritten by another of the same length, so that readers and writers, which know offsets,
are not disturbed and no event of others moves. What the rule deletes is shipped as an event without content: an offset
cannot be taken out of a file that a process has open. Events that a process has read and is sending are out of reach
until they have arrived: the place waits for their settlement, so that what comes after it finds them where they went.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zlib import crc32

from logbastion.erasure.files import LogFiles, exported, result_of
from logbastion.erasure.in_place import Counts, opened
from logbastion.erasure.lines import LineEraser, lines_of
from logbastion.erasure.matching import Matcher
from logbastion.erasure.place import ExportedEvent, Place, PlaceError, PlaceResult, Progress
from logbastion.erasure.rules import Rules
from logbastion.shipping.spool.directory import DEAD_LETTERS, QUARANTINE, owner_of, process_directories
from logbastion.shipping.spool.frames import frame, parse, unframe
from logbastion.shipping.spool.position import load_position
from logbastion.shipping.spool.segments import parse_segment_name

DEFAULT_WAIT_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.1


class SpoolFiles:
    """The files of a spool's processes. Run it as the user of the application.

    Args:
        root: the spool's directory.
        wait_seconds: for events of the person that a process may be sending just now to be settled, at most.

    """

    name = "spool"

    def __init__(self, root: str | os.PathLike[str], *, wait_seconds: float = DEFAULT_WAIT_SECONDS) -> None:
        self.root = Path(root).absolute()
        self._wait_seconds = wait_seconds

    def erase(self, matcher: Matcher, rules: Rules, *, dry_run: bool, progress: Progress) -> PlaceResult:
        """See :meth:`.place.Place.erase`."""
        counts = Counts()
        eraser = LineEraser(matcher, rules)
        under_way: list[tuple[Path, int]] = []
        try:
            segments = self._segments()
        except OSError as error:
            return PlaceResult(self.name, errors=(f"the spool {self.root} cannot be searched: {error}",))
        progress.begin(self.name, "erasing", sum(size for _, size in segments))
        for path, _ in segments:
            try:
                last = _Segment(path, matcher, eraser, counts).erase(progress, dry_run=dry_run)
                if last:
                    under_way.append((path, last))
            except FileNotFoundError:
                continue  # shipped to its end
            except (OSError, PlaceError) as error:
                counts.errors.append(f"{path.name}: {error}")
        if not dry_run:
            self._await(under_way)
        return result_of(self.name, counts)

    def hits(self, matcher: Matcher, *, progress: Progress) -> int:
        """See :meth:`.place.Place.hits`."""
        found = 0
        for _, line in self._lines(progress):
            found += matcher.in_bytes(_payload_of(line) or line)
        return found

    def export(self, matcher: Matcher) -> Iterator[ExportedEvent]:
        """See :meth:`.place.Place.export`."""
        for path, line in self._lines(None):
            payload = _payload_of(line) or line
            if matcher.in_bytes(payload):
                yield exported(self.name, path.name, payload)

    def _lines(self, progress: Progress | None) -> Iterator[tuple[Path, bytes]]:
        try:
            segments = self._segments()
            if progress is not None:
                progress.begin(self.name, "searching again", sum(size for _, size in segments))
            for path, _ in segments:
                with contextlib.suppress(FileNotFoundError), opened(path) as file:
                    for line in lines_of(file, path.name):
                        if progress is not None:
                            progress.step(len(line))
                        yield path, line
        except OSError as error:
            raise PlaceError(f"the spool {self.root} cannot be searched: {error}") from error

    def _segments(self) -> list[tuple[Path, int]]:
        os.listdir(self.root)  # a spool that is not there, or not ours, must not look empty
        found = []
        for directory in process_directories(str(self.root)):
            with contextlib.suppress(FileNotFoundError):
                for name in sorted(os.listdir(directory)):
                    if parse_segment_name(name) is not None:
                        path = Path(directory, name)
                        with contextlib.suppress(FileNotFoundError):
                            found.append((path, path.stat().st_size))
        return found

    def _await(self, under_way: list[tuple[Path, int]]) -> None:
        """Wait until what a process may have read before it was overwritten is settled, or nobody sends it."""
        deadline = time.monotonic() + self._wait_seconds
        while under_way and time.monotonic() < deadline:
            under_way = [(path, end) for path, end in under_way if _may_be_under_way(path, end)]
            if under_way:
                time.sleep(_POLL_SECONDS)


class _Segment:
    """One file of frames."""

    def __init__(self, path: Path, matcher: Matcher, eraser: LineEraser, counts: Counts) -> None:
        self._path, self._matcher, self._eraser, self._counts = path, matcher, eraser, counts
        named = parse_segment_name(path.name)
        self._stream = named[0] if named else ""

    def erase(self, progress: Progress, *, dry_run: bool) -> int:
        """Overwrite the frames of the person; return where the last of them ends, 0 when there is none."""
        place = last = 0
        with opened(self._path, writable=not dry_run) as file:
            for line in lines_of(file, self._path.name):
                self._counts.searched += 1
                made = self._made(line)
                if made is not None:
                    last = place + len(line)
                    if not dry_run:
                        os.pwrite(file.fileno(), made, place)
                place += len(line)
                progress.step(len(line))
            if last and not dry_run:
                os.fsync(file.fileno())
        return last

    def _made(self, line: bytes) -> bytes | None:
        """Return what takes the line's place, None when it may stay. It has the same length."""
        payload = _payload_of(line)
        if payload is not None:
            if not self._matcher.in_bytes(payload):
                return None
            self._count(payload)
            return frame(self._eraser.same_length(payload, self._stream))
        if not self._matcher.in_bytes(line):
            return None
        if not line.endswith(b"\n") and owner_of(str(self._path.parent)) is not None:
            return None  # just being written; the next look sees it whole
        return self._damaged(line)

    def _damaged(self, line: bytes) -> bytes | None:
        """Overwrite what is no frame; whole frames of others that are within it stay."""
        made, changed = bytearray(line), False
        place = 0
        for payload in parse(line if line.endswith(b"\n") else line + b"\n", 1 << 20, final=True).events:
            whole = b"%08x %b" % (crc32(payload), payload)
            start = line.find(whole, place)
            changed |= self._blank(made, place, start)
            if self._matcher.in_bytes(payload):
                self._count(payload)
                other = self._eraser.same_length(payload, self._stream)
                made[start : start + len(whole)] = b"%08x %b" % (crc32(other), other)
                changed = True
            place = start + len(whole)
        changed |= self._blank(made, place, len(line.removesuffix(b"\n")))
        return bytes(made) if changed else None

    def _blank(self, line: bytearray, start: int, end: int) -> bool:
        """Put spaces in place of a piece that names the person."""
        if start >= end or not self._matcher.in_bytes(bytes(line[start:end])):
            return False
        line[start:end] = b" " * (end - start)
        self._counts.found += 1
        self._counts.count(deleted=True)
        return True

    def _count(self, payload: bytes) -> None:
        self._counts.found += 1
        self._counts.count(self._eraser.deletes(payload, self._stream))


def _payload_of(line: bytes) -> bytes | None:
    """Return the event of a whole frame, None of what is none."""
    return unframe(line[:-1]) if line.endswith(b"\n") else None


def _may_be_under_way(path: Path, end: int) -> bool:
    """Return whether a living process has events before that place which are not settled."""
    directory = str(path.parent)
    named = parse_segment_name(path.name)
    if named is None or not path.exists():
        return False
    try:
        number, offset = load_position(os.path.join(directory, f"{named[0]}.position"))
        return owner_of(directory) is not None and (number, offset) < (named[1], end)
    except OSError:
        return False


def places_of_spool(root: str | os.PathLike[str], wait_seconds: float) -> list[Place]:
    """Return the places of a spool as far as they are there, each before the one where its events may go.

    Dead letters may be given back to the spool, and damaged pieces of it go to the quarantine.

    Args:
        root: the spool's directory.
        wait_seconds: see :class:`SpoolFiles`.

    """
    letters, quarantine = Path(root, DEAD_LETTERS), Path(root, QUARANTINE)
    found: list[Place] = [LogFiles(letters, name="dead letters", lock=False)] if letters.is_dir() else []
    found.append(SpoolFiles(root, wait_seconds=wait_seconds))
    return [*found, LogFiles(quarantine, name="quarantine", lock=False)] if quarantine.is_dir() else found
