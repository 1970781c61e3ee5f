"""The spool's disk is full while Elasticsearch is away: what is given up is counted, to the last event; the rest arrives."""

import json
import subprocess
import threading
import time

import pytest

from lab import stack
from tests.long.sending import LONGEST_SECONDS, Sender, stored_numbers

EVENTS = 150_000
EVIDENCE_EVERY = 500
"""Where nothing has room, each of these calls waits for its 0.1 s."""
DISK_MIB = 16

pytestmark = pytest.mark.timeout(LONGEST_SECONDS)


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "spool", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def told(environment: str, event_type: str) -> list[dict]:
    """Return the events about shipping itself."""
    found = stack.elasticsearch(stack.READER_OF_STREAM["audit"]).search(
        index=f"logs-django.audit-{environment}", query={"term": {"event_type": event_type}}, size=100
    )
    return [hit["_source"] for hit in found["hits"]["hits"]]


def test_what_a_full_disk_costs_is_counted(front, small_disk, tmp_path):
    sender = Sender(tmp_path, front, f"full_{int(time.time())}")
    sender.spool = small_disk / "spool"
    counts = tmp_path / "counts.json"
    front.away.set()
    process = sender.start(EVENTS, "--counts", str(counts), "--wait", "300", "--evidence-every", str(EVIDENCE_EVERY))

    def come_back() -> None:
        while process.poll() is None and sender.come() < EVENTS:
            time.sleep(0.1)
        front.away.clear()

    back = threading.Thread(target=come_back)
    back.start()
    assert process.wait(600) == 0
    back.join()
    counted = json.loads(counts.read_text())["dropped"]
    dropped = sum(count for reasons in counted.values() for count in reasons.values())
    print(f"of {EVENTS} events {dropped} found no room: {counted}")
    assert dropped
    deadline = time.monotonic() + 60  # until the newest are searchable
    while len(numbers := stored_numbers(sender.environment)) < EVENTS - dropped and time.monotonic() < deadline:
        time.sleep(2)
    assert max(numbers.values()) == 1
    assert EVENTS - len(numbers) == dropped
    (said,) = told(sender.environment, "spool_unavailable")
    assert "No space left" in said["extra"]["last_error"]
    resumed = sum(event["extra"]["dropped_events"] for event in told(sender.environment, "shipping_resumed"))
    assert resumed == dropped
