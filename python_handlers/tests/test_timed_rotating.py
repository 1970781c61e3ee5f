"""The handler that rotates one file by time, compresses and archives: alone, from several processes, with faults."""

import json
import logging
import logging.config
import os
import stat
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest
from retention_helpers import DAY, archived_logs, content_of
from spool_helpers import python

import logbastion
from logbastion.archives import DirectoryStore
from logbastion.retention.locking import alone_in
from logbastion.retention.manifest import MANIFEST_FILE, Manifest
from logbastion.retention.verification import verify

NOW = datetime.now(timezone.utc)


@pytest.fixture
def handlers():
    made = []
    yield made
    for handler in made:
        handler.close()


@pytest.fixture
def make(tmp_path, handlers, clean_environment):
    def make(**options):
        handler = logbastion.CompressedTimedRotatingFileHandler(tmp_path / "logs/application.log", **options)
        handlers.append(handler)
        return handler

    return make


def log(handler, number, age=timedelta()):
    record = logging.LogRecord("business", logging.INFO, "a.py", 1, "line %d", (number,), None)
    record.created = (NOW - age).timestamp()
    record.n = number
    handler.handle(record)


def settled(handler):
    """Wait for the handler's thread."""
    handler._worker.join(30)
    assert not handler._worker.is_alive()


def numbers(*paths):
    return Counter(json.loads(line)["extra"]["n"] for path in paths for line in content_of(path).splitlines())


def logs_in(directory):
    return sorted(path for path in directory.iterdir() if path.name.startswith("application.log"))


