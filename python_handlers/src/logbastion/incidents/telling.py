"""Logs what has happened to an incident, and starts the responses."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from logbastion.event_frame import EVENT_ID
from logbastion.identifiers import uuid7_of
from logbastion.incidents.keeper import Happening
from logbastion.incidents.reports import Phase
from logbastion.incidents.responses.runner import Responder
from logbastion.metrics import count_incident

LOGGER: Final = "incidents"
_LEVELS: Final = {"LOW": 30, "MEDIUM": 30, "HIGH": 50, "CRITICAL": 50}
_MAX_TOLD: Final = 1000
_WITHOUT_RESPONSE: Final = ("process_end", "merged")


class Told:
    """Which openings and ends this process has told: it does not do so again for itself."""

    def __init__(self) -> None:
        self._told: OrderedDict[tuple[str, str], bool] = OrderedDict()

    def begin(self, incident: str, phase: str) -> bool:
        """Remember; returns whether it is new."""
        new = (incident, phase) not in self._told
        self._told.setdefault((incident, phase), False)
        while len(self._told) > _MAX_TOLD:
            self._told.popitem(last=False)
        return new

    def end(self, incident: str, phase: str) -> None:
        """Remember that the responses have run."""
        self._told[incident, phase] = True

    def has_ended(self, incident: str, phase: str) -> bool:
        """Say whether the responses have run."""
        return self._told.get((incident, phase), False)


def tell(
    happening: Happening, responder: Responder | None, told: Told, finish: Callable[[str, Phase, bool], None]
) -> None:
    """Log an event and start the responses.

    Args:
        happening: what to tell.
        responder: runs the responses, if any.
        told: by this process.
        finish: is called with id, phase and whether it is shared, when the responses have run: from any thread.

    """
    report, phase = happening.report, happening.phase

    def finished() -> None:
        if phase != "ongoing":
            told.end(report.id, phase)
            finish(report.id, phase, happening.shared)

    new = phase == "ongoing" or told.begin(report.id, phase)
    if happening.again and not new:
        if told.has_ended(report.id, phase):
            finished()  # the store was away when it was said
        return
    responses = responder.planned(report, phase) if responder is not None else []
    if phase == "opened":
        _opened(happening, responses)
    elif phase == "resolved":
        _resolved(happening)
    if responder is None or happening.resolution in _WITHOUT_RESPONSE:
        finished()
    else:
        responder.submit(report, phase, finished, again=happening.again)


def _opened(happening: Happening, responses: list[str]) -> None:
    report, trigger = happening.report, happening.trigger
    if not happening.again:
        count_incident("opened", report.pattern.id)
    if trigger is not None:
        last = report.correlation_ids[-1] if report.correlation_ids else None
        trigger = {**trigger, "correlation_id": trigger["correlation_id"] or last}
    values: dict[str, Any] = {"triggering_log": trigger, "automated_response": responses}
    if trigger is not None and trigger["correlation_id"]:
        values["correlation_id"] = trigger["correlation_id"]
    _log(happening, _LEVELS[report.pattern.severity], "INCIDENT DETECTED: %s", "incident_opened", values)


def _resolved(happening: Happening) -> None:
    if not happening.again:
        count_incident("resolved", happening.report.pattern.id)
    values = {"resolution": happening.resolution}
    _log(happening, logging.INFO, "INCIDENT RESOLVED: %s", "incident_resolved", values)


def _log(happening: Happening, level: int, message: str, event_type: str, values: dict[str, Any]) -> None:
    report = happening.report
    kind = "alert" if happening.phase == "opened" else "event"
    extra = {"event_type": event_type, **report.fields(kind), **values}
    if happening.shared:
        # What a dead worker has told is told again: as the same document.
        digest = hashlib.sha256(f"{report.id}\0{event_type}".encode()).digest()
        extra[EVENT_ID] = uuid7_of(round(report.first * 1e6), digest)
    logging.getLogger(LOGGER).log(level, message, extra["incident_type"], extra=extra)
