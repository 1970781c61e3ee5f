"""Identifiers of events (RFC 9562, UUID version 7)."""

from __future__ import annotations

import os
import uuid
from typing import Final

_MILLISECOND: Final = 1_000_000


def uuid7(nanoseconds: int) -> str:
    """Return a UUIDv7 for a moment, as text.

    The 12 bits after the milliseconds are their fraction (RFC 9562, 6.2, method 3), so identifiers of one process sort
    as the events happened; the other 62 bits are random and come from the operating system, so that two children of
    one fork never make the same.

    Args:
        nanoseconds: since 1970-01-01 UTC; moments before that count as zero.

    """
    milliseconds, rest = divmod(max(0, nanoseconds), _MILLISECOND)
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    value |= 0x7 << 76
    value |= ((rest << 12) // _MILLISECOND) << 64
    value |= 0b10 << 62
    value |= int.from_bytes(os.urandom(8), "big") >> 2
    return str(uuid.UUID(int=value))
