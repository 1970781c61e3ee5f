"""What is known of an incident: while it lasts, and as it is handed to events and responses."""

from __future__ import annotations

import datetime
import hashlib
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
        id: the same in all processes of this host that see it begin in the same ``cooldown``; see :func:`incident_id`.
        pattern: what it is.
        first: time of its first line, seconds since 1970.
        last: of its newest.
        count: lines so far.
        correlation_ids: of requests that it met, the first 20.
        source_ip: the client's address as this package's own log-in and security events have it; else None.
        service: ``service.name``.
        host: the name of this host.

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

    def fields(self) -> dict[str, Any]:
        """Return the fields of an event, in the guide's and in ECS's words (``event.kind``, ``rule.*``)."""
        return {
            "incident_id": self.id,
            "incident_type": self.pattern.type or self.pattern.id,
            "severity": self.pattern.severity,
            "event": {"kind": "alert", "start": rfc3339(self.first), "end": rfc3339(self.last)},
            "rule": {"id": self.pattern.id, "name": self.pattern.title, "reference": self.pattern.runbook},
            "incident_count": self.count,
            "correlation_ids": list(self.correlation_ids),
        }


@dataclass
class OpenIncident:
    """One that lasts, or that has not had lines enough to open."""

    pattern: IncidentPattern
    first: float
    last: float
    id: str = ""
    count: int = 0
    correlation_ids: list[str] = field(default_factory=list)
    source_ip: str | None = None
    told_at: float = 0.0
    told_count: int = 0

    def add(self, now: float, correlation_id: object, source_ip: str | None) -> None:
        """Note one more line."""
        self.count += 1
        self.last = max(self.last, now)
        if isinstance(correlation_id, str) and len(self.correlation_ids) < MAX_CORRELATION_IDS:
            shown = correlation_id[:_MAX_ID]
            if shown not in self.correlation_ids:
                self.correlation_ids.append(shown)
        self.source_ip = source_ip or self.source_ip

    def report(self, service: str, host: str) -> IncidentReport:
        """Return what is known now."""
        return IncidentReport(
            self.id, self.pattern, self.first, self.last, self.count, tuple(self.correlation_ids), self.source_ip,
            service, host,
        )  # fmt: skip


def incident_id(pattern: IncidentPattern, first: float, service: str, host: str) -> str:
    """Return the id of an incident: made from what all workers know, so that theirs are the same.

    One that opens again within the same span of ``cooldown`` seconds has the same id.
    """
    text = f"{host}\0{service}\0{pattern.id}\0{int(first // pattern.cooldown)}"
    return f"inc_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def rfc3339(seconds: float) -> str:
    """Return a time for JSON, in UTC."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat()
