"""The table: every alert and its cause, in the order in which they are made."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import yaml

from lab import settings, stack
from lab.errors import LabError
from lab.fire import causes_application, causes_pipeline, remote
from lab.fire.causes import Cause, Expected
from lab.fire.causes_monitoring import Seconds
from lab.fire.short_time import Configuration

RULES = settings.PROJECT_ROOT / "alertmanager/rules"
DEAD_MANS_SWITCH = "DeadMansSwitch"
"""Not an alert of the rules: what the dead man's switch sends by itself when it no longer hears the Watchdog."""


@contextmanager
def _prometheus_stopped() -> Iterator[None]:
    with remote.stopped(stack.OBSERVER, "prometheus"):
        yield


@contextmanager
def _nothing() -> Iterator[None]:
    # Its cause is that Prometheus runs, which it does since the watch began.
    yield


WATCHDOG = Cause("Prometheus runs", (Expected("Watchdog", ends=False),), _nothing)
SWITCH = Cause(
    "Prometheus is stopped: the dead man's switch on the application's host tells",
    (Expected(DEAD_MANS_SWITCH),),
    _prometheus_stopped,
    # Alertmanager repeats the Watchdog for four minutes more.
    within=600,
)


def tracks(configuration: Configuration) -> list[list[Cause]]:
    """Return the causes that go on side by side, in tracks; those of one track come one after the other.

    What one track makes inhibits nothing of another: Alertmanager compares `job` and `service`. Within the application's track the warnings
    of the pipeline come before its critical alerts.
    """
    return [
        [
            *causes_application.USERS,
            *causes_application.ATTACKS,
            *causes_pipeline.RETENTION_CAUSES,
            *causes_pipeline.SPOOL,
            *causes_pipeline.EVIDENCE,
            *causes_pipeline.CERTIFICATES,
            *causes_application.PAYMENTS,
        ],
        list(causes_pipeline.INGEST_CAUSES),
        list(Seconds(configuration).causes()),
    ]


def alone(configuration: Configuration) -> list[Cause]:
    """Return the causes that go on alone, after all others."""
    return [
        *causes_application.HANDLERS,
        causes_application.DOWN,
        *Seconds(configuration).causes_alone(),
        WATCHDOG,
        SWITCH,
    ]


def every_cause() -> list[Cause]:
    """Return all causes."""
    configuration = Configuration()
    return [cause for track in [*tracks(configuration), alone(configuration)] for cause in track]


def shipped_alerts() -> list[str]:
    """Return the alerts of the rules directory."""
    contents = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(RULES.glob("*.yml"))]
    return [
        rule["alert"]
        for content in contents
        for group in content["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]


def chosen(names: Collection[str], causes: list[Cause]) -> list[Cause]:
    """Return the causes of these alerts."""
    return [cause for cause in causes if any(each.name in names for each in cause.alerts)]


def check(names: Collection[str]) -> None:
    """Look whether these are alerts.

    Raises:
        LabError: when one is not; the sentence has those that there are.
    """
    known = sorted({*shipped_alerts(), DEAD_MANS_SWITCH})
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise LabError(f"There is no alert {', '.join(unknown)}. There are: {', '.join(known)}.")
