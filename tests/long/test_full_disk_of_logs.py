"""The disk of the log files is full while they are compressed and archived: nothing is lost, and the next run completes."""

import json
import os
import random
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from logbastion.archives import DirectoryStore
from logbastion.retention import LogRetentionManager
from logbastion.retention.codecs import read_from
from logbastion.retention.verification import verify

DISK_KIB = 4096
LINES = 6000
NOW = datetime(2026, 11, 24, 2, tzinfo=UTC)


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_KIB}k", "logs", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def numbers(*paths):
    found = []
    for path in paths:
        with read_from(path) as file:
            found += [json.loads(line)["n"] for line in file]
    return sorted(found)


def fill(path, left_kib):
    """Take all the room but so much."""
    status = os.statvfs(path.parent)
    path.write_bytes(bytes(status.f_bavail * status.f_frsize - left_kib * 1024))


@pytest.mark.parametrize("left_kib", [0, 300])
def test_a_full_disk_loses_nothing(small_disk, tmp_path, left_kib):
    logs, archive = small_disk / "logs", tmp_path / "archive"
    for directory in (logs, archive):
        directory.mkdir()
    noise = random.Random(7)
    moment = (NOW - timedelta(days=40)).isoformat()
    with (logs / "security.log-20261015").open("w") as file:
        for number in range(LINES):
            file.write(
                json.dumps({"@timestamp": moment, "n": number, "noise": f"{noise.getrandbits(1600):0400x}"}) + "\n"
            )
    fill(small_disk / "filling", left_kib)
    store = DirectoryStore(archive)

    def run():
        manager = LogRetentionManager(directory=logs, archive=store, host="app", clock=lambda: NOW)
        return manager.enforce_retention_policies()

    if left_kib:
        # The manifest has room, the compressed copy has not.
        (action,) = [action for action in run().actions if action.kind == "failed"]
        assert action.file == "security.log-20261015"
        assert "No space left" in action.reason
    else:
        # Not even the news of the run has room, so the alert on runs that did not take place is the one that fires.
        with pytest.raises(OSError, match="No space left"):
            run()
    assert numbers(*logs.glob("security.log*")) == list(range(LINES))
    assert [path.name for path in logs.iterdir() if "partial" in path.name and "security" in path.name] == []
    (small_disk / "filling").unlink()
    subprocess.run(["mount", "-o", f"remount,size={4 * DISK_KIB}k", small_disk], check=True)
    assert run().failures == 0
    assert run().failures == 0
    assert numbers(*logs.glob("security.log*")) == list(range(LINES))
    assert verify(logs, archive=store, host="app", clock=lambda: NOW).problems == []
