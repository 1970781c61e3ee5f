"""Payments as PCI DSS allows them to be logged (guide, "Secure Financial Logging"; PCI DSS v4.0.1, 3.3.1 and 3.4.1)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from logbastion.payment_fields import MAX_TEXT, CheckedFields, read

_LOGGER: Final = "finances.pci_compliant"
_COMPLIANCE: Final = {"compliance_level": "pci_dss"}
_EVENT_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,63}")
_MAX_COUNTED: Final = 10_000
_MAX_USER_AGENT: Final = 512

_TOP: Final = frozenset(
    {"transaction_id", "amount", "currency", "merchant_id", "payment_method", "status", "created"}
)  # fmt: skip
_METHOD: Final = frozenset({"type", "card"})
_CARD: Final = frozenset({"last4", "brand", "country"})

_DETAIL_IDENTIFIERS: Final = (
    "transaction_id", "payment_intent_id", "merchant_id", "payment_method_type", "card_brand", "country", "status",
    "rule", "severity", "error_code", "decline_code", "response_code", "gateway",
)  # fmt: skip
_DETAIL_WHOLE: Final = ("attempt_count", "failure_count", "time_window_seconds", "student_id")
_DETAIL_OTHERS: Final = ("reason", "amount", "currency", "card_last_four", "created_at")
# These have fields of their own in the mapping, so they stand beside `details`, not in it.
_FLAT: Final = ("user_id", "school_id", "source_ip", "user_agent", "risk_score")
DETAILS: Final = frozenset({*_DETAIL_IDENTIFIERS, *_DETAIL_WHOLE, *_DETAIL_OTHERS, *_FLAT})
"""What :meth:`PCIDSSCompliantLogger.log_security_event` takes from ``details``."""

# Names of fields that say nothing about anybody. Any other name is only counted: it may be a card number itself.
_HARMLESS_NAMES: Final = frozenset({
    "id", "object", "livemode", "customer", "description", "metadata", "receipt_email", "shipping", "billing_details",
    "charges", "client_secret", "application", "invoice", "capture_method", "confirmation_method", "review", "source",
    "number", "card_number", "pan", "cvc", "cvv", "cvv2", "pin", "track1", "track2", "exp_month", "exp_year", "expiry",
    "fingerprint", "funding", "checks", "networks", "three_d_secure_usage", "wallet", "name", "email", "phone",
    "address", "iban", "account_number", "routing_number", "token", "password",
})  # fmt: skip


class PCIDSSCompliantLogger:
    """Logs payments and what is suspicious about them on ``finances.pci_compliant``, without card data.

    Only the fields that are listed here are read; everything else is dropped whatever its key, and counted as
    ``dropped_field_count``. Names of dropped fields are given (``dropped_fields``) when they are on a list of names
    that say nothing: a key may itself be a card number. Card numbers within the fields that are read are replaced by
    their last four digits and counted as ``card_data_masked``: such an event says that card data is where it must not
    be. A security code within a text cannot be recognised. No method raises.
    """

    def __init__(self) -> None:
        self.logger = logging.getLogger(_LOGGER)

    def log_payment_processing(self, payment_data: Any) -> None:
        """Log a transaction, at INFO, as ``payment_transaction``.

        Args:
            payment_data: a dict, or an object of the payment provider. Read are ``transaction_id``, ``amount`` (written
                as decimal text in the unit in which it is given), ``currency``, ``merchant_id``, ``status``,
                ``created`` (seconds since 1970, ``datetime`` or text) and, of ``payment_method``, ``type`` and the
                card's ``last4``, ``brand`` and ``country``.

        """
        self._log(logging.INFO, "payment_transaction", lambda: _transaction(payment_data))

    def log_security_event(self, event_type: str, details: Any) -> None:
        """Log something suspicious about payments, at WARNING, as ``payment_security_event``.

        It counts as ``security_events_total{event_type="payment_security_event"}``.

        Args:
            event_type: a word of yours such as ``card_testing``: up to 64 letters, digits, ``_ . -``, the first a
                letter. Anything else becomes ``unspecified``.
            details: a dict; the fields of :data:`DETAILS` are taken from it.

        """
        self._log(logging.WARNING, "payment_security_event", lambda: _security_event(event_type, details))

    def _log(self, level: int, event_type: str, prepare: Callable[[], tuple[str, dict[str, Any]]]) -> None:
        try:
            try:
                message, extra = prepare()
            except Exception as error:  # hostile data: that there was an event is logged all the same
                message = "A payment event could not be prepared; its content was withheld"
                extra = {"preparation_error": type(error).__name__}
            self.logger.log(level, message, extra={"event_type": event_type, **_COMPLIANCE, **extra})
        except Exception:  # a filter or a handler that raises: the payment goes on
            return


def _transaction(data: Any) -> tuple[str, dict[str, Any]]:
    fields = CheckedFields()
    method, card = read(data, "payment_method"), read(data, "payment_method", "card")
    fields.text("transaction_id", read(data, "transaction_id"))
    fields.money("amount", read(data, "amount"))
    fields.currency("currency", read(data, "currency"))
    fields.text("merchant_id", read(data, "merchant_id"))
    fields.text("payment_method_type", read(method, "type"))
    fields.last_four("card_last_four", read(card, "last4"))
    fields.text("card_brand", read(card, "brand"))
    fields.text("country", read(card, "country"))
    fields.text("status", read(data, "status"))
    fields.moment("created_at", read(data, "created"))
    dropped = _Dropped()
    dropped.look(data, _TOP)
    dropped.look(method, _METHOD)
    dropped.look(card, _CARD)
    return "Payment transaction processed", {**fields.values, **dropped.report(), **_masked(fields)}


def _security_event(event_type: object, details: Any) -> tuple[str, dict[str, Any]]:
    checked = CheckedFields()
    if isinstance(event_type, str) and _EVENT_TYPE.fullmatch(event_type):
        checked.text("event", event_type)
    kind = checked.values.pop("event", "unspecified")
    for name in _DETAIL_IDENTIFIERS:
        checked.text(name, read(details, name))
    for name in _DETAIL_WHOLE:
        checked.whole(name, read(details, name))
    checked.text("reason", read(details, "reason"), MAX_TEXT)
    checked.money("amount", read(details, "amount"))
    checked.currency("currency", read(details, "currency"))
    checked.last_four("card_last_four", read(details, "card_last_four"))
    checked.moment("created_at", read(details, "created_at"))
    nested, checked.values = checked.values, {}
    checked.whole("user_id", read(details, "user_id"))
    checked.whole("school_id", read(details, "school_id"))
    checked.address("source_ip", read(details, "source_ip"))
    checked.text("user_agent", read(details, "user_agent"), _MAX_USER_AGENT)
    checked.number("risk_score", read(details, "risk_score"))
    dropped = _Dropped()
    dropped.look(details, DETAILS)
    extra = {
        "security_event_type": kind,
        "requires_investigation": True,
        **({"details": nested} if nested else {}),
        **checked.values,
        **dropped.report(),
        **_masked(checked),
    }
    return f"Payment security event: {kind}", extra


def _masked(fields: CheckedFields) -> dict[str, int]:
    return {"card_data_masked": fields.masked} if fields.masked else {}


class _Dropped:
    """Counts the fields of mappings that are not taken. Those of objects are not known without reading them."""

    def __init__(self) -> None:
        self._count = 0
        self._names: set[str] = set()

    def look(self, holder: Any, taken: frozenset[str]) -> None:
        try:
            if not isinstance(holder, Mapping):
                return
            for number, key in enumerate(holder):
                if number >= _MAX_COUNTED:
                    return
                if type(key) is str and key in taken:  # another type may have an __eq__ of its own
                    continue
                self._count += 1
                if type(key) is str and key in _HARMLESS_NAMES:
                    self._names.add(key)
        except Exception:  # a mapping that cannot be gone through
            self._count += 1

    def report(self) -> dict[str, Any]:
        if not self._count:
            return {}
        return {
            "dropped_field_count": self._count,
            **({"dropped_fields": sorted(self._names)} if self._names else {}),
        }
