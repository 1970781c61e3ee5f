"""Retention beside writers, through kills, and over years of simulated days."""

import gzip
import json
import os
import signal
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest
from spool_helpers import python

from logbastion.retention import RETENTION_POLICIES, LogRetentionManager

pytestmark = pytest.mark.integration

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)

WRITER = """
import sys
from pathlib import Path
from logbastion.files import PrivateAppendFile
writer, directory = int(sys.argv[1]), Path(sys.argv[2])
file = PrivateAppendFile(directory / "security.log")
for number in range(int(sys.argv[3])):
    event = b'{"@timestamp": "2026-01-01T12:00:00Z", "writer": %d, "number": %d, "filling": "%s"}\\n'
    file.write(event % (writer, number, b"x" * 150))
"""

# What a run does to files; the audit events of Python's own calls.
STEPS = {"open", "os.rename", "os.remove", "os.chmod", "os.chown", "os.scandir"}


def run_and_kill(directory, step):
    """Keep to the periods in a child that is killed before its `step`-th step; 0 never. Return its exit code."""
    child = os.fork()
    if child == 0:
        left = step

        def count(event, _):
            nonlocal left
            if event in STEPS:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        failures = -1
        try:
            failures = march(directory).enforce_retention_policies().failures
        finally:
            os._exit(0 if failures == 0 else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def march(directory):
    return LogRetentionManager(directory=directory, clock=lambda: datetime(2026, 3, 1, tzinfo=timezone.utc))


def logs_in(directory):
    return [path for path in directory.iterdir() if ".log" in path.name]


def lines_of(*paths):
    """Return all lines of files, compressed or not."""
    contents = (path.read_bytes() for path in paths)
    return [
        line
        for path, content in zip(paths, contents, strict=True)
        for line in (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()
    ]


def test_four_writers_lose_and_double_nothing_across_rotations_and_compression(tmp_path):
    writers, each = 4, int(os.environ.get("RETENTION_LINES", "40000")) // 4
    running = [python(WRITER, writer, tmp_path, each) for writer in range(writers)]
    rotations = 0
    manager = LogRetentionManager(directory=tmp_path, clock=lambda: START + DAY)
    while any(writer.poll() is None for writer in running):
        report = manager.enforce_retention_policies()
        rotations += report.count("rotated")
        assert report.failures == 0
    assert [writer.returncode for writer in running] == [0] * writers
    assert rotations > 3
    # What writers that still had a file open wrote after its rotation is entered by the next run.
    assert manager.enforce_retention_policies().failures == 0
    later = LogRetentionManager(directory=tmp_path, clock=lambda: START + 60 * DAY)
    while later.enforce_retention_policies().actions:
        pass
    assert all(path.suffix == ".gz" for path in logs_in(tmp_path))
    counted = Counter((line["writer"], line["number"]) for line in map(json.loads, lines_of(*logs_in(tmp_path))))
    assert counted == Counter({(writer, number): 1 for writer in range(writers) for number in range(each)})


def test_a_kill_at_any_point_loses_nothing_and_the_next_run_ends_the_same(tmp_path):
    def fill(directory):
        directory.mkdir()
        for name, moment in (("security.log-20260101", "2026-01-01"), ("debug.log-20260101", "2026-01-01")):
            text = "".join(f'{{"@timestamp": "{moment}T10:00:00Z", "number": {n}}}\n' for n in range(500))
            (directory / name).write_text(text)
        (directory / "audit.log").write_text('{"@timestamp": "2026-01-01T10:00:00Z", "number": 0}\n')

    def state(directory):  # the news of the run included; a manifest tells of the kill
        return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "manifest.jsonl"}

    def run_twice(directory):
        """Run undisturbed: what the first run rotates, the second compresses."""
        assert [march(directory).enforce_retention_policies().failures for _ in range(2)] == [0, 0]

    fill(tmp_path / "undisturbed")
    run_twice(tmp_path / "undisturbed")
    expected = state(tmp_path / "undisturbed")
    assert any(name.endswith(".gz") for name in expected)
    killed = 0
    for kill_at in range(1, 60):
        directory = tmp_path / str(kill_at)
        fill(directory)
        code = run_and_kill(directory, kill_at)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        killed += 1
        whole = [path for path in directory.glob("security.log-20260101*") if not path.name.endswith(".partial")]
        kept = lines_of(*whole)
        assert len(set(kept)) == 500, kill_at
        run_twice(directory)
        assert state(directory) == expected, kill_at
    assert killed > 10


@pytest.mark.parametrize(
    ("name", "days", "step"),
    # The other classes, with an archive, are in test_retention_years.py.
    [("debug_logs", 60, 1), ("audit_logs", 2800, 40)],
)
def test_simulated_days_no_event_lives_longer_or_shorter_than_its_rule(tmp_path, name, days, step):
    """One event at noon, then a run at two in the night; an event lives two days beside its rule at most."""
    policy = RETENTION_POLICIES[name]
    now = START
    manager = LogRetentionManager({name: policy}, directory=tmp_path, clock=lambda: now)
    born, gone = {}, {}
    for day in range(0, days, step):
        noon = START + day * DAY
        born[day] = noon
        with (tmp_path / f"{policy.stream}.log").open("a") as file:
            file.write(json.dumps({"@timestamp": noon.isoformat(), "number": day}) + "\n")
        for night in range(step):
            now = noon + night * DAY + timedelta(hours=14)
            # Years of nights in which nothing is due need not be looked at one by one.
            if step > 1 and night not in (0, 1) and day < policy.retention_days - step:
                continue
            assert manager.enforce_retention_policies().failures == 0
            kept = {json.loads(line)["number"] for line in lines_of(*logs_in(tmp_path))}
            for number in set(born) - kept - set(gone):
                gone[number] = now - born[number]
    assert gone
    period = policy.retention_days * DAY
    if policy.rounding == "legal_minimum":
        assert min(gone.values()) >= period
        assert max(gone.values()) < period + 2 * DAY
    else:
        assert max(gone.values()) <= period
        assert min(gone.values()) > period - 2 * DAY
    overdue = [number for number in set(born) - set(gone) if now - born[number] >= period + 2 * DAY]
    assert overdue == []
