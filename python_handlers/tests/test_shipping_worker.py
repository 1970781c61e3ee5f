"""Handler and worker against a transport that does what a test says."""

import json
import logging
import os
import threading
import time

import fake_transport
import pytest
from conftest import eventually
from fake_transport import log_numbers
from spool_helpers import segments, small

from logbastion import EventFormatter
from logbastion.shipping import DropOldest, ShippingHandler, worker
from logbastion.shipping.backoff import Backoff
from logbastion.shipping.status import DROP_REASONS
from logbastion.shipping.transports.base import Promise, Receipt, TransportError

pytestmark = pytest.mark.integration

no_long_waits, transport, ship = fake_transport.no_long_waits, fake_transport.transport, fake_transport.ship


@pytest.mark.parametrize(("late", "memory"), [(False, False), (False, True), (True, False), (True, True)])
def test_everything_is_settled_once_in_order(ship, logger, transport, late, memory):
    transport.late = late
    handler = ship(memory_bytes=64 << 20, **({"spool_directory": None} if memory else {}))
    log_numbers(logger, 0, 5000)
    assert handler.wait(20)
    handler.close()
    assert transport.numbers() == list(range(5000))
    counts = handler.counts()
    assert (counts.queued, counts.shipped, counts.acknowledged, counts.resent, counts.refused) == (
        5000,
        5000,
        5000,
        0,
        0,
    )
    assert counts.dropped == {}
    assert transport.finished == 1
    assert handler._spool.home is None


def test_the_receiver_gets_what_the_formatter_makes_byte_for_byte(ship, logger, transport):
    handler = ship()
    records = [logging.makeLogRecord({"name": logger.name, "msg": text}) for text in ("a", "b\n\u20ac ", "")]
    for record in records:
        handler.handle(record)
    assert handler.wait(20)
    assert transport.settled == [handler.formatter.format_json(record) for record in records]


def test_streams_follow_the_loggers(transport, tmp_path):
    handler = ShippingHandler(transport, spool_directory=tmp_path)
    transport.away.set()
    for name, level in [("finances.x", 20), ("security.x", 20), ("business", 10), ("other", 20), ("performance", 20)]:
        handler.handle(logging.LogRecord(name, level, "f", 1, "m", (), None))
    handler.close()
    assert {path.name.split(".")[0] for path in segments(tmp_path)} == {
        "audit", "security", "debug", "application", "performance",
    }  # fmt: skip


def test_failures_lose_and_double_nothing_and_are_told_once(ship, logger, transport):
    transport.late = True
    handler = ship()
    log_numbers(logger, 0, 1200)
    eventually(lambda: handler.counts().shipped >= 1200)
    transport.failures = 3
    log_numbers(logger, 1200, 2000)
    assert handler.wait(20)
    eventually(lambda: any(message["event_type"] == "shipping_resumed" for message in transport.messages()))
    handler.close()
    assert transport.numbers() == list(range(2000))
    counts = handler.counts()
    assert counts.failures == 3
    assert counts.last_error == "nobody answers"
    (told,) = transport.messages()
    assert told["logger"] == "system.log_management"
    assert told["event"]["dataset"] == "django.audit"
    assert told["extra"]["dropped_events"] == 0
    assert told["extra"]["last_error"] == "nobody answers"


@pytest.mark.parametrize("promise", [Promise.ACKNOWLEDGED, Promise.SENT])
def test_what_was_under_way_is_sent_again_after_a_failure_and_counted(ship, logger, transport, monkeypatch, promise):
    """The connection breaks with two batches under way: one had left, one was just being handed over."""
    transport.promise = promise
    monkeypatch.setattr(transport, "poll", Receipt)
    transport.late = True
    handler = ship()
    log_numbers(logger, 0, 10)
    eventually(lambda: handler.counts().shipped == 10)
    transport.failures = 1
    transport.late = False
    log_numbers(logger, 10, 20)
    assert handler.wait(20)
    handler.close()
    assert handler.counts().resent == 10
    assert transport.numbers() == list(range(20))


def test_what_a_failing_call_has_settled_is_not_sent_again(ship, logger, transport, monkeypatch):
    real = transport.send

    def send(events):
        monkeypatch.undo()
        transport.settled += events[:3]
        raise TransportError("broken", receipt=Receipt(3))

    transport.away.set()
    handler = ship()
    log_numbers(logger, 0, 10)
    eventually(lambda: handler.counts().failures)
    monkeypatch.setattr(transport, "send", send)
    transport.away.clear()
    assert handler.wait(20)
    handler.close()
    assert real
    assert transport.numbers() == list(range(10))


