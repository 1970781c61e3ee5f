"""Looks at Prometheus' alerts and at what the receiver has got, all the time, and remembers when each was first seen."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from lab import stack
from lab.errors import LabError

LOOK_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class Sight:
    """An alert that was seen in a state (`pending` or `firing` by Prometheus, `received` or `resolved` by the receiver)."""

    when: float
    state: str
    labels: Mapping[str, str]
    began: float = 0
    """When the alert itself began, as Prometheus or Alertmanager says: one that lasts is told again."""

    def is_of(self, name: str, labels: Mapping[str, str]) -> bool:
        """Say whether it is the alert of that name with at least these labels."""
        return self.labels.get("alertname") == name and labels.items() <= self.labels.items()


def moment(text: str) -> float:
    """Return a time of RFC 3339, as both write it, in seconds since 1970."""
    return datetime.fromisoformat(text).timestamp()


class Watch:
    """What has been seen so far, in the order of time."""

    def __init__(self) -> None:
        self._sights: list[Sight] = []
        self._states: dict[frozenset[tuple[str, str]], str] = {}
        self._received = 0
        self._lock = threading.Lock()
        self._over = threading.Event()

    @contextmanager
    def going_on(self) -> Iterator["Watch"]:
        """Look in a thread of its own."""
        with suppress(LabError):
            self._received = len(stack.received_alerts())
        threads = [threading.Thread(target=self._repeat, args=(look,), daemon=True) for look in (self._ask, self._read)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def first(self, state: str, name: str, labels: Mapping[str, str], since: float) -> Sight | None:
        """Return when an alert was first seen in a state after a moment."""
        with self._lock:
            return next(
                (
                    each
                    for each in self._sights
                    if each.state == state and each.when >= since and each.is_of(name, labels)
                ),
                None,
            )

    def is_active(self, name: str, labels: Mapping[str, str]) -> bool:
        """Say whether Prometheus has the alert right now, pending or firing."""
        return any(Sight(0, state, dict(alert)).is_of(name, labels) for alert, state in self._states.items())

    def is_over(self, name: str, labels: Mapping[str, str], since: float) -> float | None:
        """Return when the receiver heard that the alert is over: every one of the name that it was told of since a moment."""
        last: dict[frozenset[tuple[str, str]], Sight] = {}
        with self._lock:
            for each in self._sights:
                if each.when >= since and each.state in {"received", "resolved"} and each.is_of(name, labels):
                    last[frozenset(each.labels.items())] = each
        if not last or any(each.state == "received" for each in last.values()):
            return None
        return max(each.when for each in last.values())

    def seen(self, state: str) -> list[Sight]:
        """Return all that was seen in a state."""
        with self._lock:
            return [each for each in self._sights if each.state == state]

    def began_between(self, begin: float, end: float) -> list[Sight]:
        """Return which alerts were firing, or received as such, within a span, leaving out those that lasted from before it."""
        return [
            each for state in ("firing", "received") for each in self.seen(state)
            if begin <= each.began and begin <= each.when <= end
        ]  # fmt: skip

    def _repeat(self, look: Any) -> None:
        while not self._over.is_set():
            # Away for a while is ordinary here: both are restarted, and one is stopped on purpose.
            with suppress(requests.RequestException, LabError, ValueError):
                look()
            self._over.wait(LOOK_EVERY_SECONDS)

    def _ask(self) -> None:
        now = time.time()
        states = {}
        for alert in stack.alerts():
            labels = frozenset(alert["labels"].items())
            states[labels] = alert["state"]
            if self._states.get(labels) != alert["state"]:
                self._see(Sight(now, alert["state"], dict(labels), moment(alert["activeAt"])))
        self._states = states

    def _read(self) -> None:
        received = stack.received_alerts(self._received)
        self._received += len(received)
        for alert in received:
            state = "received" if alert["status"] == "firing" else "resolved"
            self._see(Sight(alert["receivedAt"], state, alert["labels"], moment(alert["startsAt"])))

    def _see(self, sight: Sight) -> None:
        with self._lock:
            self._sights.append(sight)
