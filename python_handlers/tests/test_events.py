import decimal
import json
import logging
from types import SimpleNamespace

import pytest

from logbastion import EventFormatter, log_authentication_attempt, log_payment_event
from logbastion.events import masked_email

CARD = SimpleNamespace(last4="4242", brand="visa", number="4242424242424242", cvc="123")
INTENT = SimpleNamespace(
    id="pi_1", currency="eur", client_secret="pi_1_secret", payment_method=SimpleNamespace(type="card", card=CARD)
)
REQUEST = SimpleNamespace(
    META={"REMOTE_ADDR": "192.0.2.7", "HTTP_USER_AGENT": "Browser", "HTTP_X_FORWARDED_FOR": "1.1.1.1"}
)


def last(caplog):
    record = caplog.records[-1]
    return record, json.loads(EventFormatter().format(record))


@pytest.fixture(autouse=True)
def _levels(caplog):
    caplog.set_level(logging.INFO)


def test_a_payment_shows_what_is_allowed_and_nothing_else(caplog):
    log_payment_event(INTENT, decimal.Decimal("49.90"), 7)
    record, event = last(caplog)
    assert (record.name, record.levelname, event["event_type"]) == ("finances.payments", "INFO", "payment_success")
    assert event["extra"] == {
        "payment_intent_id": "pi_1",
        "amount": "49.90",
        "currency": "EUR",
        "student_id": 7,
        "payment_method_type": "card",
        "card_last_four": "4242",
        "card_brand": "visa",
    }


@pytest.mark.parametrize(
    ("amount", "written"),
    [(0.1, "0.1"), (49, "49"), ("1E+2", "100"), ("49,90", None), (decimal.Decimal("NaN"), None), ("1E+99999999", None)],
)
def test_money_is_decimal_text(caplog, amount, written):
    log_payment_event(INTENT, amount, 7)
    extra = last(caplog)[1]["extra"]
    assert extra.get("amount") == written
    assert extra.get("amount_is_invalid", False) is (written is None)


def test_a_payment_as_dict_and_one_with_a_whole_number_in_last4(caplog):
    log_payment_event({"id": "pi_2", "payment_method": {"card": {"last4": "4242 4242 4242 4242"}}}, 1, 1)
    extra = last(caplog)[1]["extra"]
    assert (extra["payment_intent_id"], extra["card_last_four"]) == ("pi_2", "4242")


def test_a_payment_object_that_fails_does_not_stop_the_payment(caplog):
    class Away:
        @property
        def id(self):
            raise ConnectionError

        payment_method = None

    log_payment_event(Away(), 5, 7)
    assert last(caplog)[1]["extra"]["amount"] == "5"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("maria.silva@Example.org", "m***@example.org"),
        ("ana@example.org", "a***@example.org"),
        ("jo@example.org", "***@example.org"),
        ("j@example.org", "***@example.org"),
        ("@example.org", "***"),
        ("maria", "***"),
        ("", "***"),
        (None, "***"),
        ("a b@c d", "***"),
        ("secret@x@example.org", "s***@example.org"),
        ("abc@evil\nline", "***"),
        ("abc@" + "a" * 300, "***"),
    ],
)
def test_addresses_are_masked(address, shown):
    assert masked_email(address) == shown


@pytest.mark.parametrize(("success", "level", "word"), [(True, "INFO", "success"), (False, "WARNING", "failed")])
def test_authentication(caplog, success, level, word):
    log_authentication_attempt("maria@example.org", success, None if success else "invalid_credentials", REQUEST)
    record, event = last(caplog)
    assert (record.name, record.levelname) == ("accounts.auth", level)
    assert event["message"] == f"Authentication attempt: {word}"
    assert event["security"] == {"source_ip": "192.0.2.7", "user_agent": "Browser"}
    assert event["extra"]["success"] is success
    assert event["event"]["dataset"] == "django.security"
    assert "maria" not in json.dumps(event)


def test_no_request_and_no_address(caplog):
    log_authentication_attempt("no address", False)
    assert "security" not in last(caplog)[1]