def test_what_is_under_way_is_bounded_and_goes_on_after_failures(ship, logger, transport, monkeypatch):
    monkeypatch.setattr(worker, "_WINDOW_BYTES", 100_000)
    real, most = transport.send, []

    def send(events):
        most.append(sum(map(len, [*transport.under_way, *events])))
        return real(events)

    monkeypatch.setattr(transport, "send", send)
    transport.late = True
    transport.away.set()
    handler = ship()
    log_numbers(logger, 0, 4000)
    eventually(lambda: handler.counts().failures >= 3)
    transport.away.clear()
    assert handler.wait(20)
    handler.close()
    assert transport.numbers() == list(range(4000))
    assert max(most) < 100_000 + worker._BATCH_BYTES + 1000  # one batch beyond


def test_the_end_of_a_process_makes_one_more_attempt_and_not_two(ship, logger, transport, monkeypatch):
    """The receiver may be back, though the pause is not over; but the end of a process is no time to wait for it."""
    monkeypatch.setattr(Backoff, "next", lambda self: 600)
    handler = ship()
    transport.away.set()
    log_numbers(logger, 0, 10)
    eventually(lambda: handler.counts().failures == 1)
    logger.removeHandler(handler)
    handler.close()
    assert handler.counts().failures == 2
    second = ship()
    log_numbers(logger, 10, 11)
    eventually(lambda: second.counts().failures == 1)
    transport.away.clear()
    second.close()
    assert sorted(transport.numbers()) == list(range(11))


def test_retry_after_is_kept(ship, logger, transport):
    transport.failures, transport.retry_after = 1, 0.4
    handler = ship()
    before = time.monotonic()
    log_numbers(logger, 0, 1)
    assert handler.wait(20)
    assert time.monotonic() - before >= 0.4
    handler.close()


def test_an_unexpected_error_of_a_transport_ends_nothing(ship, logger, transport, monkeypatch):
    def send(events):
        monkeypatch.undo()
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(transport, "send", send)
    handler = ship()
    log_numbers(logger, 0, 10)
    assert handler.wait(20)
    handler.close()
    assert transport.numbers() == list(range(10))
    assert handler.counts().last_error == "ZeroDivisionError: a defect"
    assert transport.forgotten == 1


def test_a_receipt_for_more_than_is_under_way_ends_nothing(ship, logger, transport, monkeypatch):
    monkeypatch.setattr(transport, "send", lambda events: Receipt(len(events) + 5))
    handler = ship()
    log_numbers(logger, 0, 1000)
    assert handler.wait(20)
    handler.close()


def test_drops_are_counted_and_told_once_they_are_over(ship, logger, transport):
    transport.away.set()
    handler = ship(limits={"application": small(DropOldest())})
    log_numbers(logger, 0, 2000)
    dropped = handler.counts().dropped["application", "spool_full"]
    transport.away.clear()
    eventually(transport.messages)
    handler.close()
    assert len(transport.numbers()) == 2000 - dropped
    assert transport.numbers() == list(range(dropped, 2000))
    (told,) = transport.messages()
    assert told["extra"]["dropped_events"] == dropped
    assert told["event_type"] == "shipping_resumed"
    assert {reason for _, reason in handler.counts().dropped} <= set(DROP_REASONS)


def test_a_stuck_transport_blocks_neither_the_caller_nor_the_exit_and_loses_nothing(ship, logger, transport, tmp_path):
    transport.stuck = threading.Event()
    handler = ship(exit_timeout=0.2)
    log_numbers(logger, 0, 1)
    assert transport.entered.wait(20)
    log_numbers(logger, 1, 100)  # would hang here
    logger.removeHandler(handler)
    handler.close()  # and here
    assert handler.counts().dropped == {}
    transport.stuck.set()
    eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "logbastion-shipping"])
    transport.stuck = None
    transport.settled.clear()
    second = ship()
    log_numbers(logger, 100, 101)
    eventually(lambda: len(transport.numbers()) == 101)
    second.close()
    assert sorted(transport.numbers()) == list(range(101))
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_stuck_transport_without_a_spool_loses_what_is_in_memory_and_counts_it(ship, logger, transport):
    transport.stuck = threading.Event()
    handler = ship(spool_directory=None, exit_timeout=0.2)
    log_numbers(logger, 0, 1)
    assert transport.entered.wait(20)
    log_numbers(logger, 1, 11)
    handler.close()
    assert handler.counts().dropped == {("application", "exit"): 11}
    logger.info("too late")
    assert handler.counts().dropped == {("application", "exit"): 12}
    transport.stuck.set()


