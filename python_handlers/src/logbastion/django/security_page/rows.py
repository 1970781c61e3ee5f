"""An event as a row of the page: texts alone, with what nobody sees or what turns a line around made visible."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from logbastion.django.security_page.filters import FilterForm
from logbastion.security_log.query import leaves, text_at

_MESSAGE: Final = 300
_WHOLE: Final = 20_000
_PSEUDONYM: Final = re.compile(r"p1:[a-z0-9-]{1,12}:[a-z2-7]{26}")
_KEPT: Final = frozenset("\n")
# Control, format and surrogate characters, line and paragraph separators, private and unassigned ones.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"})
_FILLERS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")  # letters and marks that are shown as nothing


@dataclass(frozen=True)
class Link:
    """A value, and the query string of the page that shows all events with it."""

    text: str
    query: str


@dataclass(frozen=True)
class Row:
    """One event."""

    time: str
    level: str
    event_type: Link
    address: Link | None
    person: Link | None
    correlation: Link | None
    message: str
    whole: str
    number: int


def visible(text: str, most: int) -> str:
    r"""Return a text of at most so many characters in which each character is seen.

    Those that are not, or that change the direction, are written as ``\u{202e}``. Lines stay.
    """
    cut = text[: most + 1]
    shown = "".join(
        character
        if character in _KEPT or (unicodedata.category(character) not in _UNSEEN and character not in _FILLERS)
        else f"\\u{{{ord(character):x}}}"
        for character in (cut[:most])
    )
    return f"{shown}…" if len(cut) > most else shown


def row_of(event: Mapping[str, Any], form: FilterForm, number: int) -> Row:
    """Return the row of an event.

    Args:
        event: as it is stored; it may hold anything.
        form: the filter that the links change.
        number: of the row, from 1.

    """

    def link(name: str, value: str, shown: str = "") -> Link | None:
        if not value:
            return None
        return Link(visible(shown or value, 128), form.as_query_string(**{name: value}))

    pseudonym = _pseudonym_in(event)
    kind = text_at(event, "event_type")
    return Row(
        time=visible(text_at(event, "@timestamp"), 40).replace("T", " ").removesuffix("Z"),
        level=visible(text_at(event, "level"), 16),
        event_type=link("event_type", kind) or Link("", ""),
        address=link("address", text_at(event, "security", "source_ip")),
        person=link("user", pseudonym, f"…{pseudonym[-8:]}"),
        correlation=link("correlation_id", text_at(event, "correlation_id")),
        message=visible(text_at(event, "message").replace("\n", " ⏎ "), _MESSAGE),
        # Escaped once by json for the quotes; what is not seen is made visible here, not as JSON's escapes.
        whole=visible(json.dumps(event, indent=2, ensure_ascii=False, default=str), _WHOLE),
        number=number,
    )


def _pseudonym_in(event: Mapping[str, Any]) -> str:
    """Return the first pseudonym of an event, its own fields before its message."""
    for text in (*leaves(event.get("extra")), event.get("message")):
        found = _PSEUDONYM.search(text) if isinstance(text, str) else None
        if found:
            return found[0]
    return ""
