"""The handler with the real TCP transport, real receivers and real processes: outages, forks, ends and kills."""

import contextlib
import json
import mmap
import multiprocessing
import multiprocessing.util
import os
import signal
import socket
import ssl
import sys
import threading
import time

import pytest
from conftest import eventually
from sender_program import program
from sink import Sink

from logbastion import processes
from logbastion.shipping import ShippingHandler, TcpTransport
from logbastion.shipping.backoff import Backoff
from logbastion.shipping.spool import Spool

pytestmark = pytest.mark.integration


@pytest.fixture
def ship(certificates, logger, tmp_path):
    """Makes a handler on the test's logger, sending to the given address."""

    def make(destinations, **options):
        transport = TcpTransport(
            destinations, **{"settle_seconds": 0.2, **certificates.client, **options.pop("transport", {})}
        )
        options.setdefault("spool_directory", tmp_path / "spool")
        handler = ShippingHandler(transport, **{"exit_timeout": 20, **options})
        logger.addHandler(handler)
        return handler

    return make


@pytest.fixture
def away(certificates):
    """A receiver that is not there yet; its port is nobody's."""
    made = Sink(certificates)
    made.start()
    made.stop()
    yield made
    made.stop()


def log_numbers(logger, first, last):
    for number in range(first, last):
        logger.info("number", extra={"n": number})


def left_in(spool):
    return [path for path in spool.iterdir() if path.name not in ("quarantine", "dead_letters")]


def test_everything_arrives_once_in_order_and_the_connection_ends_in_order(sink, ship, logger, tmp_path):
    handler = ship(sink.address)
    log_numbers(logger, 0, 5000)
    handler.close()
    # close() has returned, so the receiver has read to the end: nothing to wait for.
    assert sink.numbers() == list(range(5000))
    assert sink.clean_ends == 1
    assert handler.counts().acknowledged == 5000
    assert handler.counts().dropped == {}
    assert left_in(tmp_path / "spool") == []


def test_a_receiver_of_another_authority_gets_nothing_and_nothing_is_lost(certificates, sink, ship, logger, tmp_path):
    handler = ship(sink.address, transport={"ca_file": str(certificates.other_ca)}, exit_timeout=0.2)
    log_numbers(logger, 0, 3)
    eventually(lambda: handler.counts().failures)
    assert "CERTIFICATE_VERIFY_FAILED" in handler.counts().last_error
    logger.removeHandler(handler)
    handler.close()
    assert sink.lines == []
    assert handler.counts().dropped == {}
    second = ship(sink.address)
    log_numbers(logger, 3, 4)
    eventually(lambda: len(sink.numbers()) == 4)
    second.close()
    assert sorted(sink.numbers()) == [0, 1, 2, 3]


def test_a_killed_receiver_loses_nothing(sink, ship, logger, monkeypatch):
    """Numbered events across resets: what the dead receiver had not read comes again."""
    monkeypatch.setattr(Backoff, "next", lambda self: 0.01)
    handler = ship(sink.address, transport={"settle_seconds": 600})
    log_numbers(logger, 0, 1000)
    for round_ in range(1, 4):
        sink.reading.clear()  # bytes go into kernel buffers, read by nobody
        log_numbers(logger, round_ * 1000, (round_ + 1) * 1000)
        eventually(handler._spool.is_read)
        failures = handler.counts().failures
        sink.stop()
        sink.reading.set()
        eventually(lambda failures=failures: handler.counts().failures > failures)
        sink.start()
    log_numbers(logger, 4000, 5000)
    handler.close()
    assert set(sink.numbers()) == set(range(5000))
    assert handler.counts().resent > 0
    by_id = {}
    for line in set(sink.lines):
        by_id.setdefault(json.loads(line)["event"]["id"], []).append(line)
    assert all(len(lines) == 1 for lines in by_id.values())  # a repetition is the same line: the store keeps one


def test_an_outage_costs_nothing(away, ship, logger):
    handler = ship(away.address)
    log_numbers(logger, 0, 20_000)
    eventually(lambda: handler.counts().failures)
    away.start()
    eventually(lambda: any("interruption" in message for message in away.messages()))
    handler.close()
    assert sorted(set(away.numbers())) == list(range(20_000))
    assert handler.counts().dropped == {}


