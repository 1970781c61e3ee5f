"""Moves what an event says of an incident from ``extra`` to fields of its own, where the mapping has them.

Only beside an ``incident_id``: an application may mean something else by ``severity`` or ``event``. The names are the
guide's ("Automated Incident Response") and ECS 8.17's (``event.kind``, ``event.category``, ``event.start``,
``event.end``, ``rule.*``). A value of another type stays in ``extra``.

The gate does not look at ``event``, which is the formatter's own. So only words that ECS lists and times get there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

INCIDENT: Final = "incident_id"
KINDS: Final = frozenset({"alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"})
"""What ``event.kind`` may be (ECS 8.17, "ECS Categorization Field: event.kind")."""
CATEGORIES: Final = (
    "api", "authentication", "configuration", "database", "driver", "email", "file", "host", "iam",
    "intrusion_detection", "library", "malware", "network", "package", "process", "registry", "session", "threat",
    "vulnerability", "web",
)  # fmt: skip
"""What ``event.category`` may be (ECS 8.17, "ECS Categorization Field: event.category")."""
_MAX_BYTES: Final = 1024
_MAX_LONG: Final = 2**63
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|\+00:00)")


def _is_keyword(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value.encode("utf-8", "replace")) <= _MAX_BYTES


def _are_keywords(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_keyword, value))


def _is_kind(value: object) -> bool:
    return isinstance(value, str) and value in KINDS


def _are_categories(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and one in CATEGORIES for one in value)


def _is_time(value: object) -> bool:
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _MAX_LONG


_FLAT: Final[dict[str, Callable[[object], bool]]] = {
    INCIDENT: _is_keyword,
    "incident_type": _is_keyword,
    "severity": _is_keyword,
    "incident_count": _is_count,
    "correlation_ids": _are_keywords,
}
_EVENT: Final[dict[str, Callable[[object], bool]]] = {
    "kind": _is_kind,
    "category": _are_categories,
    "start": _is_time,
    "end": _is_time,
}
_RULE: Final[dict[str, Callable[[object], bool]]] = dict.fromkeys(("id", "name", "reference"), _is_keyword)


def take_incident(event: dict[str, Any], extra: dict[str, Any]) -> None:
    """Move what fits from ``extra`` into ``event``; its ``event.id`` and ``event.dataset`` stay as they are."""
    event.update(_taken(extra, _FLAT))
    for group, fields in (("event", _EVENT), ("rule", _RULE)):
        given = extra.get(group)
        if isinstance(given, dict):
            taken = _taken(given, fields)
            if taken:
                event[group] = {**event.get(group, {}), **taken}
            if not given:
                del extra[group]


def _taken(values: dict[str, Any], fields: dict[str, Callable[[object], bool]]) -> dict[str, Any]:
    return {name: values.pop(name) for name, fits in fields.items() if name in values and fits(values[name])}
