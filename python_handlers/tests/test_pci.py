"""Payments on finances.pci_compliant: nothing of a card but its last four, whatever is given."""

import datetime
import decimal
import json
import logging
import re
from types import SimpleNamespace

import pytest

from logbastion import EventFormatter
from logbastion.metrics import security_event_type
from logbastion.payment_fields import CheckedFields, money_text, read
from logbastion.pci import DETAILS, PCIDSSCompliantLogger

CARD = "4242424242424242"
PAYMENT = {
    "transaction_id": "txn_1",
    "amount": decimal.Decimal("49.90"),
    "currency": "eur",
    "merchant_id": "merchant-7",
    "status": "succeeded",
    "created": 1767225600,
    "payment_method": {"type": "card", "card": {"last4": "4242", "brand": "visa", "country": "PT"}},
}


@pytest.fixture(autouse=True)
def _levels(caplog):
    caplog.set_level(logging.INFO)


def last(caplog):
    record = caplog.records[-1]
    return record, json.loads(EventFormatter().format(record))


def content(event):
    """What came from the payment, as text: times and ids of the event have digits of their own."""
    ours = {"@timestamp", "timestamp", "event", "process", "host", "ecs"}
    return json.dumps({name: value for name, value in event.items() if name not in ours})


def test_a_transaction_has_the_fields_of_the_guide(caplog):
    PCIDSSCompliantLogger().log_payment_processing(PAYMENT)
    record, event = last(caplog)
    assert (record.name, record.levelname) == ("finances.pci_compliant", "INFO")
    assert (event["event_type"], event["message"]) == ("payment_transaction", "Payment transaction processed")
    assert event["event"]["dataset"] == "django.audit"
    assert event["extra"] == {
        "compliance_level": "pci_dss",
        "transaction_id": "txn_1",
        "amount": "49.90",
        "currency": "EUR",
        "merchant_id": "merchant-7",
        "payment_method_type": "card",
        "card_last_four": "4242",
        "card_brand": "visa",
        "country": "PT",
        "status": "succeeded",
        "created_at": "2026-01-01T00:00:00+00:00",
    }
    assert security_event_type(record) is None


def test_an_object_instead_of_a_dict(caplog):
    card = SimpleNamespace(last4="4242", brand="visa", number=CARD)
    PCIDSSCompliantLogger().log_payment_processing(
        SimpleNamespace(transaction_id="t", payment_method=SimpleNamespace(type="card", card=card))
    )
    extra = last(caplog)[1]["extra"]
    assert (extra["transaction_id"], extra["card_last_four"], extra["card_brand"]) == ("t", "4242", "visa")
    assert CARD not in caplog.text + str(extra)


def test_what_is_not_listed_is_dropped_whatever_its_key_and_counted(caplog):
    data = {
        **PAYMENT,
        "cardholder": "Maria Silva",
        CARD: "the key is a card",
        "metadata": {"note": CARD},
        5: CARD,
        "payment_method": {"type": "card", "billing_details": {"name": "Maria Silva"}, "card": {
            "last4": "4242", "number": CARD, "cvc": "cvc-737", "innocent": "cvc-737"}},
    }  # fmt: skip
    PCIDSSCompliantLogger().log_payment_processing(data)
    record, event = last(caplog)
    line = json.dumps(event) + repr(vars(record))
    assert not [secret for secret in (CARD, "Maria", "cvc-737", "cardholder", "innocent") if secret in line]
    assert event["extra"]["dropped_field_count"] == 8
    assert event["extra"]["dropped_fields"] == ["billing_details", "cvc", "metadata", "number"]
    assert event["extra"]["card_last_four"] == "4242"


@pytest.mark.parametrize("field", ["transaction_id", "merchant_id", "status", "created", "amount", "currency"])
@pytest.mark.parametrize("value", [CARD, int(CARD), f"order of {CARD}", "4242 4242-4242.4242", "4\u200b2" * 8])
def test_a_card_number_in_a_field_that_is_listed(caplog, field, value):
    PCIDSSCompliantLogger().log_payment_processing({**PAYMENT, field: value})
    event = last(caplog)[1]
    line = content(event).replace("\\u200b", "").replace(" ", "").replace("-", "").replace(".", "")
    assert "424242" not in line
    if field in {"transaction_id", "merchant_id", "status"}:
        assert event["extra"][field] in {"****4242", "order of ****4242"}
        assert event["extra"]["card_data_masked"] == 1


@pytest.mark.parametrize("path", ["type", "brand", "country", "last4"])
def test_a_card_number_in_the_fields_of_the_card(caplog, path):
    card = {"brand": "visa", "last4": "4242", "country": "PT", path: CARD}
    PCIDSSCompliantLogger().log_payment_processing({"payment_method": {"type": card.pop("type", "card"), "card": card}})
    assert "42424" not in content(last(caplog)[1])


def test_half_a_card_number_is_not_left_where_a_text_is_cut(caplog):
    for length in range(90, 135):
        PCIDSSCompliantLogger().log_payment_processing({"transaction_id": "x" * length + CARD})
        kept = last(caplog)[1]["extra"]["transaction_id"]
        assert "42424" not in kept
        assert len(kept) <= 128
    PCIDSSCompliantLogger().log_security_event("x", {"reason": ("4   2" * 8 + " and ") * 400})
    reason = last(caplog)[1]["extra"]["details"]["reason"]
    assert len(reason) == 500
    assert set(re.sub(r"\*{1,4}[42]{0,4}", "", reason)) <= set("and ")


