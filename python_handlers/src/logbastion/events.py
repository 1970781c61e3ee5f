"""Log events with the guide's names, for payments and log-ins (guide, "Data Protection Implementation")."""

from __future__ import annotations

import decimal
import logging
import re
from collections.abc import Callable
from typing import Any, Final

from logbastion.client_address import get_client_ip, get_user_agent
from logbastion.jsonsafe import safe_str
from logbastion.payment_fields import CheckedFields, read
from logbastion.pseudonyms import EMAIL, pseudonym_of

__all__ = ["get_client_ip", "get_user_agent", "log_authentication_attempt", "log_payment_event", "masked_email"]

_DOMAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)
_HIDDEN: Final = "***"
_MAX_REASON: Final = 200
_SHOWN_FROM: Final = 3
_failure_seen: Callable[[str | None, Any], None] | None = None


def observe_failed_logins(observer: Callable[[str | None, Any], None] | None) -> None:
    """Have somebody told of each failed log-in that is logged here; None takes them away.

    Args:
        observer: called with the client's address (None where it is not known) and with what was typed as address or
            user name. It must not raise and must not keep the name.

    """
    global _failure_seen  # noqa: PLW0603 - one setting of the process, written when it starts
    _failure_seen = observer


def log_payment_event(payment_intent: Any, amount: decimal.Decimal | int | str, student_id: int) -> None:
    """Log a payment that went through, on ``finances.payments``.

    Only the fields that the guide allows are read from the payment: id, currency, type of method, brand and last four
    digits of the card (PCI DSS v4.0.1, 3.4.1); card data elsewhere is not looked at, whatever its key. A card number
    within one of these is replaced by its last four digits, and ``card_data_masked`` says so. Money is written as
    decimal text, never as a binary fraction; an amount that is none becomes ``amount_is_invalid``. Never raises.

    Args:
        payment_intent: Stripe's object or a dict like it.
        amount: in units of the currency, such as ``Decimal("49.90")``.
        student_id: primary key of the student.

    """
    try:
        fields = CheckedFields()
        fields.values["event_type"] = "payment_success"
        fields.text("payment_intent_id", read(payment_intent, "id"))
        fields.money("amount", amount)
        fields.values["currency"] = "EUR"  # the guide's, where the payment has none
        fields.currency("currency", read(payment_intent, "currency"))
        fields.values["student_id"] = student_id
        fields.text("payment_method_type", read(payment_intent, "payment_method", "type"))
        fields.last_four("card_last_four", read(payment_intent, "payment_method", "card", "last4"))
        fields.text("card_brand", read(payment_intent, "payment_method", "card", "brand"))
        if "amount" not in fields.values:
            fields.values["amount_is_invalid"] = True
        if fields.masked:
            fields.values["card_data_masked"] = fields.masked
        logging.getLogger("finances.payments").info("Payment processed successfully", extra=_present(fields.values))
    except Exception:  # a filter or a handler that raises: the payment goes on
        return


def log_authentication_attempt(
    email: str,
    success: bool,
    failure_reason: str | None = None,
    request: Any = None,
    *,
    user_id: Any = None,
) -> None:
    """Log an attempt to log in, on ``accounts.auth``: INFO when it succeeded, WARNING when it failed.

    The address is masked in both cases (see :func:`masked_email`). With a configured key, ``email_pseudonym`` joins the
    events of one address (see :mod:`logbastion.pseudonyms`); without one there is no such field. Failures count as
    ``security_events_total{event_type="authentication_failure"}``, and the detector of :mod:`logbastion.detection`
    sees them. Never raises.

    Args:
        email: the address or user name that was given.
        success: whether it was let in.
        failure_reason: a word of yours, such as ``invalid_credentials``; not the user's input.
        request: the Django request, for address (see :func:`get_client_ip`) and user agent.
        user_id: primary key of the account, where one is known.

    """
    try:
        let_in, source_ip = _truth(success), get_client_ip(request)
        extra = {
            "event_type": "authentication_attempt",
            "email": masked_email(email),
            "email_pseudonym": pseudonym_of(EMAIL, email),
            "success": let_in,
            "failure_reason": safe_str(failure_reason)[:_MAX_REASON] if _truth(failure_reason) else None,
            "source_ip": source_ip,
            "user_agent": get_user_agent(request),
            "user_id": user_id,
        }
        try:
            logging.getLogger("accounts.auth").log(
                logging.INFO if let_in else logging.WARNING,
                "Authentication attempt: %s",
                "success" if let_in else "failed",
                extra=_present(extra),
            )
        finally:  # a handler that fails blinds the log, not the detector
            if not let_in and _failure_seen is not None:
                _failure_seen(source_ip, email)
    except Exception:  # a hostile argument, a filter or a handler that raises: the log-in goes on
        return


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


def _truth(value: object) -> bool:
    try:
        return bool(value)
    except Exception:  # then it has not been said that somebody was let in
        return False


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
