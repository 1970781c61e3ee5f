"""Identifiers of events (RFC 9562, UUID version 7)."""

from __future__ import annotations

import os
import struct
from typing import Final

from logbastion.processes import after_fork, notice_fork

_POOL_SIZE: Final = 128
_VARIANT: Final = bytes(0x80 | byte & 0x3F for byte in range(256))  # two fixed bits (RFC 9562, 4.1)
_FRACTIONS: Final = tuple(f"{(number << 12) // 1000:03x}-" for number in range(1000))
_pool: list[bytes] = []


def _forget_pool() -> None:
    _pool.clear()


after_fork(_forget_pool)


def uuid7(microseconds: int) -> str:
    """Return a UUIDv7 for a moment, as text.

    The 12 bits after the milliseconds are their fraction (RFC 9562, 6.2, method 3), so identifiers of one process sort
    as the events happened; the other 62 bits are random and come from the operating system, so that two children of
    one fork never make the same.

    Args:
        microseconds: since 1970-01-01 UTC; the low 48 bits of the milliseconds are taken, enough until the year 10889.

    """
    return uuid7_beginning(microseconds // 1000) + uuid7_end(microseconds % 1000)


def uuid7_beginning(milliseconds: int) -> str:
    """Return the first 15 characters of a UUIDv7: the milliseconds since 1970 and the version."""
    text = f"{milliseconds & 0xFFFF_FFFF_FFFF:012x}"
    return f"{text[:8]}-{text[8:]}-7"


def uuid7_end(microseconds: int) -> str:
    """Return the other 21 characters of a UUIDv7.

    Args:
        microseconds: of the millisecond, 0 to 999.

    """
    notice_fork()
    try:
        piece = _pool.pop()  # one step, so no two threads get the same
    except IndexError:
        piece = _new_piece()
    # bytes.hex with separators takes half the time of formatting numbers.
    return _FRACTIONS[microseconds] + piece.hex("-", 6)


def uuid7_of(microseconds: int, digest: bytes) -> str:
    """Return a UUIDv7 that is the same whenever it is made: the 62 bits are of a digest.

    Args:
        microseconds: since 1970-01-01 UTC.
        digest: 8 bytes or more.

    """
    tail = digest[:1].translate(_VARIANT) + digest[1:8]
    return f"{uuid7_beginning(microseconds // 1000)}{_FRACTIONS[microseconds % 1000]}{tail.hex('-', 6)}"


def _new_piece() -> bytes:
    """Return 8 bytes: the variant and 62 bits of randomness.

    The operating system is asked for 128 of them at a time; the others are left for the next calls.
    """
    block = bytearray(os.urandom(8 * _POOL_SIZE))
    block[::8] = block[::8].translate(_VARIANT)
    pieces: list[bytes] = list(struct.unpack("8s" * _POOL_SIZE, block))
    piece = pieces.pop()
    _pool.extend(pieces)
    return piece
