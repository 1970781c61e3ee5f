"""What the worker tells people and programs: events about shipping itself, counts, the status file."""

import json
import logging
import os
import time

import fake_transport
import pytest
from conftest import eventually
from fake_transport import log_numbers
from spool_helpers import segments, small

from logbastion.shipping import Block, worker

pytestmark = pytest.mark.integration

no_long_waits, transport, ship = fake_transport.no_long_waits, fake_transport.transport, fake_transport.ship


def test_damage_in_the_spool_is_told(ship, logger, transport, tmp_path):
    transport.away.set()
    first = ship(exit_timeout=0.1)
    log_numbers(logger, 0, 50)
    logger.removeHandler(first)
    first.close()
    (path,) = segments(tmp_path / "spool")
    data = bytearray(path.read_bytes())
    data[100] ^= 4
    path.write_bytes(data)
    transport.away.clear()
    handler = ship()
    log_numbers(logger, 50, 51)
    eventually(lambda: any(message["event_type"] == "spool_damaged" for message in transport.messages()))
    assert handler.wait(20)
    handler.close()
    assert sorted(transport.numbers()) == list(range(1, 51))
    assert handler.counts().quarantined == 1


def test_a_disk_that_refuses_is_told_and_so_is_its_return(ship, logger, transport, tmp_path):
    (tmp_path / "spool").write_text("a file in the way")
    handler = ship()
    log_numbers(logger, 0, 10)
    eventually(lambda: any(message["event_type"] == "spool_unavailable" for message in transport.messages()))
    (tmp_path / "spool").unlink()
    eventually(lambda: log_numbers(logger, 10, 11) or len(list(tmp_path.glob("spool/*/*.spool"))) > 0)
    for lane in handler._spool.lanes.values():
        lane._retry_at = 0.0
    eventually(lambda: any(message["event_type"] == "spool_recovered" for message in transport.messages()))
    handler.close()
    assert set(transport.numbers()) == set(range(11))


def test_counts_are_published_and_written(ship, logger, transport, tmp_path):
    published = []
    handler = ship(publish=published.append)
    transport.away.set()
    log_numbers(logger, 0, 10)
    eventually(lambda: published and published[-1].queued == 10 and published[-1].failures)
    state = eventually(lambda: next(iter(tmp_path.glob("spool/*/status.json")), None))
    eventually(lambda: json.loads(state.read_text())["state"] == "failing")
    found = json.loads(state.read_text())
    assert found["pid"] == os.getpid()
    assert found["last_error"] == "nobody answers"
    assert found["promise"] == "acknowledged"
    assert state.stat().st_mode & 0o777 == 0o600
    assert published[-1].spool_bytes > 0
    transport.away.clear()
    assert handler.wait(20)
    handler.close()
    assert published[-1].acknowledged == 10
    assert published[-1].oldest_seconds == 0.0
    assert json.loads(json.dumps(handler.stats()))["queued"] == 10


def test_the_status_before_is_freed_when_the_directory_is_no_longer_locked(tmp_path, monkeypatch):
    """A rename that frees what it replaces may take the disk long, with the directory locked that logging needs."""
    held = []
    replace = os.replace

    def watched(source, target):
        before = os.stat(target) if os.path.exists(target) else None
        replace(source, target)
        opened = [
            os.fstat(int(name)) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")
        ]
        held.append(before is not None and any(os.path.samestat(before, one) and not one.st_nlink for one in opened))

    monkeypatch.setattr(worker.os, "replace", watched)
    descriptors = len(os.listdir("/proc/self/fd"))
    for number in range(3):
        worker.write_status(str(tmp_path), {"number": number})
    assert held == [False, True, True]
    assert json.loads((tmp_path / "status.json").read_text()) == {"number": 2}
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_the_age_of_the_oldest_event(ship, logger, transport):
    published = []
    transport.away.set()
    handler = ship(publish=published.append, exit_timeout=0.1)
    record = logging.makeLogRecord({"name": "old", "created": time.time() - 3600, "msg": "m"})
    handler.handle(record)
    eventually(lambda: published and published[-1].oldest_seconds >= 3600)
    logger.removeHandler(handler)
    handler.close()


def test_metrics_that_raise_cost_no_event(ship, logger, transport):
    handler = ship(publish=lambda counts: 1 / 0)
    log_numbers(logger, 0, 10)
    assert handler.wait(20)
    assert "division" in eventually(lambda: handler.counts().last_error)
    handler.close()
    assert transport.numbers() == list(range(10))


def test_who_publishes_counts_may_log_to_a_full_stream(ship, logger, transport, monkeypatch):
    """The sending thread calls it, and nobody else makes room."""
    monkeypatch.setattr(worker, "_HOUSEKEEPING_SECONDS", 0.01)
    audit = logging.getLogger("finances.publisher")
    rounds = []

    def publish(counts):
        if counts.spool_bytes and transport.away.is_set():
            audit.warning("m" * 1000)
        rounds.append(counts.dropped.get(("audit", "spool_full"), 0))

    handler = ship(publish=publish, limits={"audit": small(Block(600))})
    monkeypatch.setattr(audit, "handlers", [handler])
    monkeypatch.setattr(audit, "propagate", False)
    transport.away.set()
    log_numbers(logger, 0, 1)
    eventually(lambda: rounds and rounds[-1] > 3)
    transport.away.clear()
    assert handler.wait(20)
    handler.close()
    assert transport.numbers() == [0]
