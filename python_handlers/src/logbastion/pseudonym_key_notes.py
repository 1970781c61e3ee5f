"""Notes in the file of keys of pseudonyms: since when a key makes none any more, and when one was destroyed.

They are comments, ``# 20261101: not used since 2026-12-01`` and ``# 20261101: destroyed 2029-12-02``, so that whoever
reads keys alone passes them by. They are in the file itself, because it is replaced in one step: a key and what is
known of it cannot come apart. Days are UTC. Nothing here raises: keys are in these frames.
"""

from __future__ import annotations

import datetime
import re
from typing import Final, NamedTuple

_NOTE: Final = re.compile(
    rb"#\s*([a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?):\s+(not used since|destroyed)\s+(\d{4}-\d{2}-\d{2})\s*"
)
_UNUSED: Final = b"not used since"


class KeyNotes(NamedTuple):
    """What a file of keys says of them, by key id.

    Args:
        unused_since: the day on which another key took its place on all hosts.
        destroyed: the day on which it was; its id is not given again.

    """

    unused_since: dict[str, datetime.date]
    destroyed: dict[str, datetime.date]


def take_note(line: bytes | bytearray, notes: KeyNotes) -> None:
    """Add what a line notes, if it does; of two notes on one key the later day stands."""
    found = _NOTE.fullmatch(line)
    if found is None:
        return
    try:
        day = datetime.date.fromisoformat(found[3].decode())
    except ValueError:  # the 31st of February: no note
        return
    kind = notes.unused_since if found[2] == _UNUSED else notes.destroyed
    key_id = found[1].decode()
    kind[key_id] = max(day, kind.get(key_id, day))


def unused_note(key_id: str, day: datetime.date) -> bytes:
    """Return the line that says since when a key makes no pseudonyms any more."""
    return f"# {key_id}: not used since {day.isoformat()}\n".encode()


def destroyed_note(key_id: str, day: datetime.date) -> bytes:
    """Return the line that says when a key was destroyed."""
    return f"# {key_id}: destroyed {day.isoformat()}\n".encode()


def without_notes_of(content: bytes, key_id: str) -> bytes:
    """Return a file's content without the notes on a key."""
    return _without(content, key_id.encode(), keys_too=False)


def without_key(content: bytes, key_id: str) -> bytes:
    """Return a file's content without a key and the notes on it."""
    return _without(content, key_id.encode(), keys_too=True)


def _without(content: bytes, key_id: bytes, *, keys_too: bool) -> bytes:
    left = []
    for line in content.splitlines(keepends=True):
        note = _NOTE.fullmatch(line.rstrip(b"\r\n"))
        if note is not None and note[1] == key_id:
            continue
        if keys_too and line.split(maxsplit=1)[:1] == [key_id]:
            continue
        left.append(line)
    return b"".join(left)
