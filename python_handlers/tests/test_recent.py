import json
import logging
import logging.config
import os
import threading

import pytest

from logbastion.recent import CircularBufferHandler


class Lines(logging.Handler):
    """Keeps what is dumped, as it would be written."""

    def __init__(self, level=logging.NOTSET):
        super().__init__(level)
        self.setFormatter(logging.Formatter("%(message)s"))
        self.records, self.lines = [], []

    def emit(self, record):
        self.records.append(record)
        self.lines.append(self.format(record))


def numbers(lines):
    return [json.loads(line)["extra"]["n"] for line in lines]


def log_numbers(logger, first, last, level=logging.DEBUG):
    for number in range(first, last):
        logger.log(level, "number", extra={"n": number})


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"capacity": 0}, "capacity"),
        ({"max_entry_bytes": 100}, "max_entry_bytes"),
        ({"rearm_seconds": 0}, "rearm_seconds"),
        ({"dump_level": "NOISE"}, "NOISE"),
    ],
)
def test_arguments_that_cannot_work(arguments, text):
    with pytest.raises(ValueError, match=text):
        CircularBufferHandler(**arguments)


def test_the_newest_in_order_and_count(logger):
    handler = CircularBufferHandler(10)
    logger.addHandler(handler)
    assert handler.get_recent_logs() == []
    log_numbers(logger, 0, 5)
    assert numbers(handler.get_recent_logs()) == [0, 1, 2, 3, 4]
    log_numbers(logger, 5, 25)
    assert numbers(handler.get_recent_logs()) == list(range(15, 25))
    assert numbers(handler.get_recent_logs(3)) == [22, 23, 24]
    assert numbers(handler.get_recent_logs(100)) == list(range(15, 25))
    assert handler.get_recent_logs(0) == []
    with pytest.raises(ValueError, match="0 or more"):
        handler.get_recent_logs(-1)


def test_through_the_gate_and_nothing_is_kept_alive():
    import gc
    import weakref

    class Argument:
        def __str__(self):
            return "argument"

    handler = CircularBufferHandler()
    argument = Argument()
    seen = weakref.ref(argument)
    record = logging.LogRecord("business", 20, "f", 1, "an %s", (argument,), None)
    record.__dict__.update(password="a secret", other=argument)
    handler.handle(record)
    del argument, record
    gc.collect()
    assert seen() is None
    line = handler.get_recent_logs()[0]
    assert json.loads(line)["message"] == "an argument"
    assert "a secret" not in line


@pytest.mark.parametrize("character", ["x", "\u00e9", "\U0001f512", '"', "\u2028"])
def test_an_entry_is_bounded_and_stays_json(logger, character):
    handler = CircularBufferHandler(max_entry_bytes=2048)
    logger.addHandler(handler)
    names = {"event_type": character * 200, "correlation_id": character * 200, "user_agent": character * 5000}
    try:
        raise ValueError(character * 30_000)
    except ValueError:
        logger.exception(character * 30_000, extra={**names, "big": character * 30_000})
    line = handler.get_recent_logs()[0]
    assert len(line.encode()) <= 2048
    assert "\n" not in line
    event = json.loads(line)
    assert event["message"].startswith(character)
    assert event["error"]["type"] == "ValueError"
    assert "left out" in event["extra"]["_cut"]


def test_other_formatters_are_cut_too(logger):
    handler = CircularBufferHandler(max_entry_bytes=2048)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.info("[" * 100_000)
    logger.info("\ud800" * 3000)
    assert all(len(line.encode()) <= 2048 for line in handler.get_recent_logs())
    assert len(handler.get_recent_logs()) == 2


