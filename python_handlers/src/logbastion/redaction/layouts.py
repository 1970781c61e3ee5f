"""Finds values whose name stands apart: in forms, tables and lists, in comparisons of SQL, in other sentences.

What stands beside a name here may be anything, so where nothing marks it as a value it has to look like a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from logbastion.redaction.classification import Classification, Kind
from logbastion.redaction.markers import MARK, Finding
from logbastion.redaction.prose import is_no_word, may_be_a_password

_SECRETS: Final = frozenset({"password", "secret", "session", "code", "card_check"})
_NAME_SIGNS: Final = "_-."
_LONGEST_NAME: Final = 64
_FARTHEST: Final = 240
# An attribute or a key "name" (RFC 7578, 4.2 in bodies of forms), and the "value" in the same element or object.
_NAME_KEY: Final = re.compile(
    r"(?i)(?<![\w\-])(?:name|key|field|param|parameter|header|campo|nome)\\{0,3}[\"']?\s?[=:]\s?\\{0,3}[\"']"
    r"([\w.\-\[\]$ ]{1,64}?)\\{0,3}[\"']"
)
_VALUE_KEY: Final = re.compile(r"(?i)(?<![\w\-])(?:value|valor|val|content)\\{0,3}[\"']?\s?[=:]\s?(\\{0,3})([\"'])")
_BREAK: Final = r"(?:\r?\n|\\r\\n|\\n)"
_PART: Final = re.compile(
    rf"(?i)form-data;[^\r\n\\]{{0,64}}?\bname=\\?\"([\w.\-\[\]]{{1,64}})\\?\"[^\r\n\\]{{0,200}}{_BREAK}"
    rf"(?:[a-z\-]{{1,40}}:[^\r\n\\]{{0,200}}{_BREAK}){{0,4}}{_BREAK}"
)
_PART_END: Final = re.compile(rf"{_BREAK}--|\Z")
_CELLS: Final = re.compile(
    r"(?i)<(?:th|td|dt|label|b|strong)\b[^<>]{0,100}>\s{0,9}([\w.\-]{1,64})\s?:?\s{0,9}</\w{1,9}>\s{0,9}"
    r"<(?:td|dd|span|input|code|pre)\b[^<>]{0,100}>([^<>]{1,512})<"
)
# What separates a name from the cell, line or word beside it.
_GLUE: Final = re.compile(
    r"[ \t]{0,8}\|[ \t]{0,8}|\][ \t]{1,4}|[ \t]-{1,2}[ \t]|[ \t]?[-~]>[ \t]?|\t[ \t]{0,4}|:?\*{2}:?[ \t]{0,4}"
    r"|[ \t]?:?(?:\r?\n|\\r\\n|\\n)[ \t]{0,16}|[\"'`]?[ \t](?:is|\u00e9|was|era)[ \t]"
    r"|:[ \t]?[|>][+\-]?(?:\r?\n|\\n)[ \t]{1,16}"
)
_GLUE_SIGNS: Final = ("|", "] ", "]\t", " -", "\t", "->", "~>", "**", "\n", "\\n", " is ", " \u00e9 ", " was ", " era ")
_COPULAS: Final = ("is ", "as ", "ra ", " \u00e9 ", "-> ")
_BESIDE: Final = re.compile(r"[\"'`(\[]?([^\s|\"'`<>]{3,256})")
_IN_BRACKETS: Final = re.compile(r"[(\[]([\w.\-]{2,64})[ \t]([^\s\"'`<>()\[\]]{3,256})[)\]]")
_CODE: Final = re.compile(r"\d{3}[ \-]?\d{0,5}(?!\w)")
_FARTHEST_WORD: Final = 48
_DIGITS_OF_TOKEN: Final = 5
_COMPARED: Final = re.compile(
    r"(?i)[\"`\]]?[ \t](?:not[ \t])?(?:i?like|similar[ \t]to|regexp|rlike|in|between|<>|!=|~\*?)[ \t]?(?=['(])"
)
_COMPARISONS: Final = ("like", " in ", " in(", "<>", "!=", "between", "regexp", "similar", "~")
_SQL_ITEM: Final = re.compile(r"[\s(,]{0,8}(?:and[ \t])?[EeNn]?'((?:[^']|''){1,4096})'")
_REVERSED: Final = re.compile(
    r"(?:\"(?P<double>[^\"\r\n]{1,256})\"|'(?P<single>[^'\r\n]{1,256})')[ \t]"
    r"(?:for|as|em|in|para|como|is not a valid|n\u00e3o \u00e9 uma? v\u00e1lid[oa])[ \t]"
    r"(?:(?:the|o|a|field|campo)[ \t]){0,2}[\"'`]?(?P<name>[\w.\-]{2,64})"
)
_WITH_VALUE: Final = re.compile(
    r"[\"'](?P<name>[\w.\-]{2,64})[\"'][ \t](?:with|has|had|com|tem|de)[ \t](?:(?:the|an?|o|um)[ \t])?(?:invalid[ \t])?"
    r"(?:value|valor)[ \t](?P<quote>[\"'])(?P<value>(?:\\.|(?!(?P=quote))[^\\\r\n]){3,256})(?P=quote)"
)
_LATER_QUOTE: Final = re.compile(r"[ \t(](?P<quote>[\"'`])(?P<value>(?:\\.|(?!(?P=quote))[^\\\r\n]){3,256})(?P=quote)")
_SAME_SENTENCE: Final = re.compile(r"[^\"'`\r\n=<>]{1,48}\Z")
_WORD_OF_SECRET: Final = re.compile(r"[\w\-]{2,64}")
_TRAILING: Final = ",;.)]} \t*"


def find_forms(text: str, lower: str, classification: Classification) -> Iterator[Finding]:
    """Yield values of forms: parts of a multipart body, elements and objects that have a name and a value, cells.

    Args:
        text: any.
        lower: the same in small letters.
        classification: the table.

    """
    if "form-data" in lower:
        for part in _PART.finditer(text):
            end = _PART_END.search(text, part.end())
            yield from _named(classification, part.group(1), part.end(), end.start() if end else len(text), text)
    if ("val" in lower or "content" in lower) and ("name" in lower or "key" in lower or "f" in lower):
        for name in _NAME_KEY.finditer(text):
            value = _value_beside(text, name.start(), name.end())
            if value is not None:
                yield from _named(classification, name.group(1), *value, text)
    if "<" in text:
        yield from find_cells(text, classification)


def find_cells(text: str, classification: Classification) -> Iterator[Finding]:
    """Yield values of HTML whose name stands in the cell or label before them."""
    for cell in _CELLS.finditer(text):
        yield from _named(classification, cell.group(1), cell.start(2), cell.end(2), text)


def _value_beside(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Return where the value lies that is in the same brackets as a name, behind it or before it."""
    limit = min(len(text), end + _FARTHEST)
    for sign in ">})":
        closing = text.find(sign, end, limit)
        limit = closing if closing >= 0 else limit
    key = _VALUE_KEY.search(text, end, limit)
    if key is None:
        for key in _VALUE_KEY.finditer(text, max(0, start - _FARTHEST), start):  # noqa: B007 - the last one counts
            pass
    if key is None:
        return None
    closing = _closing_quote(text, key.end(), key.group(2), len(key.group(1)))
    return key.end(), closing


