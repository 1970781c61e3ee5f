"""A copy of a stored log file without the person, compressed as the file is."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

from logbastion.erasure.in_place import Counts
from logbastion.erasure.lines import LineEraser, lines_of
from logbastion.erasure.matching import Matcher
from logbastion.erasure.place import PlaceError, Progress
from logbastion.files import FILE_MODE
from logbastion.retention.codecs import DAMAGED, SUFFIX_OF, CodecError, is_compressed, reading, writing
from logbastion.retention.facts import Facts

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
TEMPORARY_PREFIX: Final = ".erasing."
UNREADABLE: Final[tuple[type[Exception], ...]] = (*DAMAGED, CodecError)


class Found(NamedTuple):
    """What a search through a stored file has found.

    Args:
        events: lines about the person.
        stored_sha256: of the bytes as stored.
        stored_bytes: their number.

    """

    events: int
    stored_sha256: str
    stored_bytes: int


class _Hashed(io.RawIOBase):
    """Reads from a file and hashes what was read."""

    def __init__(self, source: Any, progress: Progress) -> None:
        self._source, self._progress = source, progress
        self.digest, self.size = hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found: bytes = self._source.read(len(buffer))
        buffer[: len(found)] = found
        self.digest.update(found)
        self.size += len(found)
        self._progress.step(len(found))
        return len(found)


def search(source: Any, name: str, matcher: Matcher, counts: Counts, progress: Progress) -> Found:
    """Count the lines of a stored file that are about the person.

    Args:
        source: has ``read(size)``, gives the bytes as stored.
        name: whose suffix says how they are compressed.
        matcher: of the person.
        counts: of the place; lines that were searched are added.
        progress: is told the bytes as stored.

    Raises:
        PlaceError: it is cut or altered so that it cannot be decompressed, or its compression is not installed.

    """
    hashed, events = _Hashed(source, progress), 0
    for line in content_lines(hashed, name):
        counts.searched += 1
        events += matcher.in_bytes(line)
    while hashed.read(1 << 18):  # what a decompressor leaves unread
        pass
    return Found(events, hashed.digest.hexdigest(), hashed.size)


def content_lines(source: Any, name: str) -> Iterator[bytes]:
    """Give the lines of a stored file as they were before it was compressed.

    Raises:
        PlaceError: see :func:`search`.

    """
    try:
        if is_compressed(name):
            with reading(source, name) as content:
                yield from lines_of(content, name)
        else:
            yield from lines_of(io.BufferedReader(source, 1 << 18), name)
    except UNREADABLE as error:
        raise PlaceError(f"{name} cannot be read to its end, so nobody can say who is in it: {error}") from error


class CleanedCopy:
    """Writes the copy, and has its facts.

    Args:
        name: of the file, whose suffix says how it is compressed.
        target: of the copy; must not exist.
        status: of the file, whose owner and mode the copy gets; None makes it private.
        youngest: time of the last record; goes into the header of gzip.

    """

    def __init__(self, name: str, target: Path, status: os.stat_result | None, youngest: datetime) -> None:
        self.path = target
        self._name, self._status, self._youngest = name, status, youngest
        self.anonymised = self.deleted = self.events = 0

    def write(self, lines: Iterator[bytes], stream: str, matcher: Matcher, eraser: LineEraser) -> tuple[str, int]:
        """Write all lines without the person; return the SHA-256 and the length of the content.

        Raises:
            OSError: for example a full disk.
            PlaceError: the file cannot be read to its end.

        """
        digest, size, packed_name = hashlib.sha256(), 0, is_compressed(self._name)
        descriptor = os.open(self.path, _NEW, 0o600)
        with os.fdopen(descriptor, "wb") as raw:
            self._take_over_owner(descriptor)
            with _packing(raw, self._name, self._youngest) as packed:
                for line in lines:
                    made = line
                    if matcher.in_bytes(line):
                        deletes = eraser.deletes(line, stream)
                        self.deleted += deletes
                        self.anonymised += not deletes
                        made = eraser.rewritten(line, stream) if packed_name else eraser.same_length(line, stream)
                    digest.update(made)
                    size += len(made)
                    self.events += bool(made)
                    packed.write(made)
            raw.flush()
            os.fsync(descriptor)
        return digest.hexdigest(), size

    def _take_over_owner(self, descriptor: int) -> None:
        status = self._status
        if status is None:
            return
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.fstat(descriptor).st_gid):
            os.fchown(descriptor, status.st_uid, status.st_gid)
        os.fchmod(descriptor, status.st_mode & FILE_MODE)


@contextlib.contextmanager
def _packing(raw: IO[bytes], name: str, youngest: datetime) -> Iterator[IO[bytes]]:
    for codec, suffix in SUFFIX_OF.items():
        if name.endswith(suffix):
            with writing(raw, codec, youngest) as packed:
                yield packed
            return
    yield raw


def check_unaltered(found: Found, known: Facts, after: Facts, name: str) -> None:
    """See that a file is what the manifest says of it, or what it says after an erasure that broke off.

    Args:
        found: of the file.
        known: what the manifest says.
        after: of the copy without the person.
        name: of the file.

    Raises:
        PlaceError: it is neither.

    """
    if found.stored_sha256 == known.stored_sha256 or after == known:
        return
    raise PlaceError(
        f"{name} is not what the manifest says, so it is left as it is: it was altered (`logbastion verify` says "
        "more), or an erasure of somebody else broke off in it; run that one again first (`logbastion erasures list`)"
    )
