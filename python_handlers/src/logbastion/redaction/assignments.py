"""Finds values behind their names and a sign: ``password=...``, ``"token": "..."``, ``Cookie: ...``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from logbastion.redaction.classification import Classification, Kind, folded
from logbastion.redaction.markers import MARK, Finding

_SEPARATOR: Final = re.compile(r"(?:=>|:=|==?|:(?!//))")
_BEFORE: Final = re.compile(r"(?:[\w.$%\-]{1,80}[ \t]){0,3}[\w.$%\-]{1,80}\Z")
_CLOSING: Final = "\"'`\\ \t)]>*"
_OPENING: Final = re.compile(r"[ \t]{0,4}(?:[bBuUrRfF]{1,2}(?=['\"]))?(\\{0,4})([\"'`(\[{<]?)")
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}", "<": ">"}
_LOOK_BACK: Final = 260
_END_OF_TOKEN: Final = re.compile(r"[\s\"'`<>]|[&;][\w.%\[\]\-]{1,64}=|,[\w.]{1,64}[=:]|[,;]\s|\\[nrt\"']|$")
_END_OF_PHRASE: Final = re.compile(r"[,;|&<>\"'\r\n\t)\]}]|\\[nrt\"']|\s[\w.\-]{1,64}[=:]|\s[-\u2013\u2014]\s|\.\s|$")
_END_OF_LINE: Final = re.compile(r"[\r\n\"']|\\[nr\"']|$")
_DIGITS: Final = re.compile(r"[\d \-.xX*\u2022]{3,40}")
_TRAILING: Final = ",;.)]} \t"
_LONGEST_PHRASE: Final = 200

_NOTHING: Final = frozenset(
    {
        *("none", "null", "nil", "true", "false", "yes", "no", "sim", "nao", "ok", "n/a", "-"),
        *("empty", "missing", "required", "invalid", "expired", "undefined", "unknown", "redacted"),
        *("***", "****", "*****", "********", "<redacted>", "[filtered]"),
    }
)
_FARTHEST_CLOSER: Final = 4096


def find_assignments(text: str, classification: Classification) -> Iterator[Finding]:
    """Yield values behind a name and ``=`` or ``:``. To be asked of texts that have one of them."""
    after = 0
    for separator in _SEPARATOR.finditer(text):
        if separator.start() < after:
            continue
        kind = _named_before(text, separator.start(), classification)
        if kind is None:
            continue
        found = _value(text, separator.end(), kind)
        if found is not None:
            after = found.end
            yield found


def _named_before(text: str, place: int, classification: Classification) -> Kind | None:
    end = place
    floor = max(0, place - 8)
    while end > floor and text[end - 1] in _CLOSING:
        end -= 1
    before = _BEFORE.search(text, max(0, end - _LOOK_BACK), end)
    if before is None:
        return None
    words = before.group().split()
    kind = classification.kind_of(words[-1])
    if kind is None and len(words) > 1:
        kind = next(
            (found for count in range(2, len(words) + 1) if (found := classification.kind_of_phrase(words[-count:]))),
            None,
        )
    return kind if kind is not None and kind.in_text and kind.treatment != "keep" else None


def _value(text: str, place: int, kind: Kind) -> Finding | None:
    opening = _OPENING.match(text, place)
    if opening is None:
        return None
    backslashes, quote = opening.groups()
    start = opening.end()
    if backslashes and not quote:
        start = opening.start(1)
        quote = ""
    if text.startswith(MARK, start):
        return None
    if quote and quote in "\"'`":
        return _quoted(text, start, backslashes + quote, kind)
    if quote and kind.value not in ("line", "email"):
        closing = text.find(_CLOSERS[quote], start)
        end = closing if 0 <= closing <= start + _FARTHEST_CLOSER else _end_of(text, start, kind)
    else:
        end = _end_of(text, start, kind)
    return _trimmed(text, start, end, kind)


def _quoted(text: str, start: int, closing: str, kind: Kind) -> Finding | None:
    """Return what lies between quotes; one that is escaped inside does not end it."""
    place = start
    while True:
        place = text.find(closing, place)
        if place < 0:
            return _trimmed(text, start, _end_of(text, start, kind), kind)
        backslashes = 0
        while place - backslashes > start and text[place - backslashes - 1] == "\\":
            backslashes += 1
        if backslashes % 2 == 0:
            return Finding(start, place, kind.kind) if place > start else None
        place += 1


def _end_of(text: str, start: int, kind: Kind) -> int:
    if kind.value == "line":
        pattern = _END_OF_LINE
    elif kind.value == "phrase":
        pattern = _END_OF_PHRASE
    elif kind.value == "digits":
        digits = _DIGITS.match(text, start)
        return digits.end() if digits else _END_OF_TOKEN.search(text, start).start()  # type: ignore[union-attr]
    else:
        pattern = _END_OF_TOKEN
    found = pattern.search(text, start)
    end = found.start() if found else len(text)
    return min(end, start + _LONGEST_PHRASE) if kind.value == "phrase" else end


def _trimmed(text: str, start: int, end: int, kind: Kind) -> Finding | None:
    while end > start and text[end - 1] in _TRAILING:
        end -= 1
    while start < end and text[start] in " \t":
        start += 1
    if start >= end or _says_nothing(text[start:end], kind):
        return None
    return Finding(start, end, kind.kind)


def _says_nothing(value: str, kind: Kind) -> bool:
    if folded(value) in _NOTHING:
        return True
    # "E-mail: ..." in prose is followed by an address or by words; the address is found for itself.
    return kind.value == "email" and "@" not in value and "%40" not in value