def test_security_events(caplog):
    PCIDSSCompliantLogger().log_security_event(
        "card_testing",
        {
            "transaction_id": "txn_1",
            "amount": 1,
            "attempt_count": 40,
            "reason": f"many cards such as {CARD}",
            "source_ip": "192.0.2.7",
            "user_agent": "curl",
            "risk_score": 0.9,
            "user_id": 12,
            "card": {"number": CARD},
            "cvv": "cvc-737",
            "note": CARD,
        },
    )
    record, event = last(caplog)
    assert (record.levelname, event["message"]) == ("WARNING", "Payment security event: card_testing")
    assert event["event_type"] == "payment_security_event"
    assert event["extra"] == {
        "compliance_level": "pci_dss",
        "security_event_type": "card_testing",
        "requires_investigation": True,
        "details": {
            "transaction_id": "txn_1",
            "amount": "1",
            "attempt_count": 40,
            "reason": "many cards such as ****4242",
        },
        "dropped_field_count": 3,
        "dropped_fields": ["cvv"],
        "card_data_masked": 1,
    }
    assert event["security"] == {"source_ip": "192.0.2.7", "user_agent": "curl", "risk_score": 0.9}
    assert event["user_id"] == 12
    assert security_event_type(record) == "payment_security_event"


@pytest.mark.parametrize("name", sorted(DETAILS))
def test_no_detail_lets_a_card_number_through(caplog, name):
    for value in (CARD, int(CARD), float(CARD), f" {CARD} ", {"number": CARD}, [CARD], CARD.encode(), (CARD,)):
        PCIDSSCompliantLogger().log_security_event("test", {name: value})
        assert "42424" not in content(last(caplog)[1])


@pytest.mark.parametrize("kind", [CARD, "a b", "", None, 5, "a\nb", "x" * 65, f"x{CARD}", [CARD]])
def test_an_event_type_that_is_none(caplog, kind):
    PCIDSSCompliantLogger().log_security_event(kind, {})
    record, event = last(caplog)
    assert event["extra"]["security_event_type"] in {"unspecified", "x****4242"}
    assert CARD not in json.dumps(event) + repr(vars(record))


class Hostile(dict):
    def get(self, *_):
        raise RuntimeError(CARD)

    def __iter__(self):
        raise RuntimeError(CARD)


class HostileText(str):
    __slots__ = ()

    def __str__(self):
        return CARD

    def __getitem__(self, _):
        return CARD

    def upper(self):
        return CARD

    def __format__(self, _):
        return CARD


class HostileNumber(int):
    def __str__(self):
        return CARD

    def __index__(self):
        return int(CARD)

    def __repr__(self):
        return CARD


class HostileKey:
    def __hash__(self):
        return hash("status")

    def __eq__(self, other):
        raise RuntimeError(CARD)


class HostileProperty:
    @property
    def payment_method(self):
        raise RuntimeError(CARD)

    def __getattr__(self, name):
        raise RuntimeError(CARD)


class HostileClass:
    @property
    def __class__(self):
        raise RuntimeError(CARD)


HOSTILE = [
    None, 5, "text", CARD, [], object(), Hostile(a=1), HostileProperty(), {"status": HostileClass()}, {HostileKey(): 1},
    {"payment_method": "pm_1"}, {"payment_method": {"card": 5}}, {"payment_method": Hostile()},
    {"amount": HostileText("1"), "status": HostileText("ok"), "currency": HostileText("eur")},
    {"amount": HostileNumber(1), "status": HostileNumber(1), "user_id": HostileNumber(3), "attempt_count": True},
    {"amount": "NaN", "created": 10**30, "user_id": 2**70, "risk_score": float("inf"), "source_ip": "x"},
    {"amount": 10**5000, "transaction_id": 10**5000, "user_id": 10**5000, "risk_score": 10**5000},
    {"created": datetime.datetime.max, "status": "\ud800", "currency": "EURO", "risk_score": float("nan")},
]  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_it_never_raises_and_always_logs(caplog, data):
    PCIDSSCompliantLogger().log_payment_processing(data)
    PCIDSSCompliantLogger().log_security_event("test", data)
    assert [record.event_type for record in caplog.records] == ["payment_transaction", "payment_security_event"]
    for record in caplog.records:
        assert CARD not in EventFormatter().format(record)


def test_a_filter_that_raises_does_not_stop_the_payment(caplog):
    logger = PCIDSSCompliantLogger()

    def broken(record):
        raise RuntimeError("broken filter")

    logger.logger.addFilter(broken)
    try:
        logger.log_payment_processing(PAYMENT)
        logger.log_security_event("x", {})
    finally:
        logger.logger.removeFilter(broken)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (0.1, "0.1"), (decimal.Decimal("1E+3"), "1000"), (-5, "-5"), (1 / 3, "0.3333333333333333"), ("x", None),
        (None, None), (float("inf"), None), ("9" * 41, None), (decimal.Decimal("1." + "0" * 60), None), ("", None),
    ],
)  # fmt: skip
def test_money(given, written):
    assert money_text(given) == written


def test_an_amount_with_many_decimals_is_no_card_number():
    fields = CheckedFields()
    fields.money("amount", "0.4242424242424242")
    fields.number("share", 0.4242424242424242)
    assert fields.values == {"amount": "0.4242424242424242", "share": 0.4242424242424242}


def test_reading_stops_at_what_has_no_fields():
    assert read({"a": {"b": 1}}, "a", "b") == 1
    assert read({"a": "text"}, "a", "title") is None
    assert read({"a": 5}, "a", "real") is None
    assert read(None, "a") is None
