"""Starts, kills and drains the program that logs numbered events, and counts what has come to Elasticsearch."""

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from elasticsearch.helpers import scan

from lab import stack
from tests.long.faulty_front import FaultyFront

SETTLED_WITHIN_SECONDS = 1200
LONGEST_SECONDS = 2 * 3600
"""For one test; the other tests of the project get ten minutes."""
SOURCE = str(Path(__file__).resolve().parents[2] / "python_handlers/src")
STREAMS = ("security", "audit", "performance", "application")


class Sender:
    """Starts `numbered_sender.py` again and again on one spool, and remembers which numbers nobody can be sure of."""

    def __init__(self, directory: Path, front: FaultyFront, environment: str) -> None:
        self.spool = directory / "spool"
        self.progress = directory / "progress"
        self.environment = environment
        self.front = front
        self.next = 1
        self.uncertain: set[int] = set()

    def start(self, last: int, *more: str, children: int = 0) -> subprocess.Popen:
        self.progress.write_bytes(bytes(8 * (1 + children)))
        return subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("numbered_sender.py")),
                *("--spool", str(self.spool)),
                *("--destination", self.front.address),
                *("--ca-file", str(self.front.ca_file)),
                *("--password-file", str(stack.password_file("log_writer"))),
                *("--environment", self.environment),
                *("--progress", str(self.progress)),
                *("--first", str(self.next)),
                *("--last", str(last)),
                *("--children", str(children)),
                *more,
            ],
            env={**os.environ, "PYTHONPATH": SOURCE},
            start_new_session=True,
        )

    def kill(self, process: subprocess.Popen, last: int) -> None:
        """Kill it; the event after the last one whose call had returned may be there or not."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        come = self.come()
        if come == 0:  # killed before its first event, or while it was at it
            come = self.next - 1
        if come < last:
            self.uncertain.add(come + 1)
        self.next = min(come + 2, last + 1)

    def come(self) -> int:
        """Return the number of the last call that has returned, 0 before the first."""
        (come,) = struct.unpack("<Q", self.progress.read_bytes()[:8])
        return come

    def run(self, last: int, *more: str, children: int = 0) -> None:
        process = self.start(last, *more, children=children)
        assert process.wait(timeout=SETTLED_WITHIN_SECONDS) == 0
        self.next = last + 1

    def drain(self) -> dict:
        """Ship what the killed ones have left, with the command that operators have; return what it says."""
        command = ["spool", "drain", "--directory", self.spool, "--transport", "elasticsearch"]
        command += ["--ingest", self.front.address, "--ca-file", self.front.ca_file, "--username", "log_writer"]
        command += ["--password-file", stack.password_file("log_writer"), "--timeout", SETTLED_WITHIN_SECONDS, "--json"]
        drained = subprocess.run(
            [sys.executable, "-m", "logbastion.cli", *map(str, command)],
            env={**os.environ, "PYTHONPATH": SOURCE},
            capture_output=True,
            text=True,
            check=False,
        )
        print(drained.stdout.strip())
        assert drained.returncode == 0, drained.stdout + drained.stderr
        assert list(self.spool.glob("*/*.spool")) == []
        return json.loads(drained.stdout)


def stored_numbers(environment: str) -> Counter:
    """Return how often each number is in Elasticsearch, over all streams."""
    numbers: Counter = Counter()
    for stream in STREAMS:
        client = stack.elasticsearch(stack.READER_OF_STREAM[stream])
        index = f"logs-django.{stream}-{environment}"
        for hit in scan(client, index=index, query={"_source": ["extra.n"]}, size=5000, ignore_unavailable=True):
            extra = hit["_source"].get("extra", {})
            if "n" in extra:
                numbers[int(extra["n"])] += 1
    return numbers


def assert_each_once(
    sender: Sender, last: int, *, destroyed: Collection[int] = (), quarantined: bool = False
) -> set[int]:
    """Check that each number is stored once, and return the destroyed ones that are not.

    Args:
        sender: knows the numbers whose calls were cut short.
        last: every number from 1 to this one was logged.
        destroyed: numbers that the test itself has damaged in the spool.
        quarantined: whether pieces of damaged files may have been set aside.

    """
    deadline = time.monotonic() + 60  # until the newest are searchable
    excused = sender.uncertain | set(destroyed)
    while True:
        numbers = stored_numbers(sender.environment)
        missing = [n for n in range(1, last + 1) if not numbers[n] and n not in excused]
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(2)
    doubled = [n for n, times in numbers.items() if times > 1]
    assert (missing[:10], len(missing)) == ([], 0)
    assert (doubled[:10], len(doubled)) == ([], 0)
    assert list((sender.spool / "dead_letters").glob("*")) == []
    # A kill in the middle of a write may tear the event whose call had not returned; nothing else may be set aside.
    pieces = [
        json.loads(line) for file in (sender.spool / "quarantine").glob("*") for line in file.read_text().splitlines()
    ]
    assert quarantined or all(piece["torn"] for piece in pieces), pieces
    assert quarantined or len(pieces) <= len(sender.uncertain), pieces
    numbers_in_pieces = {int(n) for piece in pieces for n in re.findall(r'"n":(\d+)[,}]', piece["text"])}
    assert quarantined or numbers_in_pieces <= sender.uncertain, pieces
    return {n for n in destroyed if not numbers[n]}
