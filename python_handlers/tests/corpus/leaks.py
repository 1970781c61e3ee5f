"""Says whether a secret is in what was written.

A secret may stand in an output as it is, but also escaped by JSON (once or more), by ``repr``, by percent-encoding or
by SQL. So the output is decoded step by step, and every step is searched for the secret as it was made.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from typing import Final

from corpus.items import Item

_LEVELS: Final = 4
_HALVES_FROM: Final = 12
_SHORT: Final = 5
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([\"'\\/bfnrt]))")
_NAMED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# Figures that every event has and that may be equal to a short code by chance.
_FRAME: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r'|"pid":\d+'
    r'|File \\*"[^"\\]*\\*", line \d+'
)


def _unescaped(match: re.Match[str]) -> str:
    number = match[1] or match[2]
    return chr(int(number, 16)) if number else _NAMED.get(match[3], match[3])


def readings(raw: bytes) -> Iterator[str]:
    """Yield the output as text, and what it becomes when escapes are undone, level by level."""
    text = _FRAME.sub("#", raw.decode("utf-8", "replace"))
    for _ in range(_LEVELS):
        yield text
        if "%" in text or "+" in text:
            yield urllib.parse.unquote(text)
            yield urllib.parse.unquote_plus(text)
        if "''" in text:
            yield text.replace("''", "'")
        if "\\" not in text:
            return
        text = _ESCAPE.sub(_unescaped, text)


def pieces(item: Item, halves: bool = True) -> list[str]:
    """Return what is looked for: the secrets, and the halves of the longer ones.

    Halves, because a secret of which only the end was removed has leaked as well. The last four figures of a card, the
    domain of an address or the first letter of a name are shorter than a half and may stay. A half of digits alone is
    looked for only where it has seven of them: shorter ones are in too many other numbers.
    """
    found = list(item.secret)
    if halves:
        for secret in item.secret:
            if len(secret) < _HALVES_FROM or (item.kind == "email" and "@" in secret):
                continue
            middle = len(secret) // 2
            for half in (secret[:middle], secret[middle:]):
                figures = "".join(filter(str.isalnum, half))
                if len(figures) >= (7 if figures.isdecimal() else 4):
                    found.append(half)
    return found


def _is_in(piece: str, text: str) -> bool:
    if piece.isdecimal() and len(piece) <= _SHORT:
        return re.search(rf"(?<![0-9A-Za-z]){piece}(?![0-9A-Za-z])", text) is not None
    return piece in text


def leaks(item: Item, raw: bytes, halves: bool = True) -> list[str]:
    """Return the pieces of the item's secret that are in the output; an empty list is what everybody hopes for."""
    wanted = pieces(item, halves)
    return sorted({piece for text in readings(raw) for piece in wanted if _is_in(piece, text)})
