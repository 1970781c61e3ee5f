import json
import logging
import multiprocessing
import os
import stat
import threading

import pytest
from conftest import read_lines

from logbastion import StreamFileHandler
from logbastion.files import PrivateAppendFile


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_modes_whatever_the_umask(tmp_path, logger, umask):
    logger.addHandler(StreamFileHandler(tmp_path / "logs"))
    logger.info("x")
    assert mode(tmp_path / "logs") == 0o750
    assert mode(tmp_path / "logs" / "application.log") == 0o640


def test_never_open_to_others_not_even_for_a_moment(tmp_path, monkeypatch):
    seen = []
    really_open = os.open

    def watched(path, flags, mode=0o777, **kwargs):
        descriptor = really_open(path, flags, mode, **kwargs)
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    before = os.umask(0)
    try:
        monkeypatch.setattr(os, "open", watched)
        PrivateAppendFile(tmp_path / "a.log").write(b"x\n")
    finally:
        os.umask(before)
    assert seen == [0o640]


def test_an_existing_open_file_is_closed_to_others(tmp_path):
    path = tmp_path / "a.log"
    path.touch()
    path.chmod(0o666)
    PrivateAppendFile(path).write(b"x\n")
    assert mode(path) == 0o640


def test_a_symbolic_link_is_refused(tmp_path):
    (tmp_path / "a.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        PrivateAppendFile(tmp_path / "a.log").write(b"x\n")
    assert not (tmp_path / "elsewhere").exists()


def test_each_stream_has_its_file(tmp_path):
    handler = StreamFileHandler(tmp_path)
    for name in ("accounts.auth", "finances.payments", "performance", "business.x"):
        handler.handle(logging.LogRecord(name, 20, "f", 1, name, (), None))
    handler.handle(logging.LogRecord("business.x", 10, "f", 1, "detail", (), None))
    handler.close()
    found = {path.name: json.loads(path.read_text())["message"] for path in tmp_path.iterdir()}
    assert found == {
        "security.log": "accounts.auth",
        "audit.log": "finances.payments",
        "performance.log": "performance",
        "application.log": "business.x",
        "debug.log": "detail",
    }


def test_rotation_away_opens_a_new_file(tmp_path, logger):
    logger.addHandler(StreamFileHandler(tmp_path))
    path = tmp_path / "application.log"
    logger.info("one")
    path.rename(tmp_path / "application.log.1")
    logger.info("two")
    path.unlink()
    logger.info("three")
    assert [json.loads(line)["message"] for line in read_lines(path)] == ["three"]
    assert mode(path) == 0o640
    assert json.loads((tmp_path / "application.log.1").read_text())["message"] == "one"


def write_many(directory, worker, count):
    handler = StreamFileHandler(directory)
    for number in range(count):
        record = logging.LogRecord("business", 20, "f", 1, "m", (), None)
        record.__dict__.update({"w": worker, "n": number, "fill": "x" * (number * 37 % 6000)})
        handler.handle(record)
    handler.close()


def test_lines_of_processes_and_threads_never_mix(tmp_path):
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=write_many, args=(tmp_path, worker, 300)) for worker in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(30)
        assert child.exitcode == 0
    handler = StreamFileHandler(tmp_path)
    threads = [
        threading.Thread(
            target=lambda: [
                handler.handle(logging.LogRecord("business", 20, "f", 1, "t", (), None)) for _ in range(100)
            ]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [json.loads(line) for line in read_lines(tmp_path / "application.log")]
    assert sum(event["message"] == "t" for event in events) == 400
    numbered = [(e["extra"]["w"], e["extra"]["n"]) for e in events if e["message"] == "m"]
    assert sorted(numbered) == [(worker, number) for worker in range(3) for number in range(300)]


def test_errors_never_reach_the_caller(tmp_path, logger, monkeypatch):
    handler = StreamFileHandler(tmp_path / "file" / "inside")
    (tmp_path / "file").write_text("not a directory")
    told = []
    monkeypatch.setattr(handler, "handleError", told.append)
    logger.addHandler(handler)
    logger.info("x")
    assert len(told) == 1


def test_a_line_torn_by_a_full_disk_does_not_spoil_the_next(tmp_path, monkeypatch):
    file = PrivateAppendFile(tmp_path / "a.log")
    really_write, calls = os.write, []

    def full(descriptor, data):
        calls.append(data)
        if len(calls) == 1:
            return really_write(descriptor, data[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        file.write(b"abcdef\n")
    monkeypatch.undo()
    file.write(b"next\n")
    assert (tmp_path / "a.log").read_bytes() == b"abc\nnext\n"


def test_another_formatter_still_gives_one_line(tmp_path, logger):
    handler = StreamFileHandler(tmp_path)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.info("a\nb")
    assert (tmp_path / "application.log").read_bytes() == b"a\\nb\n"