def test_fail_over_to_the_second_destination(away, sink, ship, logger):
    handler = ship(f"{away.address},{sink.address}")
    log_numbers(logger, 0, 10)
    handler.close()
    assert sink.numbers() == list(range(10))


def test_a_signal_handler_that_logs_does_not_deadlock(sink, ship, logger):
    handler = ship(sink.address)
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
    assert [number for number in numbers if number >= 0] == list(range(2000))
    assert numbers.count(-1) == len(hits)


def test_a_forked_child_ships_its_own_and_nothing_of_the_parent(sink, ship, logger):
    handler = ship(sink.address)
    log_numbers(logger, 0, 500)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            log_numbers(logger, 1000, 1500)
            handler.close()
            assert handler.counts().queued == 500
            code = 0
        finally:
            os._exit(code)
    log_numbers(logger, 500, 1000)
    assert os.waitpid(child, 0)[1] == 0
    handler.close()
    assert sorted(sink.numbers()) == list(range(1500))


@pytest.mark.parametrize("part", ["the resolver", "OpenSSL's start", "the handshake"])
def test_a_fork_waits_for_code_whose_locks_no_child_gets_back(sink, ship, logger, monkeypatch, part):
    """A child that is born while the parent's thread holds a lock of OpenSSL, say, could never connect."""
    owner, name = {
        "the resolver": (socket, "getaddrinfo"),
        "OpenSSL's start": (ssl.SSLContext, "load_verify_locations"),
        "the handshake": (ssl.SSLSocket, "do_handshake"),
    }[part]
    real, entered, inside = getattr(owner, name), threading.Event(), []

    def slow(*arguments, **options):
        if threading.current_thread().name != "logbastion-shipping":
            return real(*arguments, **options)
        inside.append(1)
        entered.set()
        time.sleep(0.05)
        try:
            return real(*arguments, **options)
        finally:
            inside.pop()

    monkeypatch.setattr(owner, name, slow)
    handler = ship(sink.address)
    log_numbers(logger, 0, 10)
    assert entered.wait(20)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert not inside
            log_numbers(logger, 10, 20)
            handler.close()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    handler.close()
    assert sorted(sink.numbers()) == list(range(20))


