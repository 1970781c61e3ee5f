import json
import multiprocessing
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading

import pytest
from conftest import eventually
from sink import Sink

from logbastion import ShippingHandler, TcpTlsTransport
from logbastion.shipping import Transport, TransportError
from logbastion.shipping.transport import Backoff


@pytest.fixture
def ship(certificates, logger):
    """Makes a handler on the test's logger, sending to the given address."""

    def make(destinations, **options):
        transport = TcpTlsTransport(destinations, **{**certificates.client, **options.pop("transport", {})})
        handler = ShippingHandler(transport, **options)
        logger.addHandler(handler)
        return handler

    return make


def log_numbers(logger, first, last):
    for number in range(first, last):
        logger.info("number", extra={"n": number})


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_everything_arrives_once_in_order_and_the_connection_ends_in_order(certificates, ship, logger, version):
    sink = Sink(certificates, version=version)
    sink.start()
    handler = ship(sink.address)
    log_numbers(logger, 0, 5000)
    handler.close()
    # close() has returned, so the receiver has read to the end: nothing to wait for.
    assert sink.numbers() == list(range(5000))
    assert sink.clean_ends == 1
    assert sink.versions == {version.name.replace("_", ".")}
    assert handler.stats()["shipped"] == 5000
    assert handler.stats()["dropped"] == {}
    sink.stop()


def test_ipv6(certificates, ship, logger):
    sink = Sink(certificates, family=socket.AF_INET6)
    sink.start()
    handler = ship(sink.address)
    log_numbers(logger, 0, 3)
    handler.close()
    assert sink.numbers() == [0, 1, 2]
    sink.stop()


def test_a_receiver_of_another_authority_gets_nothing(certificates, sink, ship, logger):
    handler = ship(sink.address, transport={"ca_file": str(certificates.other_ca)}, exit_timeout=1)
    log_numbers(logger, 0, 3)
    eventually(lambda: handler.stats()["failed_attempts"])
    assert "CERTIFICATE_VERIFY_FAILED" in handler.stats()["last_error"]
    handler.close()
    assert sink.lines == []
    assert handler.stats()["dropped"] == {"exit": 3}


def test_a_receiver_with_another_name_gets_nothing(certificates, ship, logger):
    sink = Sink(certificates, server=certificates.authority.issue_cert("elsewhere.example"))
    sink.start()
    handler = ship(sink.address, exit_timeout=1)
    log_numbers(logger, 0, 3)
    eventually(lambda: handler.stats()["failed_attempts"])
    assert "Hostname mismatch" in handler.stats()["last_error"]
    handler.close()
    assert sink.lines == []
    sink.stop()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_refused_client_certificate_is_noticed(certificates, ship, logger, version):
    sink = Sink(certificates, version=version)
    sink.start()
    handler = ship(sink.address, transport={"certificate_file": None, "key_file": None}, exit_timeout=1)
    log_numbers(logger, 0, 3)
    eventually(lambda: handler.stats()["failed_attempts"])
    assert handler.stats()["shipped"] == 0
    handler.close()
    sink.stop()


def test_a_killed_receiver_loses_nothing(certificates, sink, ship, logger):
    """Numbered events across resets: what the dead receiver had not read comes again."""
    handler = ship(sink.address, exit_timeout=20)
    log_numbers(logger, 0, 1000)
    for round_ in range(1, 4):
        sink.reading.clear()  # bytes go into kernel buffers, read by nobody
        log_numbers(logger, round_ * 1000, (round_ + 1) * 1000)
        shipped = (round_ + 1) * 1000
        eventually(lambda shipped=shipped: handler.stats()["shipped"] >= shipped)
        sink.stop()
        sink.reading.set()
        sink.start()
    log_numbers(logger, 4000, 5000)
    handler.close()
    numbers = sink.numbers()
    assert set(numbers) == set(range(5000))
    assert handler.transport.resent > 0
    by_id = {}
    for line in sink.lines:
        found = json.loads(line)
        by_id.setdefault(found["event"]["id"], set()).add(line)
    # A document id for each number, and a repetition is the same line: the store keeps one of them.
    assert len(by_id) - sum("interruption" in message for message in set(sink.messages())) <= 5000 + 4
    assert all(len(lines) == 1 for lines in by_id.values())