def test_concurrent_writers_and_readers(logger):
    handler = CircularBufferHandler(5000)
    logger.addHandler(handler)
    start, stop, wrong = threading.Barrier(5), threading.Event(), []

    def write(worker):
        start.wait()
        log_numbers(logger, worker * 1000, worker * 1000 + 1000)

    def read():
        start.wait()
        while not stop.is_set():
            found = numbers(handler.get_recent_logs(50))
            for worker in range(4):
                own = [number for number in found if number // 1000 == worker]
                if own != sorted(set(own)):
                    wrong.append(own)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert wrong == []
    assert sorted(numbers(handler.get_recent_logs())) == list(range(4000))


def test_dumped_on_the_first_error_and_again_after_rearm(logger):
    target = Lines()
    handler = CircularBufferHandler(100, dump_to=target)
    logger.addHandler(handler)
    log_numbers(logger, 0, 3)
    log_numbers(logger, 3, 4, logging.WARNING)
    assert target.lines == []
    log_numbers(logger, 4, 5, logging.ERROR)
    assert numbers(target.lines) == [0, 1, 2, 3, 4]
    assert target.lines == handler.get_recent_logs()
    assert {record.name for record in target.records} == {logger.name}
    assert [record.levelno for record in target.records] == [10, 10, 10, 30, 40]
    log_numbers(logger, 5, 7, logging.CRITICAL)
    assert len(target.lines) == 5
    handler.rearm()
    log_numbers(logger, 7, 8, logging.CRITICAL)
    assert numbers(target.lines) == list(range(8))  # no line twice


def test_rearmed_by_time(logger, monkeypatch):
    from logbastion import recent

    now = [50.0]
    monkeypatch.setattr(recent.time, "monotonic", lambda: now[0])
    target = Lines(level=logging.ERROR)
    logger.addHandler(CircularBufferHandler(dump_to=target, dump_level="ERROR", rearm_seconds=60))
    for number in range(4):
        log_numbers(logger, number, number + 1, logging.ERROR)
        logger.info("below the level of the target", extra={"n": -1})
        now[0] += 59 if number == 0 else 1
    assert numbers(target.lines) == [0, 1, 2]


def test_racing_errors_dump_once_and_a_target_that_logs_is_no_loop(logger):
    class Logs(Lines):
        def emit(self, record):
            super().emit(record)
            logger.error("from within the target", extra={"n": -1})

    target = Logs()
    logger.addHandler(CircularBufferHandler(10_000, dump_to=target))
    start = threading.Barrier(8)

    def fail(worker):
        start.wait()
        log_numbers(logger, worker * 100, worker * 100 + 100, logging.ERROR)

    threads = [threading.Thread(target=fail, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = numbers(target.lines)
    assert 1 <= len(found) <= 8
    assert len(found) == len(set(found))


def test_a_target_that_fails_or_is_missing_never_reaches_the_caller(logger, monkeypatch):
    class Broken(logging.Handler):
        def handle(self, record):
            raise RuntimeError

    for target in (Broken(), "nobody"):
        handler, told = CircularBufferHandler(dump_to=target), []
        monkeypatch.setattr(handler, "handleError", told.append)
        logger.addHandler(handler)
        logger.error("x")
        assert len(told) == 1
        assert len(handler.get_recent_logs()) == 1
        logger.removeHandler(handler)


def test_in_dict_config_with_a_target_that_is_made_later(tmp_path, root_logging):
    path = tmp_path / "dump.log"
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"format": "%(message)s"}},
            "handlers": {
                "buffer": {"()": "logbastion.recent.CircularBufferHandler", "capacity": 5, "dump_to": "zzz"},
                "zzz": {"class": "logging.FileHandler", "filename": str(path), "formatter": "line"},
            },
            "root": {"handlers": ["buffer"], "level": "DEBUG"},
        }
    )
    log_numbers(logging.getLogger("business"), 0, 9)
    log_numbers(logging.getLogger("business"), 9, 10, logging.ERROR)
    assert numbers(path.read_text().splitlines()) == [5, 6, 7, 8, 9]


def test_a_child_begins_empty_and_dumps_its_own(logger):
    target = Lines()
    handler = CircularBufferHandler(dump_to=target)
    logger.addHandler(handler)
    log_numbers(logger, 0, 3)
    log_numbers(logger, 3, 4, logging.ERROR)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            target.lines.clear()
            log_numbers(logger, 4, 6, logging.ERROR)
            code = 0 if numbers(handler.get_recent_logs()) == [4, 5] and numbers(target.lines) == [4] else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert numbers(handler.get_recent_logs()) == [0, 1, 2, 3]
