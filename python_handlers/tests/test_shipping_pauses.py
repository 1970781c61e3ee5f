"""How long the sending thread rests: a burst is let pass, crumbs are gathered, a backlog is not kept waiting."""

import types

import pytest
from fake_transport import FakeTransport

from logbastion.shipping import worker as module
from logbastion.shipping.worker import ShippingWorker
from logbastion.streams import APPLICATION


class Clock:
    """Time that passes by waiting only; meanwhile so many events a second are logged, in all at most so many."""

    def __init__(self, spool, per_second, ends_after, closes_after):
        self.now = 100.0
        self.waited = []
        self._spool, self._per_second, self._ends_after, self._closes_after = (
            spool,
            per_second,
            ends_after,
            closes_after,
        )

    def wait(self, seconds):
        self.now += seconds
        self.waited.append(seconds)
        if sum(self.waited) <= self._ends_after:
            self._spool.appended += round(self._per_second * seconds)
        return sum(self.waited) > self._closes_after


@pytest.fixture
def pause(monkeypatch):
    """After a step of 4 ms unless said, with a batch of so many events, one second after the last look."""

    def make(count, *, logged, fullness=0.0, closed=False, step=0.004, ends_after=60.0, closes_after=60.0):
        spool = types.SimpleNamespace(root=None, appended=0, fullness=fullness)
        clock = Clock(spool, logged, ends_after, closes_after)
        monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=lambda: clock.now, time=lambda: clock.now))
        worker = ShippingWorker(spool, FakeTransport(), None, None, None)
        worker._closing = clock
        clock.now += 1.0
        spool.appended = logged
        batch = types.SimpleNamespace(count=count, segment=types.SimpleNamespace(closed=closed), stream=APPLICATION)
        worker._give_way(batch, clock.now - step)
        assert all(seconds <= 0.05 for seconds in clock.waited)
        return sum(clock.waited)

    return make


def test_a_burst_is_let_pass(pause):
    assert pause(1000, logged=20_000) == pytest.approx(0.2)


def test_a_burst_is_not_let_pass_for_long(pause):
    assert pause(1000, logged=20_000, step=1.0) == pytest.approx(1.0)


def test_a_burst_that_is_over_is_noticed_soon(pause):
    assert 0.3 < pause(1000, logged=20_000, step=1.0, ends_after=0.3) < 0.41


def test_the_end_of_the_process_does_not_wait_for_the_end_of_a_burst(pause):
    assert pause(1000, logged=20_000, step=1.0, closes_after=0.3) < 0.41


def test_no_burst_is_let_pass_while_the_spool_fills_up(pause):
    assert pause(1000, logged=20_000, fullness=0.3) == 0


def test_a_backlog_is_not_kept_waiting(pause):
    assert pause(1000, logged=500) == 0


def test_a_few_events_are_gathered_unless_more_are_there_already(pause):
    assert pause(20, logged=500) == pytest.approx(0.01)
    assert pause(20, logged=500, closed=True) == 0
