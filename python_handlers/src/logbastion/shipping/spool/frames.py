r"""How a record lies in a segment: ``<CRC-32 of the payload, 8 hex digits> <payload>\n``.

A payload is JSON without a line break, so the next line break is always the next chance to go on after any damage, and
a write that was torn by the end of the process is a line without an end.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from zlib import crc32

HEAD: Final = 9
"""Bytes before the payload."""
OVERHEAD: Final = HEAD + 1
"""Bytes that a frame adds to its payload."""

_INNER_HEAD: Final = re.compile(rb"[0-9a-f]{8} \{")
_MAX_INNER: Final = 16


def frame(payload: bytes) -> bytes:
    """Return the line that holds the payload."""
    return b"".join((b"%08x " % crc32(payload), payload, b"\n"))


def unframe(line: bytes) -> bytes | None:
    """Return the payload of a line without its end, or None when the checksum does not fit."""
    payload = line[HEAD:]
    return payload if line[:HEAD] == b"%08x " % crc32(payload) else None


class Damage(NamedTuple):
    """A piece of a segment that is no record."""

    offset: int
    """Bytes from the start of the block that was parsed."""
    line: bytes
    torn: bool
    """True for the end of a segment without a line break: its write had not returned."""


@dataclass(slots=True)
class Parsed:
    """What a block of a segment holds."""

    events: list[bytes] = field(default_factory=list)
    end: int = 0
    """Bytes of the block that need not be looked at again."""
    ends: list[int] | None = None
    """Where each event ends, when the events do not simply follow one another."""
    damage: list[Damage] = field(default_factory=list)


def parse(block: bytes, max_events: int, final: bool) -> Parsed:
    """Return the records at the start of a block.

    Args:
        block: bytes of a segment that begin at a line's start.
        max_events: how many records are wanted.
        final: whether nothing will ever follow, so that a line without an end is torn and not just unfinished.

    """
    lines = io.BytesIO(block).readlines()  # takes a quarter of the time of bytes.split
    rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
    whole = lines if len(lines) <= max_events else lines[:max_events]
    events = [line[HEAD:-1] for line in whole]
    # All heads at once, because one format of a thousand numbers takes less time than a thousand formats of one.
    heads = b"%08x " * len(events) % tuple(map(crc32, events))
    if heads != b"".join([line[:HEAD] for line in whole]) or (rest and final and len(events) < max_events):
        return _parse_damaged([line[:-1] for line in lines], rest, max_events, final)
    return Parsed(events, sum(map(len, whole)))


def _parse_damaged(lines: list[bytes], rest: bytes, max_events: int, final: bool) -> Parsed:
    """Do what :func:`parse` does, line by line."""
    found = Parsed(ends=[])
    ends: list[int] = []
    for number, line in enumerate([*lines, rest]):
        if len(found.events) >= max_events:
            break
        last = number == len(lines)
        if last and not (final and rest):
            break
        start = found.end
        found.end += len(line) + (0 if last else 1)
        payload = unframe(line)
        if payload is not None:
            found.events.append(payload)
            ends.append(found.end)
            continue
        if not line:
            continue
        saved, complete = _saved(line)
        for position, inner in enumerate(saved):
            found.events.append(inner)
            # Until all of the line's events are settled the line is read again: a double is harmless, a loss is not.
            ends.append(found.end if position == len(saved) - 1 else start)
        if not complete:
            found.damage.append(Damage(start, line, torn=last))
    found.ends = ends
    return found


def _saved(line: bytes) -> tuple[list[bytes], bool]:
    """Find whole records inside a damaged line: of two that lost the line break between them, both are intact.

    Returns:
        The payloads, and whether nothing of the line is left but what separated them.

    """
    starts = [match.start() for match in _INNER_HEAD.finditer(line)][:_MAX_INNER]
    saved: list[bytes] = []
    complete = bool(starts) and starts[0] == 0
    place = 0
    while place < len(starts):
        # A text in the event may look like a head, so the record may end at any of the later ones.
        for following in range(place + 1, len(starts) + 1):
            stop = starts[following] - 1 if following < len(starts) else len(line)
            payload = unframe(line[starts[place] : stop])
            if payload is not None:
                saved.append(payload)
                place = following
                break
        else:
            complete = False
            place += 1
    return saved, complete