def _closing_quote(text: str, start: int, quote: str, level: int) -> int:
    """Return where a quoted value ends; without a quote that ends it, with its line."""
    mark = "\\" * level + quote
    place = text.find(mark, start, start + 4096)
    while place > 0 and text[place - 1] == "\\" and level == 0:
        place = text.find(mark, place + 1, start + 4096)
    if place >= 0:
        return place
    line = text.find("\n", start, start + 4096)
    return line if line >= 0 else min(len(text), start + 4096)


def find_beside(text: str, classification: Classification) -> Iterator[Finding]:
    """Yield what stands in the next cell, line or word beside the name of a secret, if it looks like one."""
    for glue in _GLUE.finditer(text) if any(sign in text for sign in _GLUE_SIGNS) else ():
        kind = _kind_before(text, glue.start(), classification)
        if kind is None:
            continue
        beside = _BESIDE.match(text, glue.end())
        if beside is None:
            continue
        if kind.kind == "password" and glue.group()[-3:] in _COPULAS and may_be_a_password(beside.group(1)):
            yield Finding(beside.start(1), beside.start(1) + len(beside.group(1).rstrip(_TRAILING)), kind.kind)
        else:
            yield from _like_a_secret(text, beside.start(1), beside.end(1), kind)
    for match in _IN_BRACKETS.finditer(text) if "(" in text or "[" in text else ():
        kind = classification.kind_of(match.group(1))
        if kind is not None and kind.kind in _SECRETS and _counts(kind):
            yield from _like_a_secret(text, match.start(2), match.end(2), kind)


