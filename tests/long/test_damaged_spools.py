"""Spool files that are cut short and bits that turn over: what was destroyed is lost and told, everything else arrives.

LOGBASTION_LONG_DAMAGES sets how many dead processes' spools are damaged.
"""

import json
import os
import random
import re
import time
import zlib
from collections import Counter
from pathlib import Path

import pytest

from tests.long.sending import LONGEST_SECONDS, Sender, assert_each_once

DAMAGES = int(os.environ.get("LOGBASTION_LONG_DAMAGES", "40"))
EVENTS_EACH = 1500
_NUMBER = re.compile(rb'"extra":\{"n":(\d+)')

pytestmark = pytest.mark.timeout(LONGEST_SECONDS)


def lines_by_number(spool: Path) -> dict[int, bytes]:
    """Return the whole line of each number that the spool holds."""
    found = {}
    for path in spool.glob("*/*.spool"):
        for line in path.read_bytes().split(b"\n")[:-1]:
            if number := _NUMBER.search(line):
                found[int(number[1])] = line
    return found


def damage(path: Path, chance: random.Random) -> str:
    """Turn one bit over, or cut the end off, at a random place; return what was done."""
    size = path.stat().st_size
    place = chance.randrange(size)
    with path.open("r+b") as file:
        if chance.random() < 0.3:
            file.truncate(place)
            return "cut"
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1 << chance.randrange(8)]))
        # Without the line break between them two records are whole: nothing is destroyed, nothing to be told.
        return "joined" if byte == ord("\n") else "flipped"


def broken_lines(path: Path) -> list[bytes]:
    """Return what is no record: a checksum in hexadecimal, a space, and what it was made of."""
    lines = path.read_bytes().split(b"\n")
    whole = [line for line in lines[:-1] if line[:9] == b"%08x " % zlib.crc32(line[9:])]
    return [line for line in lines if line and line not in whole]


def test_only_what_was_destroyed_is_lost_and_it_is_told(front, tmp_path):
    sender = Sender(tmp_path, front, f"damaged_{int(time.time())}")
    chance = random.Random(front.chance.random())
    destroyed: set[int] = set()
    done: Counter = Counter()
    told, broken = 0, []
    for _ in range(DAMAGES):
        front.away.set()
        last = sender.next + EVENTS_EACH - 1
        process = sender.start(last)
        time.sleep(chance.uniform(0.4, 0.8))
        sender.kill(process, last)
        files = [file for file in sender.spool.glob("*/*.spool") if file.stat().st_size]
        expected = 0
        if files:
            path, whole = chance.choice(files), lines_by_number(sender.spool)
            what = damage(path, chance)
            done[what] += 1
            left = lines_by_number(sender.spool)
            destroyed |= {number for number, line in whole.items() if left.get(number) != line}
            if what != "joined":
                expected = len(broken_lines(path))
                broken += broken_lines(path)
        front.away.clear()
        damaged = sender.drain().get("damaged", 0)
        assert damaged >= expected
        told += damaged
        if sender.next <= last:
            sender.run(last)
    lost = assert_each_once(sender, sender.next - 1, destroyed=destroyed, quarantined=True)
    pieces = [json.loads(line) for path in (sender.spool / "quarantine").glob("*") for line in path.open("rb")]
    print(f"{dict(done)}, {len(destroyed)} destroyed, {len(lost)} lost, {told} pieces told and set aside")
    assert done["cut"]
    assert done["flipped"]
    kept = {piece["text"].encode("utf-8", "surrogateescape") for piece in pieces}
    assert set(broken) <= kept
    assert len(pieces) == told
