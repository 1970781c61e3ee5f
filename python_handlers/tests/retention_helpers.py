"""Log files whose events are numbered, at times of the test's choice, and managers with a clock of the test's."""

from __future__ import annotations

import io
import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

from logbastion.retention import LogRetentionManager
from logbastion.retention.codecs import reading
from logbastion.retention.manifest import MANIFEST_FILE, Manifest

DAY = timedelta(days=1)
START = datetime(2026, 1, 1, 2, tzinfo=timezone.utc)
HOST = "host-1"


class Time:
    """A clock that the test moves."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def write(directory: Path, stream: str, moment: datetime, *numbers: int) -> None:
    """Append one event for each number to the active file of a stream."""
    with (directory / f"{stream}.log").open("a") as file:
        for number in numbers:
            file.write(json.dumps({"@timestamp": moment.isoformat(), "number": number, "filling": "x" * 80}) + "\n")


def manager(directory: Path, clock: Time, store=None, **options) -> LogRetentionManager:
    return LogRetentionManager(directory=directory, archive=store, host=HOST, clock=clock, **options)


def content_of(path: Path) -> bytes:
    return reading(io.BytesIO(path.read_bytes()), path.name).read()


def numbers_in(*paths: Path) -> Counter:
    """Return how often each number is in files, compressed or not."""
    return Counter(json.loads(line)["number"] for path in paths for line in content_of(path).splitlines())


def local_logs(directory: Path, stream: str = "") -> list[Path]:
    found = (path for path in directory.iterdir() if path.name.startswith(stream) and ".log" in path.name)
    return [path for path in found if not path.name.endswith(".partial")]


def archived_logs(store, prefix: str = "archive/") -> list[Path]:
    return [store.root / name for name in store.names(prefix)]


def run(logs, clock, store, **options):
    """Keep to the periods, without a failure, and return what was done."""
    report = manager(logs, clock, store).enforce_retention_policies(**options)
    assert report.failures == 0, report.actions
    return {(action.kind, action.file) for action in report.actions}


def entered(logs):
    """Return what the manifest has, in its order."""
    entries = map(json.loads, Manifest(logs / MANIFEST_FILE).lines())
    return [(entry["action"], entry["file"]) for entry in entries]


def days_of(logs, clock, store, days, stream="security"):
    """Log ten numbered events each day at noon and keep to the periods each night."""
    for day in range(days):
        write(logs, stream, clock.now + timedelta(hours=10), *range(day * 10, day * 10 + 10))
        clock.now += DAY
        run(logs, clock, store)
