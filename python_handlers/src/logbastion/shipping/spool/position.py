"""Where reading goes on after a restart: the settled position of a stream in one small file."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Final
from zlib import crc32

FILE_MODE: Final = 0o600
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_LINE: Final = re.compile(rb"(\d{10}) (\d{16}) ([0-9a-f]{8})\n")

Position = tuple[int, int]
"""Number of a segment and bytes from its start. Everything before need never be sent again."""


def encode_position(position: Position) -> bytes:
    """Return the line of fixed length that holds a position."""
    text = b"%010d %016d" % position
    return b"%b %08x\n" % (text, crc32(text))


def decode_position(line: bytes) -> Position:
    """Return the position in a line; the very beginning when the line is damaged.

    Beginning again sends events twice, which their ``event.id`` makes harmless. Guessing could lose some.
    """
    match = _LINE.fullmatch(line)
    if not match or int(match[3], 16) != crc32(line[:27]):
        return (0, 0)
    return int(match[1]), int(match[2])


def load_position(path: str) -> Position:
    """Return the position that a file holds; the beginning when there is none.

    Raises:
        OSError: it is there and cannot be read.

    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return (0, 0)
    try:
        return decode_position(os.read(descriptor, 64))
    finally:
        os.close(descriptor)


class PositionFile:
    """Keeps a position in a file by overwriting the same few bytes: a full disk has room for that."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1

    def store(self, position: Position) -> None:
        """Write the position. A failure is left for the next time: it costs doubles, never an event."""
        with contextlib.suppress(OSError):
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, _FLAGS, FILE_MODE)
            os.pwrite(self._descriptor, encode_position(position), 0)

    def close(self) -> None:
        """Close the file."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)
