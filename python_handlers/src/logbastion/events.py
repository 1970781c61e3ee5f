"""Log events with the guide's names, for payments and log-ins (guide, "Data Protection Implementation")."""

from __future__ import annotations

import decimal
import logging
import re
from collections.abc import Mapping
from typing import Any, Final

_DOMAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_HIDDEN: Final = "***"
_MAX_USER_AGENT: Final = 512
_MAX_REASON: Final = 200
_SHOWN_FROM: Final = 3


def log_payment_event(payment_intent: Any, amount: decimal.Decimal | int | str, student_id: int) -> None:
    """Log a payment that went through, on ``finances.payments``.

    Only the fields that the guide allows are read from the payment: id, currency, type of method, brand and last four
    digits of the card (PCI DSS v4.0.1, 3.4.1). Money is written as decimal text, never as a binary fraction. Never
    raises.

    Args:
        payment_intent: Stripe's object or a dict like it.
        amount: in units of the currency, such as ``Decimal("49.90")``.
        student_id: primary key of the student.

    """
    method = _get(payment_intent, "payment_method")
    card = _get(method, "card")
    money = _money(amount)
    extra = {
        "event_type": "payment_success",
        "payment_intent_id": _get(payment_intent, "id"),
        "amount": money,
        "currency": str(_get(payment_intent, "currency") or "EUR").upper()[:3],
        "student_id": student_id,
        "payment_method_type": _get(method, "type"),
        "card_last_four": _last_four(_get(card, "last4")),
        "card_brand": _get(card, "brand"),
    }
    if money is None:
        extra["amount_is_invalid"] = True
    logging.getLogger("finances.payments").info("Payment processed successfully", extra=_present(extra))


def log_authentication_attempt(
    email: str,
    success: bool,
    failure_reason: str | None = None,
    request: Any = None,
) -> None:
    """Log an attempt to log in, on ``accounts.auth``: INFO when it succeeded, WARNING when it failed.

    The address is masked in both cases (see :func:`masked_email`). Failures count as
    ``security_events_total{event_type="authentication_failure"}``. Never raises.

    Args:
        email: the address or user name that was given.
        success: whether it was let in.
        failure_reason: a word of yours, such as ``invalid_credentials``; not the user's input.
        request: the Django request, for address and user agent.

    """
    extra = {
        "event_type": "authentication_attempt",
        "email": masked_email(email),
        "success": bool(success),
        "failure_reason": str(failure_reason)[:_MAX_REASON] if failure_reason else None,
        "source_ip": get_client_ip(request),
        "user_agent": get_user_agent(request),
    }
    logging.getLogger("accounts.auth").log(
        logging.INFO if success else logging.WARNING,
        "Authentication attempt: %s",
        "success" if success else "failed",
        extra=_present(extra),
    )


def masked_email(email: object) -> str:
    """Return an address with its local part hidden.

    Three letters or more keep the first; shorter ones keep nothing, because one letter of two is half of them. What is
    no address (no ``@``, or a domain with characters that no domain has) becomes ``***``.
    """
    if not isinstance(email, str):
        return _HIDDEN
    local, at, domain = email.rpartition("@")
    if not at or not local or not _DOMAIN.fullmatch(domain):
        return _HIDDEN
    shown = local[0] if len(local) >= _SHOWN_FROM and local[0].isalnum() else ""
    return f"{shown}{_HIDDEN}@{domain.lower()}"


def get_client_ip(request: Any) -> str | None:
    """Return the address that the connection came from, or None.

    ``X-Forwarded-For`` is not looked at: whoever sends the request writes it, and which proxies to believe has to be
    said first.
    """
    value = _meta(request).get("REMOTE_ADDR")
    return value if isinstance(value, str) and value else None


def get_user_agent(request: Any) -> str | None:
    """Return the first 512 characters of the request's ``User-Agent``, or None."""
    value = _meta(request).get("HTTP_USER_AGENT")
    return value[:_MAX_USER_AGENT] if isinstance(value, str) and value else None


def _meta(request: Any) -> Mapping[str, Any]:
    meta = getattr(request, "META", None)
    return meta if isinstance(meta, Mapping) else {}


def _get(holder: Any, name: str) -> Any:
    try:
        return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
    except Exception:  # an API object may fetch over the network here, and fail
        return None


def _money(amount: object) -> str | None:
    try:
        # str() first: Decimal(0.1) would write the binary fraction out.
        value = amount if isinstance(amount, decimal.Decimal) else decimal.Decimal(str(amount))
    except (decimal.InvalidOperation, ValueError):
        return None
    return format(value, "f") if value.is_finite() and abs(value.adjusted()) < 40 else None  # noqa: PLR2004


def _last_four(value: object) -> str | None:
    digits = "".join(character for character in str(value or "") if character in "0123456789")
    return digits[-4:] if len(digits) >= 4 else None  # noqa: PLR2004


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
