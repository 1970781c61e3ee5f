"""What can be said of a log file so that another can check it: checksums, number of events, first and last time."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Final, NamedTuple

from logbastion.retention.codecs import is_compressed, read_from, reading
from logbastion.retention.spans import Span, span_of

_CHUNK: Final = 1 << 18


class Facts(NamedTuple):
    """Of one log file; an auditor can recompute them with ``sha256sum``, ``zcat`` and ``wc -l``.

    Args:
        content_sha256: of the content before compression, 64 hexadecimal digits.
        content_bytes: its length.
        stored_sha256: of the bytes of the file.
        stored_bytes: their number.
        events: number of lines.
        first: time of the first record, UTC, RFC 3339; empty when the file holds none.
        last: time of the last record.

    """

    content_sha256: str
    content_bytes: int
    stored_sha256: str
    stored_bytes: int
    events: int
    first: str
    last: str

    @property
    def span(self) -> Span | None:
        """Return first and last time, None when there is no record."""
        return Span(as_time(self.first), as_time(self.last)) if self.first else None


class _Counted:
    def __init__(self) -> None:
        self.digest, self.size, self.lines, self.last = hashlib.sha256(), 0, 0, b"\n"

    def take(self, chunk: bytes) -> None:
        self.digest.update(chunk)
        self.size += len(chunk)
        self.lines += chunk.count(b"\n")
        self.last = chunk[-1:]

    @property
    def events(self) -> int:
        return self.lines + (self.last != b"\n")


def facts_of(path: Path, span: Span | None = None) -> Facts:
    """Read a whole file, compressed or not.

    Args:
        path: nobody writes to it meanwhile.
        span: the times of its records, when they are known.

    Raises:
        NoRecordTimeError: its lines are not events.
        OSError: it cannot be read.
        EOFError: it is compressed and cut off.

    """
    content = count_content(path)
    plain = (content.digest.hexdigest(), content.size)
    stored = stored_digest(path) if is_compressed(path.name) else plain
    times = span or span_of(path)
    first, last = (as_text(times.oldest), as_text(times.youngest)) if times else ("", "")
    return Facts(content.digest.hexdigest(), content.size, *stored, content.events, first, last)


def facts_of_stream(source: IO[bytes], name: str) -> tuple[str, int]:
    """Return the checksum of the content of a stored file, and the number of its events."""
    counted = _Counted()
    with reading(source, name) as file:
        while chunk := file.read(_CHUNK):
            counted.take(chunk)
    return counted.digest.hexdigest(), counted.events


def count_content(path: Path, limit: int = -1) -> _Counted:
    """Read the content, or its first bytes only, and return what was counted."""
    counted = _Counted()
    with read_from(path) as file:
        while chunk := file.read(_CHUNK if limit < 0 else min(_CHUNK, limit - counted.size)):
            counted.take(chunk)
    return counted


def stored_digest(path: Path) -> tuple[str, int]:
    """Return checksum and number of the bytes of a file as it is stored. Links are not followed."""
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def as_text(moment: datetime) -> str:
    """Return a time as RFC 3339 writes it, in UTC, to the microsecond."""
    return moment.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def as_time(text: str) -> datetime:
    """Return the time that :func:`as_text` has written."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
