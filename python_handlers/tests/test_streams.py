import logging

import pytest

from logbastion.streams import stream_for


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("accounts.auth", "security"),
        ("accounts.profile", "application"),
        ("security.events", "security"),
        ("incidents", "security"),
        ("django.security.DisallowedHost", "security"),
        ("finances.payments", "audit"),
        ("finances.stripe.webhook", "audit"),
        ("finances.pci_compliant", "audit"),
        ("privacy.gdpr", "audit"),
        ("system.log_management", "audit"),
        ("system.other", "application"),
        ("performance", "performance"),
        ("performances", "application"),
        ("business.search", "application"),
        ("django.request", "application"),
        ("somebody.else", "application"),
        ("", "application"),
    ],
)
def test_every_logger_of_the_guide_has_its_stream(name, stream):
    assert stream_for(name) == stream


def test_only_application_records_go_to_the_short_lived_debug_stream():
    assert stream_for("business.search", logging.DEBUG) == "debug"
    assert stream_for("unknown", 5) == "debug"
    assert stream_for("accounts.auth", logging.DEBUG) == "security"
    assert stream_for("finances.payments", logging.DEBUG) == "audit"
    assert stream_for("business.search", logging.INFO) == "application"