def test_a_lost_tail_is_sent_again_without_a_new_event(certificates, sink, ship, logger):
    handler = ship(sink.address)
    log_numbers(logger, 0, 10)
    eventually(lambda: len(sink.numbers()) == 10)
    sink.stop()
    sink.lines.clear()
    sink.start()
    eventually(lambda: len(sink.numbers()) == 10)
    handler.close()


def test_fail_over_to_the_second_destination(certificates, sink, ship, logger):
    handler = ship(f"localhost:{free_port()},{sink.address}")
    log_numbers(logger, 0, 10)
    handler.close()
    assert sink.numbers() == list(range(10))


def test_an_outage_drops_are_counted_and_told_once(certificates, ship, logger):
    sink = Sink(certificates)
    sink.port = free_port()
    handler = ship(sink.address, capacity=100, exit_timeout=20)
    log_numbers(logger, 0, 1000)
    dropped = handler.stats()["dropped"]["queue_full"]
    assert 1000 - 100 - 500 <= dropped <= 900  # the thread holds at most one batch of 500 besides the queue
    sink.start()
    eventually(lambda: any("interruption" in message for message in sink.messages()))
    handler.close()
    told = [json.loads(line) for line in sink.lines if b"interruption" in line]
    assert len(told) == 1
    assert told[0]["extra"]["dropped_events"] == dropped
    assert told[0]["logger"] == "system.log_management"
    assert told[0]["event"]["dataset"] == "django.audit"
    assert len(sink.numbers()) == 1000 - dropped
    sink.stop()


def test_the_queue_is_bounded_in_bytes(ship, logger):
    handler = ship(f"localhost:{free_port()}", capacity_bytes=100_000, exit_timeout=0.1)
    for _ in range(100):
        logger.info("x" * 10_000)
    assert handler.stats()["waiting"] <= 60  # 100 kB waiting and one batch of 256 KiB in the thread's hands
    assert handler.stats()["dropped"]["queue_full"] >= 40
    handler.close()


class StuckTransport(Transport):
    """Never returns from send, as with a receiver that accepts and never reads."""

    def __init__(self):
        self.entered, self.release = threading.Event(), threading.Event()

    def send(self, lines):
        self.entered.set()
        self.release.wait(60)
        raise TransportError("stuck")

    def idle(self):
        self.entered.clear()

    def close(self, timeout):
        self.release.set()

    def forget(self):
        self.entered.clear()


def test_a_stuck_receiver_blocks_neither_the_caller_nor_the_exit(logger):
    transport = StuckTransport()
    handler = ShippingHandler(transport, capacity=10, exit_timeout=0.2)
    logger.addHandler(handler)
    logger.info("first")
    assert transport.entered.wait(20)
    log_numbers(logger, 0, 100)  # would hang here
    assert handler.stats()["dropped"] == {"queue_full": 90}
    handler.close()  # and here
    assert handler.stats()["dropped"] == {"queue_full": 90, "exit": 11}
    transport.release.set()


class LoggingTransport(StuckTransport):
    """A transport whose library logs each time it sends."""

    def __init__(self, logger):
        super().__init__()
        self.logger, self.sent = logger, []

    def send(self, lines):
        self.logger.info("sending")
        self.sent.extend(lines)


def test_no_feedback_from_the_transports_own_logging(logger):
    transport = LoggingTransport(logger)
    handler = ShippingHandler(transport)
    logger.addHandler(handler)
    log_numbers(logger, 0, 10)
    assert handler.wait(20)
    handler.close()
    assert len(transport.sent) == 10


