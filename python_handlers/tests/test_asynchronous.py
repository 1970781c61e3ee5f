import contextlib
import errno
import json
import logging
import logging.config
import multiprocessing
import os
import signal
import stat
import threading

import pytest
from conftest import eventually
from prometheus_client import REGISTRY

from logbastion import asynchronous
from logbastion.asynchronous import AsyncFileHandler, AsyncLoggingSetup
from logbastion.metrics import scrape

pytestmark = pytest.mark.integration


def events(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def numbers(path):
    return [event["extra"]["n"] for event in events(path) if "n" in event.get("extra", {})]


def told(path):
    found = [event["extra"]["dropped"] for event in events(path) if event.get("event_type") == "async_logging_dropped"]
    return sum(found)


def log_numbers(logger, first, last):
    for number in range(first, last):
        logger.info("number", extra={"n": number})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "logs" / "app.log"


@pytest.fixture
def make(logger, path):
    def made(**options):
        handler = AsyncLoggingSetup.setup_async_handlers(path, **options)
        logger.addHandler(handler)
        return handler

    return made


class Disk:
    """Stands between the handler and its file; can stop, and refuse."""

    def __init__(self, handler, monkeypatch):
        self.write = handler._file.write
        self.open = threading.Event()
        self.entered = threading.Event()
        self.full = False
        monkeypatch.setattr(handler._file, "write", self)

    def __call__(self, line):
        self.entered.set()
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        assert self.open.wait(30)
        self.write(line)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"queue_size": 0}, "queue_size"),
        ({"queue_bytes": 0}, "queue_bytes"),
        ({"exit_timeout": -1}, "exit_timeout"),
        ({"evidence_wait": float("nan")}, "evidence_wait"),
        ({"max_bytes": 0}, "max_bytes"),
        ({"backup_count": 0}, "backup_count"),
    ],
)
def test_arguments_that_cannot_work(path, options, text):
    with pytest.raises(ValueError, match=text):
        AsyncLoggingSetup.setup_async_handlers(path, **options)


def test_everything_in_order_once_and_private(make, logger, path):
    before = os.umask(0)
    try:
        handler = make()
        assert handler._thread is None  # nothing logged, no thread and no file
        assert not path.parent.exists()
        log_numbers(logger, 0, 3000)
        handler.close()
    finally:
        os.umask(before)
    assert numbers(path) == list(range(3000))
    assert handler.stats() == {"written": 3000, "dropped": 0, "waiting": 0}
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    assert (handler._file.max_bytes, handler._file.backup_count) == (10 * 2**20, 5)


def test_a_record_after_close_is_written_at_once(make, logger, path):
    handler = make()
    log_numbers(logger, 0, 2)
    handler.close()
    log_numbers(logger, 2, 4)
    assert numbers(path) == [0, 1, 2, 3]
    handler.close()
    assert numbers(path) == [0, 1, 2, 3]


def test_flush_waits_until_it_is_written(make, logger, path):
    handler = make()
    log_numbers(logger, 0, 500)
    handler.flush()
    assert numbers(path) == list(range(500))


def test_the_line_says_how_things_were_and_what_has_failed(make, logger, path):
    handler, things = make(), ["before"]
    try:
        raise KeyError("k")
    except KeyError:
        logger.exception("things %s", things)
    things[:] = ["after"]
    handler.close()
    event = events(path)[0]
    assert event["message"] == "things ['before']"
    assert event["error"]["type"] == "KeyError"


def test_another_formatter_gives_one_line_a_record(make, logger, path):
    handler = make()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.info("a\nb")
    handler.close()
    assert path.read_bytes() == b"a\\nb\n"


def test_it_rotates(make, logger, path):
    handler = make(max_bytes=4000, backup_count=100)
    log_numbers(logger, 0, 100)
    handler.close()
    files = sorted(path.parent.iterdir(), key=lambda one: -int(one.suffix[1:]) if one != path else 1)
    assert len(files) > 5
    assert [number for one in files for number in numbers(one)] == list(range(100))
    assert all(one.stat().st_size <= 4000 for one in files)


