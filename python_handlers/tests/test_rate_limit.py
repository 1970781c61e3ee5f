import json
import logging
import logging.config
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import pytest
from conftest import eventually

from logbastion import CorrelationIdFilter, EventFormatter, bind, rate_limit
from logbastion.lazy import LazyLogMessage
from logbastion.rate_limit import RateLimitFilter, SummaryRecord


class Collect(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def summaries(self):
        return [record.suppressed_count for record in self.records if isinstance(record, SummaryRecord)]

    def others(self):
        return [record for record in self.records if not isinstance(record, SummaryRecord)]


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(rate_limit.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture(autouse=True)
def _nothing_is_owed_after_a_test():
    yield
    rate_limit._owing.clear()


@pytest.fixture
def collect(logger):
    made = Collect()
    logger.addHandler(made)
    return made


def limited(collect, *arguments, **options):
    made = RateLimitFilter(*arguments, **options)
    collect.addFilter(made)
    return made


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"records": 0}, "records"),
        ({"interval_seconds": 0}, "interval_seconds"),
        ({"interval_seconds": float("nan")}, "interval_seconds"),
        ({"max_keys": 0}, "max_keys"),
        ({"exempt_streams": ["securty"]}, "securty"),
        ({"exempt_streams": "security"}, "list"),
    ],
)
def test_arguments_that_cannot_work(arguments, text):
    with pytest.raises(ValueError, match=text):
        RateLimitFilter(**arguments)


def test_a_storm_and_its_summary(logger, collect, clock):
    limited(collect, 3, 60)
    collect.addFilter(CorrelationIdFilter())
    for number in range(10):
        logger.error("failed %d", number)
        clock[0] += 1
    assert [record.args for record in collect.others()] == [(0,), (1,), (2,)]
    clock[0] += 50  # 60 since the first
    with bind("somebody-s-request"):
        logger.info("something else")
    assert collect.summaries() == [7]
    summary = json.loads(EventFormatter().format(collect.records[3]))
    assert summary["level"] == "ERROR"
    assert summary["logger"] == logger.name
    assert summary["event_type"] == "log_rate_limit_summary"
    assert "correlation_id" not in summary
    assert summary["extra"] == {
        "suppressed_count": 7,
        "suppressed_logger": logger.name,
        "suppressed_level": "ERROR",
        "suppressed_seconds": 6.0,
        "suppressed_message": "failed %d",
    }
    assert summary["message"] == (
        f"7 further records of this message were suppressed within 6.0 s: logger {logger.name}, level ERROR"
    )
    for number in range(4):
        logger.error("failed %d", number)
    assert len(collect.others()) == 7
    assert collect.summaries() == [7]


def test_keys_are_told_apart(logger, collect, clock):
    limited(collect, 1)
    child = logger.getChild("child")
    for _ in range(3):
        logger.error("a")
        logger.warning("a")
        logger.error("b")
        child.error("a")
        logger.error(ValueError("1"))
        logger.error(LazyLogMessage(str, 1))
    assert len(collect.others()) == 6


def test_evidence_is_never_suppressed_by_default(collect, clock):
    judge = RateLimitFilter(1)
    everything = RateLimitFilter(1, exempt_streams=())
    for name in ("accounts.auth", "finances.payments", "privacy.gdpr", "incidents", "django.security.csrf"):
        records = [logging.LogRecord(name, 30, "f", 1, "m", (), None) for _ in range(50)]
        assert all(judge.filter(record) for record in records)
        assert sum(everything.filter(record) for record in records) == 1
    everything.close()


def test_close_summarises_a_storm_that_simply_ended(logger, collect, clock):
    limit = limited(collect, 1)
    for _ in range(5):
        logger.error("a")
    limit.close()
    assert collect.summaries() == [4]
    limit.close()
    assert collect.summaries() == [4]
    assert limit not in rate_limit._owing


def test_forgetting_a_key_summarises_it(logger, collect, clock):
    limit = limited(collect, 1, max_keys=2)
    for message in ("a", "a", "a", "b", "c"):
        logger.error(message)
    assert collect.summaries() == [2]
    for number in range(1000):
        logger.error(f"message {number}")
    assert len(limit._windows) == 2
    assert len(limit._verdicts) <= len(collect.records) + 1


def test_one_filter_on_several_handlers_judges_once(logger, collect, clock):
    other = Collect()
    logger.addHandler(other)
    limit = limited(collect, 2)
    other.addFilter(limit)
    for number in range(5):
        logger.error("failed %d", number)
    limit.close()
    for handler in (collect, other):
        assert [record.args for record in handler.others()] == [(0,), (1,)]
        assert handler.summaries() == [3]


def test_on_a_logger(logger, collect, clock):
    limit = RateLimitFilter(2)
    logger.addFilter(limit)
    for _ in range(5):
        logger.error("a")
    limit.close()
    logger.removeFilter(limit)
    assert (len(collect.others()), collect.summaries()) == (2, [3])


