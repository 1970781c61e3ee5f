"""Moves values of ``extra`` to the typed fields ``security.*`` and ``performance.*``, where their type allows it.

The guide's helper events give ``source_ip``, ``user_agent``, ``risk_score``, ``duration_ms``, ``operation`` and
``success`` flat in ``extra``; its mapping wants them in two objects. Both spellings are taken. A value that the mapping
would refuse (an address that is none, a duration that is text) stays in ``extra``, because a refused field would cost
the whole event.

What dashboards count by (money) is copied to fields of its own: Kibana cannot count by the keys of a
``flattened`` field. ``extra`` keeps it, as the guide writes it.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Any, Final

_FLOAT_LIMIT: Final = 3.4e38
"""Elasticsearch refuses a ``float`` that is not finite in 32 bits."""
_MAX_OPERATION_BYTES: Final = 1024
_MAX_IP_LENGTH: Final = 45
"""``0000:0000:0000:0000:0000:ffff:255.255.255.255``."""


def _is_ip(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_IP_LENGTH and _is_ip_text(value)


@lru_cache(maxsize=1024)
def _is_ip_text(value: str) -> bool:
    if "%" in value:  # Elasticsearch refuses the zone of fe80::1%eth0
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_float(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _FLOAT_LIMIT


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_keyword(value: object) -> bool:
    return isinstance(value, str) and len(value.encode()) <= _MAX_OPERATION_BYTES


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


_SECURITY: Final = {"source_ip": _is_ip, "user_agent": _is_text, "risk_score": _is_float}
_PERFORMANCE: Final = {"duration_ms": _is_float, "operation": _is_keyword, "success": _is_bool}


_DECIMAL: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,15})?", re.ASCII)


def _is_decimal(value: object) -> bool:
    return isinstance(value, str) and _DECIMAL.fullmatch(value) is not None


_PAYMENT: Final = {"amount": _is_decimal, "currency": _is_keyword, "decline_code": _is_keyword}
_PAYMENT_SIGNS: Final = ("amount", "decline_code")

TYPED: Final = frozenset({"security", "performance", *_SECURITY, *_PERFORMANCE, *_PAYMENT_SIGNS})
"""Names in ``extra`` that :func:`take_typed` looks at."""


def _take(extra: dict[str, Any], group: str, fields: dict[str, Any], flat: tuple[str, ...]) -> dict[str, Any]:
    taken: dict[str, Any] = {}
    for name in flat:
        if name in extra and fields[name](extra[name]):
            taken[name] = extra.pop(name)
    nested = extra.get(group)
    if isinstance(nested, dict):
        for name, fits in fields.items():
            if name in nested and fits(nested[name]):
                taken[name] = nested.pop(name)
        if not nested:
            del extra[group]
    return taken


def _copy(event: dict[str, Any], extra: dict[str, Any]) -> None:
    if "amount" in extra or "decline_code" in extra:
        payment = {name: extra[name] for name, fits in _PAYMENT.items() if name in extra and fits(extra[name])}
        if not payment.keys().isdisjoint(_PAYMENT_SIGNS):
            event["payment"] = payment


def take_typed(event: dict[str, Any], extra: dict[str, Any]) -> None:
    """Move what fits from ``extra`` into ``event["security"]`` and ``event["performance"]``, and copy the rest."""
    _copy(event, extra)
    taken = _take(extra, "security", _SECURITY, tuple(_SECURITY))
    if taken:
        event["security"] = taken
    _take_performance(event, extra)


def _take_performance(event: dict[str, Any], extra: dict[str, Any]) -> None:
    # A flat `success` is the outcome of an operation only beside `duration_ms` or `operation`; alone (as in the guide's
    # log-in event) it says something else and stays in `extra`.
    measured = "duration_ms" in extra or "operation" in extra
    flat = tuple(_PERFORMANCE) if measured else ("duration_ms", "operation")
    taken = _take(extra, "performance", _PERFORMANCE, flat)
    if taken:
        event["performance"] = taken
