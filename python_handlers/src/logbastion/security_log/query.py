"""What can be asked of the security stream, and what comes back: newest first, page by page."""

from __future__ import annotations

import datetime
import ipaddress
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

SEVERE: Final = frozenset({"WARNING", "ERROR", "CRITICAL"})
"""Levels that are counted apart."""
MAX_TYPES: Final = 200
_BARS: Final = 48
_DAY: Final = 86_400
_STEPS: Final = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, _DAY)
_MICROSECONDS: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)")
_EPOCH: Final = datetime.datetime(1970, 1, 1)  # UTC; naive, as the text without its Z


@dataclass(frozen=True)
class Cursor:
    """A place in the stream: between the event that it names and the next one.

    Args:
        moment: ``@timestamp`` of the event, as it is written there.
        event_id: its ``event.id``; empty for an event without one.

    """

    moment: str
    event_id: str

    @property
    def key(self) -> tuple[int, str]:
        """By which events are put in order."""
        return moment_of(self.moment), self.event_id


@dataclass(frozen=True)
class Query:
    """One question.

    Args:
        since: the first moment, in UTC.
        until: the last moment, in UTC.
        event_type: only events of this type.
        address: only events of this address or network (CIDR).
        pseudonyms: only events of one person: those with any of these.
        correlation_id: only events of this request.
        size: events on a page.
        cursor: where the page begins; None is the newest event.
        direction: to which side of the cursor the page lies.

    """

    since: datetime.datetime
    until: datetime.datetime
    event_type: str = ""
    address: str = ""
    pseudonyms: tuple[str, ...] = ()
    correlation_id: str = ""
    size: int = 50
    cursor: Cursor | None = None
    direction: Literal["older", "newer"] = "older"

    @property
    def step_seconds(self) -> int:
        """Seconds of one bar of the counts over time: as few as give at most 48 bars."""
        least = (self.until - self.since).total_seconds() / _BARS
        return next((step for step in _STEPS if step >= least), math.ceil(least / _DAY) * _DAY)

    def bars(self, counted: Mapping[int, tuple[int, int]]) -> list[Bar]:
        """Return a bar for each step of the time, also for those without events.

        Args:
            counted: events, and severe ones, by the second since 1970 at which the step begins.

        """
        step = self.step_seconds
        first, last = (math.floor(moment.timestamp()) // step * step for moment in (self.since, self.until))
        return [Bar(begin, *counted.get(begin, (0, 0))) for begin in range(first, last + 1, step)]


@dataclass(frozen=True)
class Bar:
    """How many events one step of the time has."""

    begin: int
    """Seconds since 1970."""
    events: int
    severe: int
    """Those at WARNING and above."""


@dataclass(frozen=True)
class Found:
    """The answer: one page of events, and counts of all that the question matches."""

    events: list[dict[str, Any]]
    """The newest first."""
    total: int
    older: bool
    """Whether there is a page of older events."""
    newer: bool
    bars: list[Bar]
    types: list[tuple[str, int]] = field(default_factory=list)
    """The types that the filter without its type matches, the most frequent first."""
    notes: list[str] = field(default_factory=list)
    """Sentences about what the answer does not have."""


def moment_of(text: object) -> int:
    """Return an event's ``@timestamp`` in microseconds since 1970.

    Raises:
        ValueError: it is no RFC 3339 time in UTC.

    """
    match = _MICROSECONDS.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("an event's time is RFC 3339 in UTC")
    whole = datetime.datetime.fromisoformat(match[1]) - _EPOCH
    return whole // datetime.timedelta(microseconds=1) + int((match[2] or "").ljust(6, "0")[:6])


def cursor_of(event: Mapping[str, Any]) -> Cursor:
    """Return the place of an event."""
    return Cursor(str(event.get("@timestamp", "")), text_at(event, "event", "id"))


def text_at(event: Mapping[str, Any], *path: str) -> str:
    """Return the text at a path of an event, written as nested objects; empty where there is none."""
    value: Any = event
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""


def matches(query: Query, event: Mapping[str, Any]) -> bool:
    """Say whether an event is one that is asked for; its time and its type are not looked at."""
    if query.correlation_id and event.get("correlation_id") != query.correlation_id:
        return False
    if query.address and not _is_from(text_at(event, "security", "source_ip"), query.address):
        return False
    if query.pseudonyms:
        texts = [event.get("message"), *leaves(event.get("extra"))]
        return any(name in text for text in texts if isinstance(text, str) for name in query.pseudonyms)
    return True


def leaves(value: Any) -> Iterator[Any]:
    """Give what stands at the ends of nested objects and lists."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from leaves(one)
    else:
        yield value


def _is_from(address: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
