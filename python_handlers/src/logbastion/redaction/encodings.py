"""Undoes what hides a secret from the patterns: escapes, entities, signs that look alike, and signs that nobody sees.

Each function returns the very same text when there is nothing to undo. What they return is looked at, and is written
only where more is found in it than in the text as it was.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote, unquote_plus

_UTF8: Final = re.compile(r"(?:\\{1,4}x[c-f][0-9a-f](?:\\{1,4}x[89ab][0-9a-f]){1,3})")
_HEX: Final = re.compile(r"x([0-9a-f]{2})")
_ESCAPED: Final = re.compile(
    r"\\{1,8}(?:u([0-9A-Fa-f]{4})|x([0-7][0-9A-Fa-f]|[Aa][0Dd])|(/))|(?<=\d)\\{1,8}([nt])(?=\d)"
)
# Names of characters that a secret, its name, or what stands between the two is made of (HTML, 13.5).
_NAMED: Final = {
    **{"quot": '"', "apos": "'", "lt": "<", "gt": ">", "amp": "&", "nbsp": "\u00a0", "commat": "@", "period": "."},
    **{"colon": ":", "equals": "=", "plus": "+", "sol": "/", "lowbar": "_", "num": "#", "shy": "", "hyphen": "-"},
}
_ENTITY: Final = re.compile(rf"&(?:#(?:x([0-9A-Fa-f]{{2}})|(\d{{2,3}}))|({'|'.join(_NAMED)}));")
_UNSEEN: Final = "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\u2061\u2062\u2063\u2064\ufeff"
_LIKE: Final = {
    # Unicode, Halfwidth and Fullwidth Forms: U+FF01 to U+FF5E are those of ASCII.
    **{chr(0xFF00 + number): chr(0x20 + number) for number in range(1, 0x5F)},
    **{"\ufe6b": "@", "\ufe55": ":", "\ufe66": "=", **dict.fromkeys("\u00a0\u2007\u2009\u202f\u3000", " ")},
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"'),
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2039\u203a", "'"),
    **dict.fromkeys(_UNSEEN, ""),
}
_ODD: Final = re.compile(f"[{''.join(map(re.escape, _LIKE))}]")
_TO_PLAIN: Final = str.maketrans(_LIKE)


def is_odd(text: str) -> bool:
    """Say whether a text that is not ASCII has a sign for which there is a plain one, or that nobody sees."""
    return _ODD.search(text) is not None


def plain_signs(text: str) -> str:
    """Return a text with ASCII in the place of signs that look like it, and without those that nobody sees."""
    return text.translate(_TO_PLAIN)


def unquoted(text: str) -> str:
    """Return a text without percent-encoding (RFC 3986, 2.1)."""
    return unquote(text, errors="replace")


def unquoted_form(text: str) -> str:
    """Return a text of a form, where ``+`` stands for a space."""
    return unquote_plus(text, errors="replace")


def unescaped(text: str) -> str:
    r"""Return a text without ``\u0040``, ``\x40`` and ``\/``, however often they were escaped themselves."""
    return _ESCAPED.sub(_escaped, _UTF8.sub(_of_bytes, text) if "\\x" in text else text)


def _of_bytes(match: re.Match[str]) -> str:
    raw = bytes(int(number, 16) for number in _HEX.findall(match.group()))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return match.group()


def _escaped(match: re.Match[str]) -> str:
    if match[3]:
        return match[3]
    if match[4]:  # between figures
        return "\t" if match[4] == "t" else "\n"
    code = int(match[1] or match[2], 16)
    return match.group() if 0xD800 <= code <= 0xDFFF else chr(code)  # noqa: PLR2004 - halves of a character


def without_entities(text: str) -> str:
    """Return a text without the entities of HTML for printable ASCII."""
    return _ENTITY.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    if match[3]:
        return _NAMED[match[3]]
    code = int(match[1], 16) if match[1] else int(match[2])
    return chr(code) if 0x20 <= code < 0x7F or code == 0xA0 else match.group()  # noqa: PLR2004