def test_a_logging_call_does_not_wait_for_the_disk_and_drops_are_counted_and_told(make, logger, path, monkeypatch):
    handler = make(queue_size=10)
    disk = Disk(handler, monkeypatch)
    log_numbers(logger, 0, 1)
    assert disk.entered.wait(20)
    log_numbers(logger, 1, 100)  # returns although the disk has stopped
    assert handler.stats() == {"written": 0, "dropped": 90, "waiting": 10}
    disk.open.set()
    eventually(lambda: path.exists() and told(path) == 90)
    handler.close()
    assert numbers(path) == list(range(10))
    assert told(path) == 90


def test_the_queue_is_bounded_in_bytes_and_takes_a_single_large_line(make, logger, path, monkeypatch):
    handler = make(queue_bytes=3000)
    disk = Disk(handler, monkeypatch)
    logger.info("x" * 10_000, extra={"n": 0})
    assert disk.entered.wait(20)
    log_numbers(logger, 1, 50)
    assert handler.stats()["dropped"] == 49
    disk.open.set()
    handler.flush()
    log_numbers(logger, 50, 52)
    handler.close()
    assert numbers(path) == [0, 50, 51]


def test_evidence_waits_for_room(path, monkeypatch):
    handler = AsyncFileHandler(path, queue_size=1, evidence_wait=30)
    disk = Disk(handler, monkeypatch)

    def handle(name, number):
        record = logging.LogRecord(name, 20, "f", 1, "m", (), None)
        record.n = number
        handler.handle(record)

    handle("business", 0)
    assert disk.entered.wait(20)
    handle("business", 1)
    assert handler.stats()["dropped"] == 1
    waiting = threading.Thread(target=handle, args=("accounts.auth", 2))
    waiting.start()
    disk.open.set()
    waiting.join()
    handler.close()
    assert numbers(path) == [0, 2]


def test_lines_wait_while_the_disk_is_full(make, logger, path, monkeypatch, capsys):
    handler = make()
    disk = Disk(handler, monkeypatch)
    disk.full = True
    disk.open.set()
    log_numbers(logger, 0, 50)
    eventually(lambda: handler._failing)
    handler.flush()  # does not wait for a disk that refuses
    assert handler.stats() == {"written": 0, "dropped": 0, "waiting": 50}
    disk.full = False
    handler.close()
    assert numbers(path) == list(range(50))
    assert capsys.readouterr().err.count("No space left on device; lines wait") == 1


def test_the_end_does_not_wait_for_ever_and_says_what_was_lost(make, logger, path, monkeypatch, capsys):
    handler = make(exit_timeout=0.3)
    disk = Disk(handler, monkeypatch)
    disk.full = True
    log_numbers(logger, 0, 5)
    handler.close()
    eventually(lambda: handler.stats() == {"written": 0, "dropped": 5, "waiting": 0})
    eventually(lambda: "5 events were not written" in capsys.readouterr().err)


def test_a_stuck_disk_holds_up_neither_the_end_nor_later_calls(make, logger, path, monkeypatch):
    handler = make(exit_timeout=0.2)
    disk = Disk(handler, monkeypatch)
    log_numbers(logger, 0, 2)
    assert disk.entered.wait(20)
    handler.close()
    log_numbers(logger, 2, 3)
    disk.open.set()
    eventually(lambda: handler.stats()["waiting"] == 0)
    assert numbers(path) == [0, 1, 2]


def test_drops_are_in_prometheus_by_stream(make, logger, path, monkeypatch):
    def dropped(stream):
        scrape()
        labels = {"stream": stream, "reason": "async_file"}
        return REGISTRY.get_sample_value("logbastion_events_dropped_total", labels)

    before = dropped("application"), dropped("performance")
    handler = make(queue_size=2, evidence_wait=0)
    monkeypatch.setattr(handler, "_start", lambda: None)  # nobody empties the queue
    for number in range(10):
        logger.info("event %d", number)
    assert (dropped("application"), dropped("performance")) == (before[0] + 8, before[1])
    assert dropped("application") == before[0] + 8  # each is counted once
    assert handler.stats()["dropped"] == 8