def test_racing_threads_lose_no_number(logger, collect):
    limit = limited(collect, 2, 0.002, max_keys=3)
    start = threading.Barrier(8)

    def storm(worker):
        start.wait()
        for number in range(1000):
            logger.error("%s", number) if number % 3 else logger.error("message of %d" % (worker % 6))  # noqa: UP031

    threads = [threading.Thread(target=storm, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    limit.close()
    assert len(collect.others()) + sum(collect.summaries()) == 8000
    assert collect.summaries()


def test_a_handler_that_logs_is_neither_a_recursion_nor_a_loss(logger, clock):
    """Each record that arrives logs another, through the same filter; also while summaries are written."""

    class Logs(Collect):
        inside = False
        calls = 0

        def emit(self, record):
            super().emit(record)
            clock[0] += 30
            if not self.inside:
                self.inside = True
                for _ in range(3):
                    self.calls += 1
                    logger.error("from within")
                self.inside = False

    handler = Logs()
    logger.addHandler(handler)
    limit = limited(handler, 1, 60)
    for _ in range(20):
        logger.error("outside")
    handler.inside = True  # what it logs meanwhile would be owed again
    limit.close()
    outside = [record for record in handler.others() if record.msg == "outside"]
    summaries = [record for record in handler.records if isinstance(record, SummaryRecord)]
    told = sum(record.suppressed_count for record in summaries if record.suppressed_message == "outside")
    assert len(outside) + told == 20
    within = [record for record in handler.others() if record.msg == "from within"]
    told = sum(record.suppressed_count for record in summaries if record.suppressed_message == "from within")
    assert len(within) + told == handler.calls


def test_a_signal_handler_that_logs(logger, collect):
    limit = limited(collect, 1, 0.001)
    hits = []

    def interrupt(*_):
        hits.append(1)
        logger.error("signal")

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0007)
        for _ in range(5000):
            logger.error("main")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    limit.close()
    assert hits
    assert len(collect.others()) + sum(collect.summaries()) == 5000 + len(hits)


def test_what_cannot_be_judged_passes():
    limit = RateLimitFilter(1)
    for _ in range(3):
        made = logging.LogRecord("business", 20, "f", 1, "m", (), None)
        made.name = None
        assert limit.filter(made)


def test_a_child_counts_its_own(logger, collect, clock):
    limit = limited(collect, 1)
    for _ in range(5):
        logger.error("a")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            collect.records.clear()
            limit.close()
            for _ in range(3):
                logger.error("a")
            limit.close()
            code = 0 if (len(collect.others()), collect.summaries()) == (1, [2]) else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    limit.close()
    assert collect.summaries() == [4]


@pytest.mark.integration
def test_the_summary_of_a_storm_that_ends_comes_in_a_process_that_logs_nothing_more(logger, collect):
    limited(collect, 2, interval_seconds=0.2)
    for number in range(50):
        logger.error("failed %d", number)
    eventually(lambda: sum(collect.summaries()) == 48, 10)
    assert len(collect.others()) == 2
    eventually(lambda: not tellers(), 10)  # nothing is owed, so no thread is left
    for number in range(50, 60):
        logger.error("failed %d", number)
    eventually(lambda: sum(collect.summaries()) + len(collect.others()) == 60, 10)


@pytest.mark.integration
def test_a_quiet_child_tells_its_own_storm_and_not_that_of_its_parent(logger, collect):
    limited(collect, 1, interval_seconds=0.2)
    for _ in range(5):
        logger.error("a")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            collect.records.clear()
            for _ in range(4):
                logger.error("a")
            eventually(lambda: collect.summaries() == [3], 10)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    eventually(lambda: collect.summaries() == [4], 10)


def tellers():
    return [thread for thread in threading.enumerate() if thread.name == "logbastion-rate-limit"]


PROGRAM = """
import logging.config, sys
def configure():
    logging.config.dictConfig({
        "version": 1,
        "filters": {"storms": {"()": "logbastion.rate_limit.RateLimitFilter", "records": 2}},
        "formatters": {"event": {"()": "logbastion.EventFormatter"}},
        "handlers": {"files": {"()": "logbastion.StreamFileHandler", "directory": sys.argv[1],
                               "formatter": "event", "filters": ["storms"]}},
        "root": {"handlers": ["files"]},
    })
configure()
for number in range(10):
    logging.error("failed %d", number)
configure()  # forgets the filter that has something to say
"""


def in_child(directory):
    logging.getLogger().handlers[:] = []
    sys.argv[1:] = [str(directory)]
    exec(PROGRAM, {})  # noqa: S102


@pytest.mark.parametrize("how", ["program", "multiprocessing"])
def test_the_end_of_the_process_summarises(tmp_path, how):
    if how == "program":
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
        done = subprocess.run(command, env=environment, timeout=60, check=True, capture_output=True)
        assert done.stderr == b""
    else:
        child = multiprocessing.get_context("fork").Process(target=in_child, args=(tmp_path,))
        child.start()
        child.join(60)
        assert child.exitcode == 0
    events = [json.loads(line) for line in (tmp_path / "application.log").read_text().splitlines()]
    assert [event["message"] for event in events[:2]] == ["failed 0", "failed 1"]
    assert [event["extra"]["suppressed_count"] for event in events[2:]] == [8]


def test_what_becomes_due_while_a_summary_is_written_is_told_later(logger, clock):
    """A handler that logs while it handles a summary, more messages than the filter can tell apart."""

    class LogsOfSummaries(Collect):
        def emit(self, record):
            super().emit(record)
            if isinstance(record, SummaryRecord) and record.suppressed_message == "outside":
                for message in ("x", "x", "x", "y", "y", "x", "x", "z"):
                    logger.error(message)

    handler = LogsOfSummaries()
    logger.addHandler(handler)
    limit = limited(handler, 1, 60, max_keys=1)
    for _ in range(5):
        logger.error("outside")
    limit.close()
    assert handler.summaries() == [4]
    limit.close()
    summaries = [record for record in handler.records if isinstance(record, SummaryRecord)]
    assert {one.suppressed_message: one.suppressed_count for one in summaries} == {"outside": 4, "x": 3, "y": 1}
    assert len(handler.others()) + sum(handler.summaries()) == 5 + 8