def test_events_after_the_end_are_kept_for_the_next_process(ship, logger, transport, tmp_path):
    handler = ship()
    handler.close()
    log_numbers(logger, 0, 5)
    logger.removeHandler(handler)
    assert transport.numbers() == []
    second = ship()
    log_numbers(logger, 5, 6)
    handler._spool.close()  # as the end of the process does
    eventually(lambda: len(transport.numbers()) == 6)
    second.close()


def test_memory_is_drained_by_the_ending_thread_where_no_other_can_be_started(ship, logger, transport, monkeypatch):
    """As in Python 3.12 once exit handlers run."""

    def start(_thread):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)
    handler = ship(spool_directory=None)
    log_numbers(logger, 0, 300)
    assert transport.numbers() == []
    handler.close()
    assert transport.numbers() == list(range(300))
    assert transport.finished == 1
    assert handler.counts().dropped == {}


@pytest.mark.parametrize("trouble", ["a lock is held", "the transport raises"])
def test_a_forked_child_starts_whatever_the_parent_was_at(ship, logger, transport, monkeypatch, trouble):
    handler = ship()
    if trouble == "a lock is held":
        assert handler._start_lock.acquire(blocking=False)
    else:

        def forget():
            raise ZeroDivisionError("a defect")

        monkeypatch.setattr(transport, "forget", forget)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            log_numbers(logger, 0, 10)
            assert handler.wait(20)
            assert transport.numbers() == list(range(10))
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("at_once", [False, True])
def test_no_feedback_from_the_transports_own_logging(ship, logger, transport, monkeypatch, at_once):
    """Neither when the thread is sending before the one that has started it knows that it runs."""
    real, real_start = transport.send, worker.ShippingWorker.start

    def send(events):
        logger.info("sending")
        return real(events)

    def start(self):
        real_start(self)
        assert not at_once or transport.entered.wait(20)

    monkeypatch.setattr(transport, "send", send)
    monkeypatch.setattr(worker.ShippingWorker, "start", start)
    handler = ship()
    log_numbers(logger, 0, 10)
    assert handler.wait(20)
    handler.close()
    assert len(transport.settled) == 10


def test_the_handlers_lock_is_not_held_while_formatting(ship, logger):
    handler = ship()
    free = []

    class Slow(EventFormatter):
        def format_json(self, record):
            other = threading.Thread(target=lambda: free.append(handler.lock.acquire(timeout=20) and handler.release()))
            other.start()
            other.join()
            return super().format_json(record)

    handler.setFormatter(Slow())
    log_numbers(logger, 0, 1)
    assert free == [None]


def test_a_filter_may_replace_the_record(ship, logger, transport):
    handler = ship()

    def replace(record):
        return logging.makeLogRecord({**record.__dict__, "n": 77}) if record.n == 1 else record.n != 2

    handler.addFilter(replace)
    log_numbers(logger, 0, 3)
    assert handler.wait(20)
    handler.close()
    assert transport.numbers() == ([0, 77] if hasattr(logging, "getHandlerByName") else [0, 1])


def test_the_gate_is_asked_and_cannot_be_passed_by(ship, logger, transport):
    handler = ship(gate=lambda event: {**event, "message": "redacted"})
    log_numbers(logger, 0, 1)
    assert handler.wait(20)
    with pytest.raises(ValueError, match="gate"):
        handler.setFormatter(EventFormatter())
    handler.close()
    assert json.loads(transport.settled[0])["message"] == "redacted"


def test_a_formatter_of_ones_own(ship, logger, transport):
    handler = ship()
    handler.setFormatter(logging.Formatter('{"message":\n"%(message)s"}'))
    logger.info("hello")
    assert handler.wait(20)
    handler.close()
    assert transport.settled == [b'{"message": "hello"}']


def test_a_formatter_that_raises_does_not_reach_the_caller(ship, logger, transport, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    handler = ship()
    handler.setFormatter(logging.Formatter("%(nothing)s"))
    logger.info("hello")
    handler.close()
    assert transport.sent == []


@pytest.mark.parametrize("attributes", [{"name": None}, {"levelno": None}, {"levelno": "x", "name": 7}])
def test_a_record_made_by_hand_is_kept(ship, transport, attributes):
    handler = ship()
    handler.handle(logging.makeLogRecord({"n": 1, "levelno": 20, **attributes}))
    assert handler.wait(20)
    handler.close()
    assert transport.numbers() == [1]


def test_wrong_arguments_get_a_sentence(transport):
    with pytest.raises(ValueError, match="exit_timeout"):
        ShippingHandler(transport, exit_timeout=-1)
    with pytest.raises(ValueError, match="durability"):
        ShippingHandler(transport, durability="perhaps")
