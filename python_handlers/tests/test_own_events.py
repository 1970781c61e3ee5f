"""What commands log of themselves is in the log and in the spool, and the application ships it: once each."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from conftest import eventually
from retention_helpers import write
from sink import Sink
from spool_helpers import segments

from logbastion.cli.main import main
from logbastion.shipping import ShippingHandler, TcpTransport
from logbastion.shipping.spool import Spool

pytestmark = pytest.mark.integration
SOURCE = Path(__file__).parents[1] / "src"
DAY = timedelta(days=1)


@pytest.fixture
def places(tmp_path, clean_environment, monkeypatch):
    logs, spool = tmp_path / "logs", tmp_path / "spool"
    logs.mkdir(mode=0o750)
    monkeypatch.setenv("LOGBASTION_LOG_DIRECTORY", str(logs))
    monkeypatch.setenv("LOGBASTION_SPOOL_DIRECTORY", str(spool))
    monkeypatch.setenv("LOGBASTION_ENVIRONMENT", "production")
    monkeypatch.setenv("LOGBASTION_SERVICE_NAME", "school")
    return logs, spool


def in_log(logs: Path) -> list[str]:
    lines = [line for path in sorted(logs.glob("audit.log*")) for line in path.read_bytes().splitlines()]
    return [event["event"]["id"] for event in map(json.loads, lines) if "number" not in event]


def in_spool(spool: Path) -> list[dict]:
    """Take over the directories of dead processes, as the application does, and read them to their end."""
    reader, found = Spool(spool), []
    while True:
        reader._adopt_at = 0.0  # the test does not wait for the next look
        reader.maintain()
        got = 0
        while (batch := reader.read(500, 1 << 20)) is not None:
            assert batch.stream == "audit"
            found += [json.loads(event) for event in batch.events]
            assert all(event.endswith(b"}") for event in batch.events)
            got += len(batch.events)
            reader.settle(batch)
        if not got and not reader._adopted:
            reader.close()
            return found


def test_nights_are_shipped_by_the_application_each_event_once(places, certificates, tmp_path):
    logs, spool = places
    for night in range(3):
        write(logs, "security", datetime.now(timezone.utc) - (5 - night) * DAY, night)
        assert main(["retention"]) == 0
    expected = in_log(logs)
    assert len(expected) == len(set(expected)) == 3 * 6  # five classes and the head of the manifest
    assert len(segments(spool)) == 3
    receiver = Sink(certificates)
    receiver.start()
    transport = TcpTransport(receiver.address, settle_seconds=0.2, **certificates.client)
    handler = ShippingHandler(transport, spool_directory=spool, exit_timeout=20)
    try:
        logger = logging.getLogger("business.own_events")
        logger.propagate = False
        logger.addHandler(handler)
        logger.warning("the application logs, and its worker starts")
        eventually(lambda: len(receiver.lines) >= len(expected) + 1, 60)
        assert handler.wait(20)
    finally:
        logger.removeHandler(handler)
        handler.close()
        receiver.stop()
    events = [json.loads(line) for line in receiver.lines]
    ids = Counter(event["event"]["id"] for event in events if event["logger"] == "system.log_management")
    assert ids == dict.fromkeys(expected, 1)
    assert {(event["service"]["name"], event["service"]["environment"]) for event in events if
            event["logger"] == "system.log_management"} == {("school", "production")}  # fmt: skip
    assert not [path for path in spool.iterdir() if path.name not in ("quarantine", "dead_letters")]


def test_what_an_erasure_says_of_itself_is_shipped_too_and_names_no_one(places):
    logs, spool = places
    line = {"message": "User 4711 looked", "user_id": 4711, "event": {"id": "one"}}
    (logs / "application.log").write_text(json.dumps(line) + "\n")
    spool.mkdir(mode=0o750)
    assert main(["erase-user", "4711", "--yes"]) == 0
    said = [json.loads(line) for line in (logs / "audit.log").read_bytes().splitlines()]
    assert [event["event_type"] for event in said] == ["gdpr_anonymization", "gdpr_anonymization_complete"]
    assert in_spool(spool) == said
    assert "4711" not in json.dumps([{**event, "@timestamp": "", "event": "", "process": ""} for event in said])
    assert {event["service"]["environment"] for event in said} == {"production"}


def test_a_killed_run_loses_no_event_that_is_in_the_log(places):
    """Killed before its Nth write to the audit log; what is in the log by then is in the spool, too."""
    logs, spool = places
    program = (
        "import os, signal, sys\n"
        "from logbastion import files\n"
        "write, left = files.PrivateAppendFile.write, int(sys.argv[1])\n"
        "def count(self, line):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    write(self, line)\n"
        "files.PrivateAppendFile.write = count\n"
        "from logbastion.cli.main import main\n"
        "sys.exit(main(['retention']))\n"
    )
    for step in range(1, 7):
        done = subprocess.run(
            [sys.executable, "-c", program, str(step)],
            env={**os.environ, "PYTHONPATH": str(SOURCE)}, timeout=60, check=False, capture_output=True,
        )  # fmt: skip
        assert done.returncode == (-signal.SIGKILL if step < 6 else 0), done.stderr
    expected = in_log(logs)
    assert len(expected) == 0 + 1 + 2 + 3 + 4 + 5
    assert Counter(event["event"]["id"] for event in in_spool(spool)) == dict.fromkeys(expected, 1)


def test_a_spool_that_cannot_be_written_is_told_of_and_the_night_goes_on(places, capsys, monkeypatch, tmp_path):
    logs, _ = places
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOGBASTION_SPOOL_DIRECTORY", str(tmp_path / "file/spool"))
    assert main(["retention"]) == 0
    assert "5 events of this run are in the log files only" in capsys.readouterr().err
    assert len(in_log(logs)) == 5


def test_an_environment_that_is_none_is_refused(places, capsys, monkeypatch):
    monkeypatch.setenv("LOGBASTION_ENVIRONMENT", "Not One")
    assert main(["retention"]) == 2
    assert "LOGBASTION_ENVIRONMENT" in capsys.readouterr().err
