"""A transport whose receipts and failures a test decides, and which notices a worker that breaks the interface."""

from __future__ import annotations

import json
import threading

import pytest

from logbastion.shipping import ShippingHandler
from logbastion.shipping.backoff import Backoff
from logbastion.shipping.transports.base import Promise, Receipt, Refusal, TransportError


class FakeTransport:
    """Keeps what it is given. By default it settles everything at once."""

    promise = Promise.ACKNOWLEDGED

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.under_way: list[bytes] = []
        self.settled: list[bytes] = []
        self.refuse: dict[int, str] = {}
        """Numbers of events that are refused, and why."""
        self.failures = 0
        """How many of the next calls of send fail."""
        self.away = threading.Event()
        """Set: every call of send fails."""
        self.late = False
        """Settle nothing in send, everything in poll and finish."""
        self.retry_after: float | None = None
        self.finished = 0
        self.forgotten = 0
        self.entered = threading.Event()
        self.stuck: threading.Event | None = None
        """When there is one, send waits for it."""
        self._inside = threading.Lock()

    def numbers(self) -> list[int]:
        return [n for event in list(self.settled) if (n := number_of(event)) is not None]

    def messages(self) -> list[dict]:
        return [json.loads(event) for event in list(self.settled) if number_of(event) is None]

    def send(self, events):
        assert self._inside.acquire(blocking=False), "two calls at a time"
        try:
            assert events
            assert all(type(event) is bytes and b"\n" not in event for event in events)
            self.entered.set()
            if self.stuck is not None:
                self.stuck.wait(60)
            if self.away.is_set() or self.failures:
                self.failures = max(0, self.failures - 1)
                self.under_way = []
                raise TransportError("nobody answers", retry_after=self.retry_after)
            self.sent += events
            self.under_way += events
            return Receipt() if self.late else self._settle(len(self.under_way))
        finally:
            self._inside.release()

    def poll(self):
        return self._settle(len(self.under_way))

    def finish(self, timeout):
        assert timeout > 0
        self.finished += 1
        return self._settle(len(self.under_way))

    def forget(self):
        self.forgotten += 1
        self.under_way = []

    def _settle(self, count: int) -> Receipt:
        done, self.under_way = self.under_way[:count], self.under_way[count:]
        refused = []
        for index, event in enumerate(done):
            reason = self.refuse.get(number_of(event))
            if reason:
                refused.append(Refusal(index, reason))
            else:
                self.settled.append(event)
        return Receipt(count, tuple(refused))


def number_of(event: bytes) -> int | None:
    return json.loads(event).get("extra", {}).get("n")


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch):
    monkeypatch.setattr(Backoff, "next", lambda self: 0.01)


@pytest.fixture
def transport():
    return FakeTransport()


@pytest.fixture
def ship(logger, transport, tmp_path):
    def make(**options):
        options.setdefault("spool_directory", tmp_path / "spool")
        options.setdefault("exit_timeout", 20)
        handler = ShippingHandler(transport, **options)
        logger.addHandler(handler)
        return handler

    return make


def log_numbers(logger, first, last):
    for number in range(first, last):
        logger.info("number", extra={"n": number})
