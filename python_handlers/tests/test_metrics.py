import logging
import os
import subprocess
import sys
import time

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from logbastion import PrometheusLoggingHandler
from logbastion.error_rate import ErrorRateCollector
from logbastion.metrics import instruments, observe_request, scrape


def value(name, **labels):
    return REGISTRY.get_sample_value(name, labels)


@pytest.fixture
def count():
    handler = PrometheusLoggingHandler(known_loggers=["business.known"])

    def handle(name, level=logging.INFO, **extra):
        record = logging.LogRecord(name, level, "f", 1, "m", (), None)
        record.__dict__.update(extra)
        handler.handle(record)

    return handle


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("finances.stripe", "finances.stripe"),
        ("finances.stripe.webhook", "finances.stripe"),
        ("business.search", "business"),
        ("business.known.deeper", "business.known"),
        ("django.db.backends", "django"),
        ("somebody", "other"),
        ("accounts", "other"),
    ],
)
def test_loggers_fold_into_known_ones(count, name, label):
    before = value("django_log_messages_total", level="ERROR", logger=label)
    count(name, logging.ERROR)
    assert value("django_log_messages_total", level="ERROR", logger=label) == before + 1


@pytest.mark.parametrize(("level", "label"), [(5, "DEBUG"), (25, "INFO"), (35, "WARNING"), (90, "CRITICAL")])
def test_odd_levels_fold_into_known_ones(count, level, label):
    before = value("django_log_messages_total", level=label, logger="other")
    count("x", level)
    assert value("django_log_messages_total", level=label, logger="other") == before + 1


def test_known_series_are_born_at_zero():
    instruments()
    assert value("django_log_messages_total", level="CRITICAL", logger="incidents") is not None
    assert value("security_events_total", event_type="brute_force_attack") is not None


@pytest.mark.parametrize(
    ("name", "extra", "label"),
    [
        ("accounts.auth", {"event_type": "authentication_attempt", "success": False}, "authentication_failure"),
        ("accounts.auth", {"event_type": "authentication_attempt", "success": True}, "authentication_success"),
        ("security.events", {"alert_type": "brute_force_attack"}, "brute_force_attack"),
        ("security.events", {"event_type": "something new"}, "other"),
        ("finances.pci_compliant", {"event_type": "payment_security_event"}, "payment_security_event"),
    ],
)
def test_security_events(count, name, extra, label):
    before = value("security_events_total", event_type=label)
    count(name, **extra)
    assert value("security_events_total", event_type=label) == before + 1


@pytest.mark.parametrize(
    ("name", "extra"),
    [
        ("business.search", {"event_type": "authentication_failure"}),
        ("finances.pci_compliant", {"event_type": "payment_transaction"}),
        ("security.events", {}),
        ("securityx", {"event_type": "permission_denied"}),
    ],
)
def test_what_is_no_security_event(count, name, extra):
    def total():
        return sum(
            s.value for m in REGISTRY.collect() if m.name == "security_events" for s in m.samples if "_total" in s.name
        )

    before = total()
    count(name, **extra)
    assert total() == before


def test_durations(count):
    before, inside = (
        value("django_request_duration_seconds_count"),
        value("django_request_duration_seconds_bucket", le="2.0"),
    )
    count("performance", event_type="http_request", duration_ms=2000)
    count("performance", duration_ms=2001)
    count("performance", event_type="slow_operation", duration_ms=5)
    count("performance", duration_ms="5")
    count("performance", duration_ms=float("nan"))
    observe_request(0.5)
    assert value("django_request_duration_seconds_count") == before + 3
    assert value("django_request_duration_seconds_bucket", le="2.0") == inside + 2


def test_names_of_a_scrape():
    body, content_type = scrape()
    names = {family.name for family in text_string_to_metric_families(body.decode())}
    assert {"django_log_messages", "django_request_duration_seconds", "security_events", "error_rate"} <= names
    assert content_type.startswith("text/plain")
    assert scrape("application/openmetrics-text; version=1.0.0")[1].startswith("application/openmetrics-text")


@pytest.mark.parametrize("in_file", [False, True])
def test_error_rate_over_about_a_minute(monkeypatch, tmp_path, in_file):
    registry, now = CollectorRegistry(), [1000.0]
    counter = Counter("django_log_messages_total", "x", ["level", "logger"], registry=registry)
    monkeypatch.setattr(time, "time", lambda: now[0])
    file = str(tmp_path / "error_rate.json") if in_file else None
    collectors = [
        ErrorRateCollector(registry.collect, file) for _ in range(2 if in_file else 1)
    ]  # two workers, one history
    turn = 0

    def rate():
        nonlocal turn
        turn += 1
        return next(iter(collectors[turn % len(collectors)].collect())).samples[0].value

    assert rate() == 0
    counter.labels("INFO", "x").inc(8)
    counter.labels("ERROR", "x").inc(1)
    counter.labels("CRITICAL", "x").inc(1)
    now[0] += 15
    assert rate() == pytest.approx(0.2)
    for _ in range(5):
        now[0] += 15
        last = rate()
    assert last == 0  # a minute later nothing has been logged since
    counter.labels("ERROR", "x").inc(1)
    counter.labels("INFO", "x").inc(1)
    assert rate() == pytest.approx(0.5)
    counter.clear()  # a restart: the counters begin again
    counter.labels("INFO", "x").inc(4)
    assert rate() == 0


def test_importing_writes_nothing_and_does_not_fail_without_the_directory(tmp_path):
    for directory in (tmp_path, tmp_path / "none"):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PROMETHEUS_MULTIPROC_DIR": str(directory),
        }
        command = [sys.executable, "-c", "import logbastion.metrics"]
        subprocess.run(command, check=True, timeout=60, env=environment)
    assert list(tmp_path.iterdir()) == []