def test_racing_threads(make, logger, path):
    handler, start = make(queue_size=10**6), threading.Barrier(8)

    def work(worker):
        start.wait()
        log_numbers(logger, worker * 500, worker * 500 + 500)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.close()
    assert sorted(numbers(path)) == list(range(4000))
    names = [thread.name for thread in threading.enumerate()]
    assert "logbastion-async-file" not in names


def test_a_signal_handler_that_logs_does_not_deadlock(make, logger, path):
    handler = make()
    hits = []

    def interrupt(*_):
        hits.append(1)
        logger.info("signal", extra={"n": -1})

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        log_numbers(logger, 0, 3000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    handler.close()
    found = numbers(path)
    assert hits
    assert [number for number in found if number >= 0] == list(range(3000))
    assert found.count(-1) == len(hits)


def test_a_child_has_its_own_queue_and_thread_and_nothing_of_the_parent(make, logger, path, monkeypatch):
    handler = make()
    disk = Disk(handler, monkeypatch)
    log_numbers(logger, 0, 50)
    assert disk.entered.wait(20)  # the thread holds its lock, and the queue is not empty
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        code = 1
        with contextlib.suppress(BaseException):
            log_numbers(logger, 1000, 1050)
            handler.close()
            code = 0 if handler.stats() == {"written": 50, "dropped": 0, "waiting": 0} else 2
        os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert numbers(path) == list(range(1000, 1050))
    disk.open.set()
    log_numbers(logger, 50, 100)
    handler.close()
    assert sorted(numbers(path)) == [*range(100), *range(1000, 1050)]


def log_in_child(logger, worker):
    log_numbers(logger, worker * 1000, worker * 1000 + 300)  # and ends without closing anything


def test_children_of_multiprocessing_lose_nothing_at_their_end(make, logger, path):
    handler = make(max_bytes=20_000, backup_count=200)
    log_numbers(logger, 0, 300)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=log_in_child, args=(logger, worker)) for worker in (1, 2, 3)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    handler.close()
    found = [number for one in path.parent.iterdir() for number in numbers(one)]
    assert sorted(found) == [number for worker in range(4) for number in range(worker * 1000, worker * 1000 + 300)]


def test_without_threads_the_caller_writes(make, logger, path, monkeypatch):
    """As it is when the interpreter is shutting down."""

    class NoThread(threading.Thread):
        def start(self):
            raise RuntimeError("can't create new thread at interpreter shutdown")

    handler = make()
    monkeypatch.setattr(asynchronous.threading, "Thread", NoThread)
    log_numbers(logger, 0, 3)
    assert numbers(path) == [0, 1, 2]
    handler.close()
    assert numbers(path) == [0, 1, 2]


def test_what_interrupts_a_call_comes_after_it(make, logger, path, monkeypatch):
    """A signal handler that logs, for certain at the most delicate place."""
    handler = make()
    really_full, nested = handler._is_full, []

    def interrupting(size):
        if handler._busy and not nested:
            nested.append(1)
            log_numbers(logger, 1, 2)
        return really_full(size)

    monkeypatch.setattr(handler, "_is_full", interrupting)
    log_numbers(logger, 0, 1)
    log_numbers(logger, 2, 3)
    handler.close()
    assert numbers(path) == [0, 1, 2]
    assert handler.stats() == {"written": 3, "dropped": 0, "waiting": 0}


def test_close_writes_what_no_thread_has_come_to_write(make, logger, path, monkeypatch):
    handler = make()
    monkeypatch.setattr(handler, "_start", lambda: None)
    log_numbers(logger, 0, 5)
    assert not path.exists()
    handler.close()
    assert numbers(path) == [0, 1, 2, 3, 4]
