"""A million numbered events through everything that goes wrong, into a real Elasticsearch: none lost, none doubled.

Elasticsearch runs in the lab; before it stands a front that cuts, stalls and refuses (429, 503) at random and is away for a while.
The sender is killed a hundred times. LOGBASTION_LONG_EVENTS and LOGBASTION_LONG_KILLS make it shorter.
"""

import os
import random
import time

import pytest

from tests.long.sending import LONGEST_SECONDS, Sender, assert_each_once

EVENTS = int(os.environ.get("LOGBASTION_LONG_EVENTS", "1000000"))
KILLS = int(os.environ.get("LOGBASTION_LONG_KILLS", "100"))
OUTAGE_SECONDS = 60 if EVENTS >= 1_000_000 else 10
CHILDREN = 3

pytestmark = pytest.mark.timeout(LONGEST_SECONDS)


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