def test_a_signal_handler_that_logs_does_not_deadlock(sink, ship, logger):
    handler = ship(sink.address, exit_timeout=20)
    hits = []

    def interrupt(*_):
        hits.append(1)
        logger.info("signal", extra={"n": -1})

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        log_numbers(logger, 0, 2000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    handler.close()
    assert hits
    numbers = sink.numbers()
    assert sorted(number for number in numbers if number >= 0) == list(range(2000))
    assert numbers.count(-1) == len(hits)


def test_a_forked_child_ships_its_own_and_nothing_of_the_parent(sink, ship, logger):
    handler = ship(sink.address, exit_timeout=20)
    log_numbers(logger, 0, 500)
    child = os.fork()
    if child == 0:
        log_numbers(logger, 1000, 1500)
        handler.close()
        os._exit(0)
    log_numbers(logger, 500, 1000)
    assert os.waitpid(child, 0)[1] == 0
    handler.close()
    assert sorted(sink.numbers()) == list(range(1500))


def test_a_multiprocessing_child_is_flushed_at_its_exit(sink, ship, logger):
    handler = ship(sink.address, exit_timeout=20)
    child = multiprocessing.get_context("fork").Process(target=log_numbers, args=(logger, 0, 500))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert sorted(sink.numbers()) == list(range(500))
    handler.close()


EXIT_PROGRAM = """
import atexit, logging, logging.config, sys
import logbastion
logging.config.dictConfig(logbastion.logging_config("test", ingest=sys.argv[1], ca_file=sys.argv[2],
    certificate_file=sys.argv[3], key_file=sys.argv[4]))
log = logging.getLogger("business")
if sys.argv[5] == "late":  # registered after logging's own, so it runs before it
    atexit.register(lambda: log.info("late", extra={"n": 0}))
else:
    for n in range(300):
        log.info("number", extra={"n": n})
"""


@pytest.mark.parametrize(("when", "count"), [("before", 300), ("late", 1)])
def test_the_end_of_a_process_sends_what_is_queued(certificates, sink, when, count):
    files = [str(certificates.ca), str(certificates.certificate), str(certificates.key)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", EXIT_PROGRAM, sink.address, *files, when]
    subprocess.run(command, check=True, timeout=60, env=environment)
    assert sink.numbers() == list(range(count))


def test_the_end_of_a_process_is_bounded_while_the_receiver_is_away(certificates):
    files = [str(certificates.ca), str(certificates.certificate), str(certificates.key)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", EXIT_PROGRAM, f"localhost:{free_port()}", *files, "before"]
    done = subprocess.run(command, check=True, timeout=60, env=environment, capture_output=True)
    assert b"Traceback" not in done.stderr


def test_threads_and_descriptors_do_not_leak(certificates, ship, logger, sink):
    handler = ship(sink.address, exit_timeout=20)
    log_numbers(logger, 0, 1)
    eventually(sink.numbers)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(1, 6):
        sink.stop()
        sink.start()
        log_numbers(logger, number, number + 1)
        eventually(lambda number=number: number in sink.numbers())
    handler.close()
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert not [thread for thread in threading.enumerate() if thread.name == "logbastion-shipping"]


def test_records_after_the_end_are_counted(sink, ship, logger):
    handler = ship(sink.address)
    handler.close()
    logger.info("too late")
    assert handler.stats()["dropped"] == {"exit": 1}


@pytest.mark.parametrize(
    "wrong",
    ["", "observer", "observer:", ":5959", "observer:0", "observer:70000", "observer:x", "2001:db8::1:5959", ","],
)
def test_wrong_destinations_get_a_sentence(certificates, wrong):
    with pytest.raises(ValueError, match="destination"):
        TcpTlsTransport(wrong, **certificates.client)


def test_backoff_grows_to_its_cap_and_begins_again():
    backoff = Backoff(first=1, cap=8)
    waits = [backoff.next() for _ in range(20)]
    assert waits[0] <= 1
    assert max(waits) <= 8
    assert min(waits[5:]) >= 2
    backoff.reset()
    assert backoff.next() <= 1