def find_compared(text: str, lower: str, classification: Classification) -> Iterator[Finding]:
    """Yield what a name is compared with in SQL, and what a sentence quotes before the name of a secret.

    Args:
        text: any.
        lower: the same in small letters.
        classification: the table.

    """
    for match in _COMPARED.finditer(text) if any(sign in lower for sign in _COMPARISONS) else ():
        kind = _kind_before(text, match.start(), classification, secrets=False)
        item = _SQL_ITEM.match(text, match.end()) if kind is not None else None
        while item is not None and kind is not None:
            yield Finding(item.start(1), item.end(1), kind.kind)
            item = _SQL_ITEM.match(text, item.end())
    for match in _REVERSED.finditer(text) if "' " in text or '" ' in text else ():
        value = "double" if match["double"] else "single"
        yield from _named(classification, match["name"].rstrip("."), match.start(value), match.end(value), text)
    for match in _WITH_VALUE.finditer(text) if "val" in lower else ():
        yield from _named(classification, match["name"], match.start("value"), match.end("value"), text)


def find_quoted_later(text: str, classification: Classification) -> Iterator[Finding]:
    """Yield what is quoted a few words behind a classified name: ``invalid passwd, got '...'``."""
    for match in _LATER_QUOTE.finditer(text):
        before = _SAME_SENTENCE.search(text, max(0, match.start() - _FARTHEST_WORD), match.start())
        kind = _last_kind(text, before, classification) if before else None
        if kind is None:
            continue
        if kind.kind == "password" and _is_announced(text, match.start()) and _has_capitals_inside(match["value"]):
            yield Finding(match.start("value"), match.end("value"), kind.kind)
        elif kind.kind in _SECRETS:
            yield from _like_a_secret(text, match.start("value"), match.end("value"), kind, quoted=True)
        elif kind.value == "phrase" and " " in match["value"].strip():
            yield Finding(match.start("value"), match.end("value"), kind.kind)


def _is_announced(text: str, place: int) -> bool:
    """Say whether the words before a quote say that it is a value: ``... was refused: '...'``, ``..., got '...'``."""
    return text.endswith((":", "got", "was", "is", "=", "recebido"), 0, place)


def _has_capitals_inside(word: str) -> bool:
    return word.isalpha() and not (word.islower() or word.istitle() or word.isupper())


def _last_kind(text: str, before: re.Match[str], classification: Classification) -> Kind | None:
    """Return the kind that the last word names which names one."""
    found = None
    for word in _WORD_OF_SECRET.finditer(text, before.start(), before.end()):
        kind = classification.kind_of(word.group()) if not text.endswith(MARK, 0, word.start()) else None
        found = kind if _counts(kind) else found
    return found


def _kind_before(text: str, end: int, classification: Classification, *, secrets: bool = True) -> Kind | None:
    """Return the kind that the word before a place names; only kinds of secrets unless said otherwise."""
    floor = max(0, end - 4)
    while end > floor and text[end - 1] in "\"'`*])":
        end -= 1
    floor = max(0, end - _LONGEST_NAME)
    start = end
    while start > floor and (text[start - 1].isalnum() or text[start - 1] in _NAME_SIGNS):
        start -= 1
    if (
        start == end
        or (start == floor and start > 0)
        or text[start - 1 : start] == "/"
        or text.endswith(MARK, 0, start)
    ):
        return None
    kind = classification.kind_of(text[start:end].strip("-."))
    if not _counts(kind) or (secrets and kind.kind not in _SECRETS):  # type: ignore[union-attr]
        return None
    return kind


def _counts(kind: Kind | None) -> bool:
    return kind is not None and kind.in_text and kind.treatment != "keep"


def _like_a_secret(text: str, start: int, end: int, kind: Kind, *, quoted: bool = False) -> Iterator[Finding]:
    if text.startswith(MARK, start):
        return
    if not quoted:
        while end > start and text[end - 1] in _TRAILING:
            end -= 1
    value = text[start:end]
    if kind.kind in ("code", "card_check"):
        code = _CODE.match(text, start)
        if code is not None:
            yield Finding(start, code.end(), kind.kind)
    elif value.isdigit():
        if len(value) >= _DIGITS_OF_TOKEN or kind.kind == "password":
            yield Finding(start, end, kind.kind)
    elif is_no_word(value, kind.kind):
        yield Finding(start, end, kind.kind)


def _named(classification: Classification, name: str, start: int, end: int, text: str) -> Iterator[Finding]:
    kind = classification.kind_of(name)
    if _counts(kind) and end > start and not text.startswith(MARK, start) and text[start:end].strip():
        yield Finding(start, end, kind.kind)  # type: ignore[union-attr]