def test_it_is_configured_as_the_guide_does(tmp_path, clean_environment, root_logging):
    filename = tmp_path / "logs/application.log"
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "advanced_file": {
                "()": "logbastion.CompressedTimedRotatingFileHandler",
                "filename": str(filename),
                "when": "H",
                "interval": 6,
                "backupCount": 168,
                "compress_after_days": 7,
                "archive_after_days": 90,
            },
        },
        "root": {"handlers": ["advanced_file"], "level": "INFO"},
    })  # fmt: skip
    logging.getLogger("business").info("a line")
    assert json.loads(filename.read_text())["message"] == "a line"
    assert stat.S_IMODE(filename.stat().st_mode) == 0o640
    assert stat.S_IMODE(filename.parent.stat().st_mode) == 0o750


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"compress_after_days": -1}, "must be 0 or more"),
        ({"compress_after_days": 8, "archive_after_days": 7}, "not below it"),
        ({"interval": 0}, "interval must be 1"),
        ({"backupCount": -1}, "backupCount 0 or more"),
        ({"when": "fortnight"}, "Invalid rollover interval"),
    ],
)
def test_arguments_that_cannot_work(make, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(**options)


def test_a_period_counts_from_the_first_record_and_not_from_the_file(make, tmp_path):
    handler = make(when="h")
    log(handler, 0, timedelta(minutes=50))
    log(handler, 1)
    (active,) = logs_in(tmp_path / "logs")
    os.utime(active, (1, 1))
    log(handler, 2)
    settled(handler)
    assert numbers(active) == {0: 1, 1: 1, 2: 1}
    active.rename(tmp_path / "moved-by-another-hand")
    log(handler, 3, timedelta(minutes=61))
    os.utime(active)
    log(handler, 4)
    settled(handler)
    active, rotated = logs_in(tmp_path / "logs")
    assert (numbers(active), numbers(rotated)) == ({4: 1}, {3: 1})
    assert stat.S_IMODE(rotated.stat().st_mode) == 0o640


def old_file(directory, age, number, suffix=""):
    """A rotated file whose record is of an age, and whose own times are of today."""
    moment = NOW - age
    path = directory / f"application.log.{moment.strftime('%Y%m%dT%H%M%SZ')}{suffix}"
    line = {"@timestamp": moment.isoformat(), "extra": {"n": number}}
    path.write_text(json.dumps(line) + "\n")
    path.chmod(0o640)
    return path


@pytest.mark.parametrize(("compression", "suffix"), [("gzip", ".gz"), ("zstd", ".zst")])
def test_old_files_are_compressed_and_older_ones_archived(make, tmp_path, compression, suffix):
    (tmp_path / "archive").mkdir()
    store = DirectoryStore(tmp_path / "archive")
    (tmp_path / "logs").mkdir()
    young = old_file(tmp_path / "logs", 6 * DAY, 1)
    week = old_file(tmp_path / "logs", 8 * DAY, 2)
    quarter = old_file(tmp_path / "logs", 91 * DAY, 3)
    handler = make(compression=compression, archive=store, host="host-1")
    log(handler, 4)
    settled(handler)
    names = [path.name for path in logs_in(tmp_path / "logs")]
    assert names == ["application.log", week.name + suffix, young.name]
    (archived,) = archived_logs(store)
    assert archived == store.root / f"archive/host-1/application/{quarter.name}{suffix}"
    assert numbers(*logs_in(tmp_path / "logs"), archived) == {1: 1, 2: 1, 3: 1, 4: 1}
    assert stat.S_IMODE((tmp_path / "logs" / f"{week.name}{suffix}").stat().st_mode) == 0o640
    assert verify(tmp_path / "logs", archive=store, host="host-1").problems == []


def test_the_archive_of_the_environment_is_used(make, tmp_path, monkeypatch):
    (tmp_path / "archive").mkdir()
    (tmp_path / "logs").mkdir()
    monkeypatch.setenv("LOGBASTION_ARCHIVE", str(tmp_path / "archive"))
    monkeypatch.setenv("LOGBASTION_ARCHIVE_HOST", "app-7")
    old_file(tmp_path / "logs", 100 * DAY, 3)
    handler = make()
    log(handler, 4)
    settled(handler)
    assert [name.split("/")[1] for name in DirectoryStore(tmp_path / "archive").names()] == ["app-7"]


def test_backup_count_sees_compressed_files(make, tmp_path):
    (tmp_path / "logs").mkdir()
    for days in range(10, 16):
        old_file(tmp_path / "logs", days * DAY, days)
    handler = make(backupCount=3)
    log(handler, 0)
    settled(handler)
    assert set(numbers(*logs_in(tmp_path / "logs"))) == {0, 10, 11, 12}
    assert all(path.suffix == ".gz" for path in logs_in(tmp_path / "logs")[1:])
    actions = [json.loads(line)["action"] for line in Manifest(tmp_path / "logs" / MANIFEST_FILE).lines()]
    assert Counter(actions) == {"found": 6, "compressed": 6, "deleted": 3}
    assert verify(tmp_path / "logs").problems == []


def test_lines_of_another_formatter_are_as_old_as_their_rotation(make, tmp_path):
    (tmp_path / "logs").mkdir()
    moment = NOW - 8 * DAY
    old = tmp_path / "logs" / f"application.log.{moment.strftime('%Y%m%dT%H%M%SZ')}"
    old.write_text("a line without a time\n")
    handler = make()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log(handler, 1)
    settled(handler)
    assert (tmp_path / "logs/application.log").read_text() == "line 1\n"
    assert not old.exists()
    assert content_of(old.with_name(old.name + ".gz")) == b"a line without a time\n"


def test_other_files_and_links_are_left_alone(make, tmp_path):
    (tmp_path / "logs").mkdir()
    for name in ("application.log.1", "application.log.bak", "application.logs.20200101T000000Z", "other.log-20200101"):
        (tmp_path / "logs" / name).write_text('{"@timestamp": "2020-01-01T00:00:00Z"}\n')
    (tmp_path / "elsewhere").write_text('{"@timestamp": "2020-01-01T00:00:00Z"}\n')
    (tmp_path / "logs/application.log-20200101").symlink_to(tmp_path / "elsewhere")
    before = {path.name for path in (tmp_path / "logs").iterdir()}
    handler = make(backupCount=1)
    log(handler, 1)
    settled(handler)
    assert {path.name for path in (tmp_path / "logs").iterdir()} == before | {"application.log"}
    assert (tmp_path / "elsewhere").exists()


def test_a_full_disk_is_told_and_costs_no_line(make, tmp_path, monkeypatch, caplog):
    (tmp_path / "logs").mkdir()
    old = old_file(tmp_path / "logs", 8 * DAY, 1)
    fsync = os.fsync

    def full(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    handler = make()
    with caplog.at_level("ERROR", logger="system.log_management"):
        log(handler, 2)
        settled(handler)
    assert "No space left" in caplog.text
    monkeypatch.undo()
    assert numbers(*logs_in(tmp_path / "logs")) == {1: 1, 2: 1}
    handler.look_after_files()
    assert not old.exists()
    assert numbers(*logs_in(tmp_path / "logs")) == {1: 1, 2: 1}
    assert verify(tmp_path / "logs").problems == []


def test_a_locked_directory_puts_rotation_off_and_no_call_waits(make, tmp_path):
    handler = make(when="s")
    log(handler, 0, timedelta(minutes=1))
    settled(handler)
    with alone_in(tmp_path / "logs"):
        for number in range(1, 4):
            log(handler, number)
        assert len(logs_in(tmp_path / "logs")) == 1
    log(handler, 4)
    active, rotated = logs_in(tmp_path / "logs")
    assert (numbers(active), numbers(rotated)) == ({4: 1}, {0: 1, 1: 1, 2: 1, 3: 1})


def test_an_error_in_the_directory_never_reaches_the_caller(make, tmp_path, monkeypatch):
    (tmp_path / "logs").write_text("no directory")
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log(make(), 1)


# Paced, or a quick machine is done within the second that a file lasts.
WRITER = """
import logging, sys, time
import logbastion
writer, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
handler = logbastion.CompressedTimedRotatingFileHandler(path, when="s", compress_after_days=0)
logger = logging.getLogger("business")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
for number in range(count):
    logger.info("line", extra={"n": writer * count + number})
    if number % 10 == 0:
        time.sleep(0.005)
"""


@pytest.mark.integration
def test_four_processes_lose_and_double_nothing_across_rotations_and_compression(tmp_path):
    writers, each = 4, int(os.environ.get("RETENTION_LINES", "20000")) // 4
    path = tmp_path / "logs/application.log"
    running = [python(WRITER, writer, path, each) for writer in range(writers)]
    assert [writer.wait(500) for writer in running] == [0] * writers
    found = logs_in(path.parent)
    assert numbers(*found) == Counter(range(writers * each))
    assert len(found) > 1
    assert any(one.suffix == ".gz" for one in found)
