"""Reads the part of Kibana's query language (KQL) that the dashboards use, and refuses the rest. A colon within a word is written `\\:`.

What it becomes is what Kibana's `toElasticsearchQuery` makes of it: `match` and `match_phrase`, `range`, `exists`, `query_string` for a wildcard.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

_TOKENS: Final = re.compile(r'\s*(?:(?P<text>"[^"\\]*")|(?P<sign>>=|<=|[():<>])|(?P<word>(?:[^\s():<>"\\{}]|\\:)+))')
_RANGES: Final = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}
_WORDS: Final = frozenset({"and", "or", "not"})


class KqlError(ValueError):
    """The text is none of the part that is known here."""


@dataclass(frozen=True)
class Query:
    """A query as Elasticsearch takes it, and what it asks of which field: `match`, `range` or `exists`."""

    body: dict[str, Any]
    asks: tuple[tuple[str, str], ...]


def parse(text: str) -> Query:
    """Return the query that Kibana sends.

    Raises:
        KqlError: it is not of the part that is known.

    """
    if not text.strip():
        return Query({"match_all": {}}, ())
    reader = _Reader(text)
    body = reader.alternatives()
    if reader.left:
        raise KqlError(f"{text!r}: {reader.left[0]!r} is not expected")
    return Query(body, tuple(reader.asks))


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.left, self.asks = text, self._tokens(text), list[tuple[str, str]]()

    def _tokens(self, text: str) -> list[str]:
        found, place = [], 0
        text = text.strip()
        while place < len(text):
            match = _TOKENS.match(text, place)
            if match is None:
                raise KqlError(f"{text!r}: nothing is known that begins with {text[place:][:20]!r}")
            found.append(match[0].strip())
            place = match.end()
        return found

    def _next(self) -> str:
        if not self.left:
            raise KqlError(f"{self.text!r} ends too early")
        return self.left.pop(0)

    def _is(self, word: str) -> bool:
        if self.left and self.left[0].lower() == word:
            self.left.pop(0)
            return True
        return False

    def alternatives(self) -> dict[str, Any]:
        parts = [self._all_of()]
        while self._is("or"):
            parts.append(self._all_of())
        return parts[0] if len(parts) == 1 else {"bool": {"should": parts, "minimum_should_match": 1}}

    def _all_of(self) -> dict[str, Any]:
        parts = [self._one()]
        while self._is("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else {"bool": {"filter": parts}}

    def _one(self) -> dict[str, Any]:
        if self._is("not"):
            return {"bool": {"must_not": self._one()}}
        if self._is("("):
            inner = self.alternatives()
            if not self._is(")"):
                raise KqlError(f"{self.text!r}: a bracket is not closed")
            return inner
        field = self._next()
        if field.lower() in _WORDS or not re.fullmatch(r"[@A-Za-z_][\w.@]*", field):
            raise KqlError(f"{self.text!r}: {field!r} is no field (searches in all fields are not known here)")
        sign = self._next()
        if sign in _RANGES:
            self.asks.append((field, "range"))
            return {"range": {field: {_RANGES[sign]: self._value()}}}
        if sign != ":":
            raise KqlError(f"{self.text!r}: {sign!r} after {field} is not known")
        if not self._is("("):
            return self._compared(field)
        parts = [self._compared(field)]
        while self._is("or"):
            parts.append(self._compared(field))
        if not self._is(")"):
            raise KqlError(f"{self.text!r}: values in brackets are joined by `or` alone")
        return {"bool": {"should": parts, "minimum_should_match": 1}}

    def _value(self) -> str:
        value = self._next()
        if value.lower() in _WORDS or re.fullmatch(r">=|<=|[():<>]", value):
            raise KqlError(f"{self.text!r}: {value!r} is no value")
        return value

    def _compared(self, field: str) -> dict[str, Any]:
        value = self._value()
        if value == "*":
            self.asks.append((field, "exists"))
            return {"exists": {"field": field}}
        self.asks.append((field, "match"))
        if value.startswith('"'):
            return {"match_phrase": {field: value[1:-1]}}
        value = value.replace("\\:", ":")
        if "*" in value:
            return {"query_string": {"fields": [field], "query": "*".join(map(_escaped, value.split("*")))}}
        return {"match": {field: value}}


def _escaped(text: str) -> str:
    """Return a text in which nothing means something to `query_string`, as Kibana writes it."""
    return re.sub(r'([+\-=&|><!(){}\[\]^"~*?:\\/])', r"\\\1", text)
