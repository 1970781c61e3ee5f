"""What users and attackers do to the example application, and what goes wrong inside of it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from lab import settings, stack
from lab.fire import programs, remote
from lab.fire.causes import Cause, Expected
from lab.fire.visitors import visiting

APP = stack.APPLICATION
NAME = stack.APPLICATION_NAME
SLOW_SECONDS = 2.6
MISTYPED_EACH_SECONDS = 10
"""Rarely enough not to be taken for an attack (AuthenticationFailureSpike: more than ten a minute)."""
DECLINED, UNREACHABLE = "4000000000000002", "4000000000000119"
_GUESSER = f"{remote.DIRECTORY}/guesser.py"
_DETECTION_TABLE = "logbastion_detection_subject"
_DJANGO = {"job": "django"}


def _visit(path: str, *expected: int) -> Any:
    return lambda visitor: visitor._get(path, *expected)


@contextmanager
def _slow_reports(visitors: int, each: float) -> Iterator[None]:
    """Have visitors ask for the report, whose service has become slow (see `slow_service`)."""
    with visiting(_visit("/report/", 200, 0), each=each, visitors=visitors):
        yield


@contextmanager
def slow_service() -> Iterator[None]:
    """Make the service slow that the report asks: nobody but a cause asks for the report."""
    remote.application.set("report", {"REPORT_SECONDS": str(SLOW_SECONDS)})
    try:
        remote.restart_application()
        yield
    finally:
        remote.application.unset("report")
        remote.restart_application()


@contextmanager
def _guessing() -> Iterator[None]:
    source = (settings.LAB_DIRECTORY / "fire/guesser.py").read_text(encoding="utf-8")
    remote.write(APP, _GUESSER, source)
    programs.start(APP, "guesser", f"/usr/bin/python3 {_GUESSER} /etc/{NAME}/tls/ca.crt")
    try:
        yield
    finally:
        programs.stop(APP, "guesser")


@contextmanager
def _detection_without_table() -> Iterator[None]:
    _rename(_DETECTION_TABLE, f"{_DETECTION_TABLE}_away")
    try:
        # Nothing else in calm traffic is counted there, but for a password that is mistyped every few minutes.
        with visiting(lambda visitor: visitor.fail_to_log_in(), each=MISTYPED_EACH_SECONDS):
            yield
    finally:
        _rename(f"{_DETECTION_TABLE}_away", _DETECTION_TABLE)


def _rename(old: str, new: str) -> None:
    statement = f"ALTER TABLE {old} RENAME TO {new}"
    code = f'import sqlite3; d = sqlite3.connect("/var/lib/{NAME}/school.sqlite3", timeout=20); d.execute("{statement}"); d.commit()'
    remote.shell(APP, f"runuser -u {NAME} -- python3 -c '{code}'")


@contextmanager
def _without_handlers() -> Iterator[None]:
    # With neither directory nor ingest, the package writes to the journal: what is logged meanwhile is not lost, but not shipped.
    remote.application.set("nowhere", {"LOGBASTION_LOG_DIRECTORY": "", "LOGBASTION_INGEST": ""})
    try:
        remote.restart_application()
        yield
    finally:
        remote.application.unset("nowhere")
        remote.restart_application()


@contextmanager
def _stopped() -> Iterator[None]:
    with remote.stopped(APP, NAME):
        yield
    remote.wait_until(remote.application_answers, remote.STARTED_WITHIN_SECONDS, "the application does not answer")


@contextmanager
def _payment_outage() -> Iterator[None]:
    # One payment is enough; payments are paused for 20 s after it, and the next one finds the provider away again.
    with visiting(lambda visitor: visitor.pay(UNREACHABLE, 503), each=8):
        yield


@contextmanager
def _failing_pages() -> Iterator[None]:
    with visiting(_visit("/broken/", 500), each=0.5):
        yield


@contextmanager
def _declined_cards() -> Iterator[None]:
    with visiting(lambda visitor: visitor.pay(DECLINED, 402), each=0.5):
        yield


def _program(words: str, *, spool: bool = True) -> Any:
    return lambda: programs.application_program(words, spool=spool)


def slow_alone() -> Any:
    """Return the making of few slow requests among many quick ones: above 5 % of them now, below what LatencyBurnsFast begins at over its windows."""

    @contextmanager
    def made() -> Iterator[None]:
        with ExitStack() as stack_of_visits:
            stack_of_visits.enter_context(visiting(_visit("/", 200, 0), each=0.2))
            stack_of_visits.enter_context(_slow_reports(2, 0.0))
            yield

    return made


USERS = (
    Cause("cards are declined, two payments a second", (Expected("HighErrorRate"),), _declined_cards),
    Cause(
        "a page fails, once in forty seconds",
        (Expected("AvailabilityBurnsSlowly"),),
        lambda: visiting(_visit("/broken/", 500), each=40),
        within=600,
        ends_beside=True,
    ),
    Cause("a page fails, twice a second", (Expected("AvailabilityBurnsFast"),), _failing_pages, within=240),
    Cause(
        "the report's service takes 2.6 s; one request in six asks for it",
        (Expected("SlowPerformance"), Expected("LatencyBurnsSlowly")),
        slow_alone(),
        within=600,
        ends_beside=True,
    ),
    Cause(
        "the report's service takes 2.6 s; most visitors ask for it",
        (Expected("LatencyBurnsFast"),),
        lambda: _slow_reports(3, 0.0),
        within=240,
    ),
)
PAYMENTS = (
    # The pages answer 503 meanwhile, so AvailabilityBurnsFast is right to fire too; it inhibits IncidentDetected, which therefore has another cause.
    Cause("the payment provider does not answer", (Expected("PaymentSystemDown"),), _payment_outage),
)
ATTACKS = (
    Cause(
        "somebody guesses the password of one account, once a second",
        (
            Expected("AttackDetected", {"event_type": "brute_force_attack"}),
            Expected("AuthenticationFailureSpike"),
            Expected("IncidentDetected", {"incident": "authentication_attack"}),
        ),
        _guessing,
    ),
    Cause(
        "30 failed log-ins a second",
        (Expected("SecurityBreach"),),
        _program("guess", spool=False),
        stand_in="reported by a process of the application through log_authentication_attempt: the log-in page hashes a password for each, "
        "and two cores hash too few",
    ),
    Cause(
        "the table of the detection's counts is gone, and passwords are mistyped",
        (Expected("DetectionBlind"),),
        _detection_without_table,
    ),
    Cause(
        "the application logs at the bottom of a recursion",
        (Expected("RedactionFailing"),),
        _program("bottom"),
        stand_in="a second process of the application",
    ),
    Cause(
        "an incident's response posts to an Alertmanager that is not there",
        (Expected("IncidentResponseFailing"),),
        _program("failing-response", spool=False),
        stand_in="a second process of the application: the example's own response only looks at its database",
    ),
)
HANDLERS = (
    Cause(
        "a setting takes log directory and ingest from the application",
        (Expected("NoLogsFromHost"),),
        _without_handlers,
    ),
)
DOWN = Cause("the application is stopped", (Expected("ApplicationDown"), Expected("TargetDown", _DJANGO)), _stopped)
