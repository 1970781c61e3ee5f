"""Finds values whose name stands before them without ``=`` or ``:``: elements, pairs in tuples, options of commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from logbastion.redaction.classification import Classification
from logbastion.redaction.markers import MARK, Finding

_ELEMENT: Final = re.compile(r"<([\w.\-]{1,64}(?::[\w.\-]{1,64})?)(?:\s[^<>]{0,200})?>([^<>]{1,4096})</")
_PAIR: Final = re.compile(r"(?<!\.)(['\"])([\w.$\- ]{1,64})\1\s?,\s?[bru]?(?=(['\"]))")
_FIELD: Final = re.compile(r"[A-Za-z_.]{1,64}")
_OPTION: Final = re.compile(r"(?<!\S)--?([A-Za-z][\w\-]{1,63})\s+(?!-)([^\s\"']{1,256})")
_QUOTED_OPTION: Final = re.compile(r"(?<!\S)--?([A-Za-z][\w\-]{1,63})[ \t=]{1,3}([\"'])")
_MYSQL_PASSWORD: Final = re.compile(r"(?i)(?:mysql|mariadb)\w{0,16}\s[^\r\n]{0,200}?(?<=\s)-p([^\s\-][^\s]{0,255})")
_CURL_USER: Final = re.compile(r"(?<!\S)(?:-u|--user)\s+([^\s:]{1,128}:[^\s]{1,256})")
# To the end of the line: a parameter may hold brackets of its own. It always matches, so no text is read twice.
_SQL_ARGUMENTS: Final = re.compile(r"; args=([(\[][^\r\n]*?)(?=; alias=|[\r\n]|\Z)")
# "params=(...)" of other libraries, "[parameters: (...)]" of SQLAlchemy: in a text with a statement only.
_NAMED_ARGUMENTS: Final = re.compile(
    r"(?i)(?<![a-z0-9])param(?:eter)?s[\"']?\s?[=:]\s?([(\[{][^\r\n]*?)(?=; alias=|[\r\n]|\Z)"
)
# Without a statement beside them: positional ones only, and only with a text among them.
_LONE_ARGUMENTS: Final = re.compile(
    r"(?i)(?<![a-z0-9])(?:sql_?)?param(?:eter)?s[\"']?\s?[=:]\s?([(\[](?=[^\r\n\"'{}]{0,200}[\"'])[^\r\n]*?)"
    r"(?=; alias=|[\r\n]|\Z)"
)
_STATEMENT: Final = re.compile(r"(?i)\b(?:select|insert\s{1,9}into|update|delete\s{1,9}from)\s")


def find_pairs(text: str, classification: Classification) -> Iterator[Finding]:
    """Yield values of classified names in XML, in tuples of two texts, and behind options of commands."""
    if "</" in text:
        yield from find_elements(text, classification)
    if "'" in text or '"' in text:
        for match in _PAIR.finditer(text):
            start = match.end() + 1
            end = _closing(text, start, match.group(3))
            if end > start and not _is_list_of_fields(text, match, start, end, classification):
                yield from _named(classification, match.group(2), start, end, text[start:end])
    if "-" in text:
        for match in _OPTION.finditer(text):
            yield from _named(classification, match.group(1), match.start(2), match.end(2), match.group(2))
        for match in _QUOTED_OPTION.finditer(text):
            end = _closing(text, match.end(), match.group(2))
            if end > match.end():
                yield from _named(classification, match.group(1), match.end(), end, text[match.end() : end])
        for pattern in (_MYSQL_PASSWORD, _CURL_USER):
            for match in pattern.finditer(text):
                yield Finding(match.start(1), match.end(1), "password")


def find_elements(text: str, classification: Classification) -> Iterator[Finding]:
    """Yield what stands in elements of XML with a classified name."""
    for match in _ELEMENT.finditer(text):
        yield from _named(classification, match.group(1), match.start(2), match.end(2), match.group(2))


def _closing(text: str, start: int, quote: str) -> int:
    """Return where the quote is that no backslash escapes; -1 without one."""
    place = text.find(quote, start)
    while place > 0 and (len(text[start:place]) - len(text[start:place].rstrip("\\"))) % 2:
        place = text.find(quote, place + 1)
    return place


def _is_list_of_fields(text: str, match: re.Match[str], start: int, end: int, classification: Classification) -> bool:
    """Tell ``['password', 'last_login', ...]`` and columns of a statement from ``('password', 'rouxinol')``."""
    if match.group(2).startswith("-") or not _FIELD.fullmatch(text, start, end):
        return False
    value = text[start:end]
    if ("_" in value and value.islower()) or classification.kind_of(value) is not None:
        return True
    alone = text[match.start() - 1 : match.start()] in ("(", "[") and text[end + 1 : end + 2] in (")", "]")
    return not alone


def find_sql_arguments(text: str) -> Iterator[Finding]:
    """Yield the parameters of a statement: Django's ``; args=(...)``, or ``params=(...)`` of other libraries."""
    patterns = (_SQL_ARGUMENTS, _NAMED_ARGUMENTS if _STATEMENT.search(text) else _LONE_ARGUMENTS)
    for pattern in patterns:
        for match in pattern.finditer(text):
            yield Finding(match.start(1), match.end(1), "sql_parameters")


def _named(classification: Classification, name: str, start: int, end: int, value: str) -> Iterator[Finding]:
    name = name.rpartition(":")[2]
    kind = classification.kind_of(name) or classification.kind_of(name.partition("__")[0])  # Django: "token__iexact"
    if kind is not None and kind.in_text and not value.startswith(MARK) and value.strip():
        yield Finding(start, end, kind.kind)