def test_a_fork_does_not_wait_for_ever(sink, ship, logger, monkeypatch):
    """A name server that does not answer delays it only for a moment."""
    entered, forked, real, in_time = threading.Event(), threading.Event(), socket.getaddrinfo, []

    def slow(*arguments, **options):
        entered.set()
        in_time.append(forked.wait(20))
        return real(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    handler = ship(sink.address)
    log_numbers(logger, 0, 10)
    assert entered.wait(20)
    child = os.fork()
    if child == 0:
        os._exit(0)
    forked.set()
    assert os.waitpid(child, 0)[1] == 0
    handler.close()
    assert all(in_time)
    assert sink.numbers() == list(range(10))


@pytest.mark.parametrize("wiped", [True, False], ids=["wiped page", "process number"])
def test_a_child_whose_fork_python_was_not_told_of(sink, ship, logger, monkeypatch, wiped):
    """uWSGI forks in C; without its option py-call-uwsgi-fork-hooks nobody calls what Python has for forks."""
    unforked = processes._page_of_this_process() if wiped else processes._ProcessNumber()
    assert isinstance(unforked, mmap.mmap) == wiped
    unforked[0] = 1
    handler = ship(sink.address)
    log_numbers(logger, 0, 10)
    eventually(lambda: handler.counts().shipped == 10)
    hooks = list(processes._hooks)
    processes._hooks.clear()
    child = os.fork()  # in C it would leave the child an interpreter whose lock the worker may hold
    processes._hooks.extend(hooks)
    monkeypatch.setattr(processes, "_unforked", unforked)  # what Python calls has not touched it
    if child == 0:
        code = 1
        try:
            assert handler.wait(0)  # the parent's are not its own, though they are not settled
            log_numbers(logger, 10, 20)
            assert handler.counts().queued == 10
            handler.close()
            assert handler.counts().shipped == 10
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    log_numbers(logger, 20, 30)
    handler.close()
    assert sorted(sink.numbers()) == list(range(30))


def test_a_forked_child_that_ends_at_once_loses_nothing(sink, ship, logger):
    """As through ``os._exit`` without a word: what it has logged is in the spool, and the parent ships it."""
    handler = ship(sink.address)
    child = os.fork()
    if child == 0:
        log_numbers(logger, 0, 300)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    log_numbers(logger, 300, 310)
    eventually(lambda: set(sink.numbers()) == set(range(310)))
    handler.close()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_multiprocessing_child_is_flushed_at_its_exit(certificates, sink, tmp_path, method):
    arguments = (sink.address, certificates.client, str(tmp_path / "spool"), 0, 500)
    child = multiprocessing.get_context(method).Process(target=log_in_child, args=arguments)
    child.start()
    child.join(60)
    assert child.exitcode == 0
    # From Python 3.13 on the exit handlers come before other finalisers: the last is kept for the next process.
    kept = waiting_in(tmp_path / "spool")
    assert sorted(sink.numbers()) + kept == list(range(501))
    assert not kept or (sys.version_info >= (3, 13) and kept == [500])


def log_in_child(address, client, spool, first, last):
    import logging

    logger = logging.getLogger("test.child")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(ShippingHandler(TcpTransport(address, **client), spool_directory=spool, exit_timeout=20))
    log_numbers(logger, first, last)
    multiprocessing.util.Finalize(None, log_numbers, (logger, last, last + 1), exitpriority=0)  # runs before


@pytest.mark.parametrize(("what", "memory"), [("before", True), ("before", False), ("late", True), ("late", False)])
def test_the_end_of_a_process_sends_what_waits(certificates, sink, tmp_path, what, memory):
    process = program(certificates, sink.address, "" if memory else tmp_path / "spool", what)
    assert process.wait(60) == 0
    process.stdout.close()
    # Python 3.12 starts no thread at that point any more. Then it is in the spool, for the next process.
    kept = waiting_in(tmp_path / "spool")
    assert sink.numbers() + kept == (list(range(300)) if what == "before" else [0])
    assert what == "late" or not kept


def waiting_in(root):
    spool = Spool(root)
    spool.maintain()
    batch = spool.read(500, 1_000_000)
    found = [] if batch is None else [json.loads(event)["extra"]["n"] for event in batch.events]
    spool.close()
    return found


def test_the_end_of_a_process_is_bounded_while_the_receiver_is_away_and_loses_nothing(
    certificates, away, ship, logger, tmp_path
):
    process = program(certificates, away.address, tmp_path / "spool", "before", stderr=-1)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"Traceback" not in error
    away.start()
    handler = ship(away.address)
    log_numbers(logger, 300, 301)
    eventually(lambda: set(away.numbers()) == set(range(301)))
    handler.close()


def test_kill_9_of_the_sender_loses_nothing(certificates, sink, ship, logger, tmp_path):
    """Up to a random moment in the middle of sending; the sink gets doubles at most, and those byte for byte."""
    process = program(certificates, sink.address, tmp_path / "spool", "for ever")
    for line in process.stdout:
        if int(line) == 3000:
            break
    process.kill()
    reported = 3000 + len(process.stdout.read().splitlines())
    process.stdout.close()
    process.wait()
    handler = ship(sink.address)
    logger.info("the next process")
    assert eventually(lambda: len(set(sink.numbers())) >= reported + 1)
    handler.close()
    assert set(range(reported + 1)) <= set(sink.numbers()) <= set(range(reported + 2))
    assert left_in(tmp_path / "spool") == []


def descriptors():
    """Return the numbers of open sockets and of open files of the spool."""
    links = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return sum(link.startswith("socket:") for link in links), sum("/spool/" in link for link in links)


def test_threads_and_descriptors_do_not_leak(ship, logger, sink, monkeypatch):
    """Over a thousand connections, now and then with nobody there in between."""
    monkeypatch.setattr(Backoff, "next", lambda self: 0.001)
    handler = ship(sink.address)
    log_numbers(logger, 0, 1)
    eventually(sink.numbers)
    before, threads = descriptors(), threading.active_count()
    for number in range(1, 1001):
        if number % 50:
            sink.break_connections()
        else:
            sink.stop()
            sink.start()
        log_numbers(logger, number, number + 1)
        eventually(lambda number=number: sink.connections > number)
    eventually(lambda: 1000 in sink.numbers())
    assert set(sink.numbers()) == set(range(1001))
    eventually(lambda: threading.active_count() <= threads)
    eventually(lambda: descriptors()[0] <= before[0])
    assert descriptors()[1] <= before[1] + 3  # the first event about shipping itself has opened the stream audit
    handler.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "logbastion-shipping"]
