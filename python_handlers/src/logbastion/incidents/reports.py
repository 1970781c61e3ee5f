"""What is known of an incident: while it lasts, and as it is handed to events and responses."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from logbastion.incidents.patterns import IncidentPattern

Phase = Literal["opened", "ongoing", "resolved"]
MAX_CORRELATION_IDS: Final = 20
_MAX_ID: Final = 128


@dataclass(frozen=True)
class IncidentReport:
    """An incident at one moment.

    Args:
        id: of this incident. Where each process has its own incidents, those of a host that begin in the same
            ``cooldown`` have one id; see :func:`incident_id`.
        pattern: what it is.
        first: time of its first line, seconds since 1970.
        last: of its newest.
        count: lines so far.
        correlation_ids: of requests that it met, the first 20.
        source_ip: the client's address as this package's own log-in and security events have it; else None.
        service: ``service.name``.
        host: the name of the host on which it was opened.

    """

    id: str
    pattern: IncidentPattern
    first: float
    last: float
    count: int
    correlation_ids: tuple[str, ...]
    source_ip: str | None
    service: str
    host: str

    def fields(self, kind: str = "alert") -> dict[str, Any]:
        """Return the fields of an event, in the guide's and in ECS's words.

        Args:
            kind: ECS's ``event.kind``: ``alert`` when it opens, ``event`` when it is resolved.

        """
        return {
            "incident_id": self.id,
            "incident_type": self.pattern.type or self.pattern.id,
            "severity": self.pattern.severity,
            "event": {
                "kind": kind,
                "category": list(self.pattern.category),
                "start": rfc3339(self.first),
                "end": rfc3339(self.last),
            },
            "rule": {"id": self.pattern.id, "name": self.pattern.title, "reference": self.pattern.runbook},
            "incident_count": self.count,
            "correlation_ids": list(self.correlation_ids),
        }


@dataclass
class Lines:
    """Lines of one pattern that are not yet in a store.

    Args:
        pattern: what they match.
        first: when the first was logged, in seconds of a clock that only grows.
        last: the newest.
        count: how many.
        correlation_ids: of their requests, the first 20.
        source_ip: the newest address, see :class:`IncidentReport`.
        trigger: of the first, for the event. It stays in this process: nothing has redacted it yet.
        announced: the id under which this process has opened them while the store was away.

    """

    pattern: IncidentPattern
    first: float
    last: float
    count: int = 0
    correlation_ids: list[str] = field(default_factory=list)
    source_ip: str | None = None
    trigger: dict[str, Any] | None = None
    announced: str = ""

    def add(self, now: float, correlation_id: object, source_ip: str | None) -> None:
        """Note one more line."""
        self.count += 1
        self.last = max(self.last, now)
        if isinstance(correlation_id, str):
            add_ids(self.correlation_ids, [correlation_id[:_MAX_ID]])
        self.source_ip = source_ip or self.source_ip

    def merge(self, later: Lines) -> None:
        """Take lines that came after these."""
        self.count += later.count
        self.last = max(self.last, later.last)
        add_ids(self.correlation_ids, later.correlation_ids)
        self.source_ip = later.source_ip or self.source_ip
        self.trigger = self.trigger or later.trigger


def add_ids(known: list[str], more: Iterable[str]) -> None:
    """Add correlation ids that are not known yet, up to 20 in all."""
    for one in more:
        if len(known) >= MAX_CORRELATION_IDS:
            return
        if one not in known:
            known.append(one)


def incident_id(pattern: IncidentPattern, first: float, service: str, host: str) -> str:
    """Return the id of an incident of one process: made from what all workers know, so that theirs are the same.

    One that opens again within the same span of ``cooldown`` seconds has the same id.
    """
    return _digest(f"{host}\0{service}\0{pattern.id}\0{int(first // pattern.cooldown)}")


def shared_incident_id(pattern_id: str, first: float, scope: str) -> str:
    """Return the id of an incident in a store that processes share: no other one has it."""
    return _digest(f"{scope}\0{pattern_id}\0{first!r}")


def _digest(text: str) -> str:
    return f"inc_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def rfc3339(seconds: float) -> str:
    """Return a time for JSON, in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()
