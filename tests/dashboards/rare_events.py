"""What a run of traffic does not do, done to the example in its own settings, so that the package itself logs it: attacks, a slow page, trouble of logging.

Started by `example_data.py` in the directory of the example.
"""

import logging
import os
import sys
import time
from pathlib import Path
from unittest import mock

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aprende_school.settings")
sys.path.insert(0, os.getcwd())
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - Django has to be set up
from django.test import Client  # noqa: E402
from logbastion import PCIDSSCompliantLogger  # noqa: E402
from logbastion.detection import Breaker, security_detector, trigger_ip_block  # noqa: E402
from logbastion.incidents import IncidentDetector  # noqa: E402
from logbastion.incidents.options import detector_from  # noqa: E402
from logbastion.incidents.patterns import load_patterns  # noqa: E402
from logbastion.retention import LogRetentionManager  # noqa: E402
from school import views  # noqa: E402


class Hostile:
    """A payment that cannot be read."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError(name)


def guess_passwords() -> None:
    """One address guesses one account, another one many accounts; then somebody lifts nothing and blocks by hand."""
    for number in range(5):
        client = Client(REMOTE_ADDR="198.51.100.7")
        client.post("/login/", {"username": "teacher", "password": f"guess-{number}"}, secure=True)
    for number in range(5):
        client = Client(REMOTE_ADDR="203.0.113.20")
        client.post("/login/", {"username": f"account{number}@example.org", "password": "spring"}, secure=True)
    trigger_ip_block("2001:db8::7", "by_the_officer")
    trigger_ip_block("127.0.0.1", "by_mistake")


def visit_slowly() -> None:
    """Wait for the report longer than the alert SlowPerformance allows."""
    client = Client(REMOTE_ADDR="192.0.2.30")
    client.force_login(get_user_model().objects.get(username="parent"))
    with mock.patch.object(views, "REPORT_SECONDS", 2.1):
        client.get("/report/", secure=True)


def look_at_many_schools() -> None:
    """Read more schools than one person has to do with."""
    detector = security_detector()
    if detector is None:
        raise RuntimeError("Detection is off in the example's settings.")
    detector.detect_data_access_anomalies(3, [1, 2, 3, 4, 5], "192.0.2.31")


def pay_suspiciously() -> None:
    """Test cards, and hand over a payment that cannot be read."""
    pci = PCIDSSCompliantLogger()
    pci.log_security_event("card_testing", {"attempt_count": 40, "source_ip": "192.0.2.7", "user_id": 2})
    pci._log(logging.WARNING, "payment_security_event", lambda: Hostile().items())  # type: ignore[attr-defined]


def log_carelessly() -> None:
    """Log what must not be in a log, for the gate to take out."""
    orders, mail = logging.getLogger("business.orders"), logging.getLogger("business.mail")
    orders.warning("Card 4242 4242 4242 4242 was tried twice")
    for name in ("maria.silva", "joao.costa", "rita.melo"):
        mail.warning("Receipt sent to %s@example.org", name)
    mail.warning("No answer under +351 912 345 678")
    orders.error("Log-in of the till failed with password=Kx7-plankton-92")


def have_an_incident_end() -> None:
    """Begin an incident, have a response to it fail, let its quiet time pass on a clock of our own."""
    now = [time.time()]
    known = {pattern.id: pattern for pattern in load_patterns()}["database_failure"]
    record = logging.LogRecord("django.db.backends", logging.ERROR, "", 0, known.positive[0], None, None)
    ending = IncidentDetector(threaded=False, clock=lambda: now[0])
    for _ in range(known.threshold):
        ending.analyze_log_entry(record)
    if not ending.lasting():
        raise RuntimeError("The line was no incident.")
    now[0] += 3600
    ending.sweep()
    failing = detector_from({"responses": {"broken": {"function": "math.sqrt", "on": ["database_failure"]}}})
    for _ in range(known.threshold):
        failing.analyze_log_entry(record)
    failing.close(10)


def have_logging_in_trouble() -> None:
    """Lose the store of detection and find it again, fail in the gate, keep the retention periods."""

    def away() -> None:
        raise ConnectionError

    now = [0.0]
    breaker = Breaker(clock=lambda: now[0])
    breaker.call("block", away)
    now[0] += 60
    breaker.call("block", lambda: None)
    formatter = next(
        handler.formatter for handler in logging.getLogger().handlers if hasattr(handler.formatter, "_gate")
    )
    with mock.patch.object(formatter, "_gate", side_effect=RuntimeError):
        logging.getLogger("business.orders").warning("An order")
    LogRetentionManager(directory=Path(os.environ["LOGBASTION_LOG_DIRECTORY"])).enforce_retention_policies()


if __name__ == "__main__":
    guess_passwords()
    look_at_many_schools()
    pay_suspiciously()
    log_carelessly()
    have_an_incident_end()
    visit_slowly()
    have_logging_in_trouble()
