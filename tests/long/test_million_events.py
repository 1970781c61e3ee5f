"""A million numbered events through everything that goes wrong, into a real Elasticsearch: none lost, none doubled.

Elasticsearch runs in the lab; before it stands a front that cuts, stalls and refuses (429, 503) at random and is away for a while.
The sender is killed a hundred times. LOGBASTION_LONG_EVENTS and LOGBASTION_LONG_KILLS make it shorter.
"""

import os
import random
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from elasticsearch.helpers import scan

from lab import hosts, main_job, stack
from tests.long.faulty_front import FaultyFront

EVENTS = int(os.environ.get("LOGBASTION_LONG_EVENTS", "1000000"))
KILLS = int(os.environ.get("LOGBASTION_LONG_KILLS", "100"))
OUTAGE_SECONDS = 60 if EVENTS >= 1_000_000 else 10
SETTLED_WITHIN_SECONDS = 1200
CHILDREN = 3
SOURCE = str(Path(__file__).resolve().parents[2] / "python_handlers/src")
STREAMS = ("security", "audit", "performance", "application")


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    """Return the front before the Elasticsearch of a lab that is up; `make up` is run when there is none."""
    if not {stack.OBSERVER, stack.APPLICATION} <= set(hosts.existing()) or not stack.AUTHORITY.exists():
        main_job.up(20)
    seed = int.from_bytes(os.urandom(4))
    print(f"seed of the faults: {seed}")
    made = FaultyFront(
        tmp_path_factory.mktemp("front"),
        (hosts.address(stack.OBSERVER), 9200),
        stack.AUTHORITY,
        share=0.15,
        seed=seed,
    )
    made.start()
    yield made
    made.shutdown()


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
        (come,) = struct.unpack("<Q", self.progress.read_bytes()[:8])
        if come == 0:  # killed before its first event, or while it was at it
            come = self.next - 1
        if come < last:
            self.uncertain.add(come + 1)
        self.next = min(come + 2, last + 1)

    def run(self, last: int, *more: str, children: int = 0) -> None:
        process = self.start(last, *more, children=children)
        assert process.wait(timeout=SETTLED_WITHIN_SECONDS) == 0
        self.next = last + 1

    def drain(self) -> None:
        """Ship what the killed ones have left, with the command that operators have."""
        command = ["spool", "drain", "--directory", self.spool, "--transport", "elasticsearch"]
        command += ["--ingest", self.front.address, "--ca-file", self.front.ca_file, "--username", "log_writer"]
        command += ["--password-file", stack.password_file("log_writer"), "--timeout", SETTLED_WITHIN_SECONDS]
        drained = subprocess.run(
            [sys.executable, "-m", "logbastion.cli", *map(str, command)],
            env={**os.environ, "PYTHONPATH": SOURCE},
            capture_output=True,
            text=True,
            check=False,
        )
        print(drained.stdout.splitlines()[-1:])
        assert drained.returncode == 0, drained.stdout + drained.stderr
        assert list(self.spool.glob("*/*.spool")) == []


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


def assert_each_once(sender: Sender, last: int) -> None:
    deadline = time.monotonic() + 60  # until the newest are searchable
    while True:
        numbers = stored_numbers(sender.environment)
        missing = [n for n in range(1, last + 1) if not numbers[n] and n not in sender.uncertain]
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(2)
    doubled = [n for n, times in numbers.items() if times > 1]
    assert (missing[:10], len(missing)) == ([], 0)
    assert (doubled[:10], len(doubled)) == ([], 0)
    assert list((sender.spool / "dead_letters").glob("*")) == []
    assert list((sender.spool / "quarantine").glob("*")) == []


def test_a_million_events_over_a_hundred_kills_outages_and_refusals(front, tmp_path):
    sender = Sender(tmp_path, front, f"long_{int(time.time())}")
    chance = random.Random(front.chance.random())
    with_kills = EVENTS * 9 // 10
    for kill in range(KILLS):
        if kill == KILLS // 2:
            front.away.set()
            back_at = time.monotonic() + OUTAGE_SECONDS
        if front.away.is_set() and time.monotonic() > back_at:
            front.away.clear()
        last = with_kills * (kill + 1) // KILLS
        process = sender.start(last, *(["--clock-jumps"] if kill % 3 == 0 else []))
        time.sleep(chance.uniform(0.15, 0.9))
        sender.kill(process, last)
        # What the kill has left of this part is logged by one that lives to its end.
        if sender.next <= last:
            sender.run(last)
    while front.away.is_set() and time.monotonic() < back_at:
        time.sleep(0.5)
    front.away.clear()
    sender.run(EVENTS)
    sender.drain()
    print(f"front: {front.seen}; uncertain: {len(sender.uncertain)}")
    assert all(front.seen[fault] for fault in front.seen), front.seen
    assert_each_once(sender, EVENTS)


def test_forks_under_load_ship_their_own_events_and_nobody_elses(front, tmp_path):
    sender = Sender(tmp_path, front, f"forks_{int(time.time())}")
    last = EVENTS // 10
    sender.run(last, children=CHILDREN)
    sender.drain()
    assert_each_once(sender, last)
