"""How long the sending thread rests: a burst is let pass, crumbs are gathered, a backlog is not kept waiting."""

import types

import pytest
from fake_transport import FakeTransport

from logbastion.shipping import worker as module
from logbastion.shipping.worker import ShippingWorker
from logbastion.streams import APPLICATION


class Pauses:
    def __init__(self):
        self.taken = []

    def wait(self, seconds):
        self.taken.append(seconds)


@pytest.fixture
def pause(monkeypatch):
    """After a step of 4 ms unless said, with a batch of so many events, one second after the last look."""
    now = [100.0]
    monkeypatch.setattr(module, "time", types.SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0]))

    def make(count, *, logged, fullness=0.0, closed=False, step=0.004):
        spool = types.SimpleNamespace(root=None, appended=0, fullness=fullness)
        worker = ShippingWorker(spool, FakeTransport(), None, None, None)
        worker._closing = Pauses()
        now[0] += 1.0
        spool.appended = logged
        batch = types.SimpleNamespace(count=count, segment=types.SimpleNamespace(closed=closed), stream=APPLICATION)
        worker._give_way(batch, now[0] - step)
        return sum(worker._closing.taken)

    return make


def test_a_burst_is_let_pass(pause):
    assert pause(1000, logged=20_000) == pytest.approx(0.1)


def test_a_burst_is_not_let_pass_for_long(pause):
    assert pause(1000, logged=20_000, step=1.0) == pytest.approx(0.25)


def test_no_burst_is_let_pass_while_the_spool_fills_up(pause):
    assert pause(1000, logged=20_000, fullness=0.3) == 0


def test_a_backlog_is_not_kept_waiting(pause):
    assert pause(1000, logged=500) == 0


def test_a_few_events_are_gathered_unless_more_are_there_already(pause):
    assert pause(20, logged=500) == pytest.approx(0.01)
    assert pause(20, logged=500, closed=True) == 0
