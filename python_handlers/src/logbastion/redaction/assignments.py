"""Finds values behind their names and a sign: ``password=...``, ``"token": "..."``, ``Cookie: ...``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from logbastion.redaction.classification import Classification, Kind, folded
from logbastion.redaction.markers import MARK, Finding
from logbastion.redaction.prose import is_no_word

_SEPARATOR: Final = re.compile(r"=>|:=|==?|:(?!//)|\|")
_NAME_SIGNS: Final = "_.$%-"
_LONGEST_NAME: Final = 80
_CLOSING: Final = "\"'`\\ \t)]>*"
_OPENING: Final = re.compile(r"[ \t]{0,4}(?:[bBuUrRfF]{1,2}(?=['\"]))?(\\{0,4})([\"'`(\[{<]?)")
_CLOSERS: Final = {"(": ")", "[": "]", "{": "}", "<": ">"}
_LOOK_BACK: Final = 80
# A password may hold quotes and brackets of its own: those end it that something follows which ends a value.
_END_OF_TOKEN: Final = re.compile(
    r"\s|[\"'`](?=[\s,;:)\]}>&]|$)|<(?=/?[A-Za-z])|[&;][\w.%\[\]\-]{1,64}=|,[\w.]{1,64}[=:]|[,;]\s|\\[nrt\"']|$"
)
_END_OF_PHRASE: Final = re.compile(r"[,;|&<>\"'\r\n\t)\]}]|\\[nrt\"']|\s[\w.\-]{1,64}[=:]|\s[-\u2013\u2014]\s|\.\s|$")
_END_OF_LINE: Final = re.compile(r"[\r\n\"']|\\[nr\"']|$")
_END_OF_HEADER: Final = re.compile(r"[\r\n]|\\[nr]|$")  # the value of an HTTP header ends with its line
# Without quotes, on a line of its own below "password:"; and behind "password|", where other names stand as often.
_ON_NEXT_LINE: Final = re.compile(
    r"[ \t]{0,4}(?:\r?\n|\\r\\n|\\n)[ \t]{0,16}([^\s\"'`\\]{3,256})[ \t]{0,4}(?=[\r\n\"']|\\[rn]|\Z)"
)
_BEHIND_BAR: Final = re.compile(r"([^\s|\"'`<>]{3,256})")
_SECRETS: Final = ("password", "secret", "session", "code", "card_check")
_PAIR: Final = re.compile(r"[\w.\-]{1,64}[=:]")
_CODE: Final = re.compile(r"\d{3,8}")
_DIGITS: Final = re.compile(r"[\d \-.xX*\u2022]{3,40}")
_TRAILING: Final = ",;.)]} \t"
_LONGEST_PHRASE: Final = 200

_NOTHING: Final = frozenset(
    {
        *("none", "null", "nil", "true", "false", "yes", "no", "sim", "nao", "ok", "n/a", "-"),
        *("must", "should", "cannot", "can", "not", "is"),
        *("empty", "missing", "required", "invalid", "expired", "undefined", "unknown", "redacted"),
        *("***", "****", "*****", "********", "<redacted>", "[filtered]"),
    }
)
# Names that may mean anything; a secret if what follows is long and no word.
_MAYBE: Final = re.compile(r"(?i)(?<![A-Za-z])(?:key|chave|hash|code|ticket|state|nonce|k)[\"']?\s?\Z")
_SIGNATURE: Final = re.compile(r"(?i)(?<![A-Za-z])(?:signature|assinatura|sign|auth)[\"']?\s?\Z")
_SIGNED: Final = re.compile(r"\s?[\"']?((?=[A-Za-z+/=_\-]{0,40}[0-9])[A-Za-z0-9+/=_\-:.]{20,})")
_OPAQUE: Final = re.compile(
    r"\s?[\"']?((?=[A-Za-z0-9_\-]{0,40}[0-9])(?=[A-Za-z0-9_\-]{0,40}[A-Z])(?=[A-Za-z0-9_\-]{0,40}[a-z])[A-Za-z0-9_\-]{20,})"
)
_OF: Final = frozenset({"do", "da", "de", "dos", "das", "of", "for"})
_QUALIFIERS: Final = frozenset(
    {
        *("provisoria", "temporaria", "nova", "novo", "atual", "actual", "antiga", "antigo", "inicial", "mestra"),
        *("temporary", "new", "old", "current", "initial", "given", "used", "value", "valor", "hash"),
        *("is", "was", "e", "era", "foi", "sera"),
    }
)
_HEADER: Final = re.compile(r"(?:\A|[\r\n'\"]|\\[rn])[A-Za-z][A-Za-z0-9]{0,30}-[A-Za-z0-9\-]{1,60}\Z")
_QUERY_NAME: Final = re.compile(r"[?&][\w.%\[\]\-]{1,64}\Z")
_QUERY_VALUE: Final = re.compile(r"[^&=\r\n\[]{1,128}(?=&[\w.%\[\]\-]{1,64}=)")
_FARTHEST_CLOSER: Final = 4096


def find_assignments(text: str, classification: Classification) -> Iterator[Finding]:
    """Yield values behind a name and ``=`` or ``:``. To be asked of texts that have one of them."""
    after = 0
    for separator in _SEPARATOR.finditer(text):
        if separator.start() < after:
            continue
        kind = _named_before(text, separator.start(), classification)
        if kind is None:
            opaque = _opaque(text, separator)
            if opaque and separator.group() != "|":
                after = opaque.end()
                yield Finding(opaque.start(1), opaque.end(1), "secret")
            continue
        start = separator.start()
        if separator.group() == ":" and _HEADER.search(text, max(0, start - 96), start):
            kind = replace(kind, value="header")
        if separator.group() == "|":
            found = _plain_word(_BEHIND_BAR.match(text, separator.end()), kind)
        else:
            found = _in_query(text, separator, kind) or _value(text, separator.end(), kind)
            found = found or _plain_word(_ON_NEXT_LINE.match(text, separator.end()), kind)
        if found is not None:
            after = found.end
            yield found


def _opaque(text: str, separator: re.Match[str]) -> re.Match[str] | None:
    """Return what looks like a key behind a name that may mean anything."""
    name = (text, max(0, separator.start() - 12), separator.start())
    maybe = _MAYBE.search(*name)
    if maybe:
        in_url = text[maybe.start() - 1 : maybe.start()] in ("?", "&", "#", ";")
        return (_SIGNED if in_url else _OPAQUE).match(text, separator.end())
    return _SIGNED.match(text, separator.end()) if _SIGNATURE.search(*name) else None


def _named_before(text: str, place: int, classification: Classification) -> Kind | None:
    end = place
    floor = max(0, place - 8)
    while end > floor and text[end - 1] in _CLOSING:
        end -= 1
    words = _words_before(text, end)
    if not words:
        return None
    kind = classification.kind_of(words[-1])
    while kind is None and len(words) > 1 and folded(words[-1]) in _QUALIFIERS:
        words.pop()
        kind = classification.kind_of(words[-1])
    if kind is None and len(words) > 2 and folded(words[-2]) in _OF:  # noqa: PLR2004 - "senha do aluno: ..."
        kind = classification.kind_of(words[-3])
    if kind is None and len(words) > 1:
        kind = next(
            (found for count in range(2, len(words) + 1) if (found := classification.kind_of_phrase(words[-count:]))),
            None,
        )
    return kind if kind is not None and kind.in_text and kind.treatment != "keep" else None


def _words_before(text: str, end: int) -> list[str]:
    """Return the name that ends there, and up to three words before it."""
    floor = max(0, end - _LONGEST_NAME)
    start = end
    while start > floor and (text[start - 1].isalnum() or text[start - 1] in _NAME_SIGNS):
        start -= 1
    if start == end:
        return []
    words = [text[start:end]]
    if text[start - 1 : start] in (" ", "\t"):
        words = [*text[max(0, start - _LOOK_BACK) : start].rsplit(None, 3)[-3:], *words]
    return words


def _plain_word(match: re.Match[str] | None, kind: Kind) -> Finding | None:
    """Return what stands where a value may stand or something else: if it looks like one, and no word or pair."""
    if match is None or kind.kind not in _SECRETS or _PAIR.match(match.group(1)):
        return None
    value = match.group(1)
    if kind.kind in ("code", "card_check"):
        is_value = _CODE.fullmatch(value) is not None
    else:
        is_value = not value.startswith(MARK) and is_no_word(value, kind.kind)
    return _trimmed(match.string, match.start(1), match.end(1), kind) if is_value else None


def _in_query(text: str, separator: re.Match[str], kind: Kind) -> Finding | None:
    """Return a value between ``?name=`` or ``&name=`` and the next ``&other=``: there it may hold spaces."""
    if separator.group() != "=" or not _QUERY_NAME.search(text, max(0, separator.start() - 66), separator.start()):
        return None
    value = _QUERY_VALUE.match(text, separator.end())
    return _trimmed(text, separator.end(), value.end(), kind) if value else None


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
        return _quoted(text, start, len(backslashes), quote, kind)
    if quote and kind.value not in ("line", "header", "email"):
        closing = text.find(_CLOSERS[quote], start)
        end = closing if 0 <= closing <= start + _FARTHEST_CLOSER else _end_of(text, start, kind)
    else:
        end = _end_of(text, start, kind)
    return _trimmed(text, start, end, kind)


def _quoted(text: str, start: int, level: int, quote: str, kind: Kind) -> Finding | None:
    """Return what lies between quotes; one that is escaped inside does not end it.

    Args:
        text: in which it lies.
        start: behind the opening quote.
        level: how many backslashes the quotes have themselves: 1 in JSON inside a string, 3 in JSON inside that.
        quote: the sign.
        kind: of the name before.

    """
    place = text.find(quote, start)
    while place >= 0:
        backslashes = 0
        while place - backslashes > start and text[place - backslashes - 1] == "\\":
            backslashes += 1
        # An escaped quote has twice as many and one more; each escaped backslash before it adds a multiple.
        if backslashes % (2 * (level + 1)) == level:
            end = place - level
            return Finding(start, end, kind.kind) if end > start else None
        place = text.find(quote, place + 1)
    return _trimmed(text, start, _end_of(text, start, kind), kind)


def _end_of(text: str, start: int, kind: Kind) -> int:
    if kind.value == "header":
        pattern = _END_OF_HEADER
    elif kind.value == "line":
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
    plain = folded(value)
    if plain in _NOTHING or plain.startswith(("nao ", "not ", "sem ")):
        return True
    # "E-mail: ..." in prose is followed by an address or by words; the address is found for itself.
    return kind.value == "email" and "@" not in value and "%40" not in value
