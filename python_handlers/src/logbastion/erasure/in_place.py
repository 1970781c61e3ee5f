"""Erasing within a file that others may be appending to: bytes are overwritten by as many, none is moved.

Nothing that others write is ever lost or torn: the file keeps its inode, its length and all other bytes. After a crash
some lines are done and some are not; the next call does the rest.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from logbastion.erasure.lines import LONGEST_LINE, LineEraser, lines_of
from logbastion.erasure.matching import Matcher
from logbastion.erasure.place import Progress

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_UNFINISHED_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.02
_WRITE: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class Counts:
    """What was seen in the files of a place."""

    def __init__(self) -> None:
        self.searched = self.found = self.anonymised = self.deleted = self.held = 0
        self.errors: list[str] = []

    def count(self, deleted: bool, events: int = 1) -> None:
        """Count events that were found and are done."""
        self.deleted += events if deleted else 0
        self.anonymised += 0 if deleted else events


def opened(path: Path, *, writable: bool = False) -> IO[bytes]:
    """Open an ordinary file; a link is refused.

    Raises:
        OSError: it is not there, a link, or must not be opened.

    """
    mode = "r+b" if writable else "rb"
    return os.fdopen(os.open(path, _WRITE if writable else _READ), mode)


def erase_in_place(
    path: Path,
    matcher: Matcher,
    eraser: LineEraser,
    counts: Counts,
    *,
    stream: str,
    progress: Progress,
    dry_run: bool,
    on_change: Callable[[int, bytes], None] | None = None,
) -> int:
    """Overwrite the lines of a file that are about the person; return how many there are.

    Args:
        path: an ordinary file, not compressed.
        matcher: of the person.
        eraser: says what a line becomes.
        counts: of the place.
        stream: of the file; empty when its lines have to say.
        progress: is told the bytes.
        dry_run: only count.
        on_change: is called with the place and the bytes instead of writing them.

    Raises:
        OSError: it cannot be read or written; what was done is done.
        PlaceError: a line is too long.

    """
    found = place = 0
    with opened(path, writable=not dry_run and on_change is None) as file:
        for line in lines_of(file, path.name):
            if not dry_run and not line.endswith(b"\n"):
                line = _finished(file, place, line)  # noqa: PLW2901 - the same line, longer
            counts.searched += 1
            if matcher.in_bytes(line):
                found += 1
                counts.found += 1
                counts.count(eraser.deletes(line, stream))
                if not dry_run:
                    made = eraser.same_length(line, stream)
                    if on_change is None:
                        os.pwrite(file.fileno(), made, place)
                    else:
                        on_change(place, made)
            place += len(line)
            progress.step(len(line))
        if found and not dry_run and on_change is None:
            os.fsync(file.fileno())
    return found


def _finished(file: IO[bytes], place: int, line: bytes) -> bytes:
    """Return a last line once it has its end: a writer may be in the middle of it, and its line must not be torn.

    One that stays without an end was torn long ago, and is returned as it is.
    """
    deadline = time.monotonic() + _UNFINISHED_SECONDS
    while time.monotonic() < deadline:
        if os.fstat(file.fileno()).st_size > place + len(line):
            file.seek(place)
            line = file.readline(LONGEST_LINE + 1)
            if line.endswith(b"\n"):
                break
        time.sleep(_POLL_SECONDS)
    return line
