"""Numbered records for the tests of the spool, and the ways to count them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from logbastion.shipping.spool import LaneLimit, Spool

NUMBER = re.compile(rb'\{"n":(-?\d+)')
KIB = 1024


def record(number: int, size: int = 100) -> bytes:
    return b'{"n":%d,"pad":"%b"}' % (number, b"x" * size)


def numbers(events: list[bytes]) -> list[int]:
    return [int(NUMBER.match(event)[1]) for event in events]


def put(spool: Spool, first: int, last: int, stream: str = "application", size: int = 100) -> list[int]:
    """Append numbered records; return the numbers of those that were kept."""
    return [number for number in range(first, last) if spool.append(stream, record(number, size))]


def take(spool: Spool, stream: str | None = None, settle: bool = True) -> list[int]:
    """Read everything; return the numbers in the order in which they came."""
    found: list[bytes] = []
    while (batch := spool.read(500, 256 * KIB)) is not None:
        if stream is None or batch.stream == stream:
            found.extend(batch.events)
        if settle:
            spool.settle(batch)
    return numbers(found)


def adopt_all(spool: Spool) -> list[int]:
    """Take over the directories of dead processes one after the other; return the numbers."""
    found: list[int] = []
    while True:
        spool._adopt_at = 0.0  # the tests do not wait for the next look
        spool.maintain()
        got = take(spool)
        if not got and not spool._adopted:
            return found
        found += got


def small(policy, kib: int = 64) -> LaneLimit:
    return LaneLimit(kib * KIB, policy)


def segments(root: Path) -> list[Path]:
    return sorted(root.glob("*/*.spool"))


def python(program: str, *arguments: object, **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, **options)


@pytest.fixture
def drops():
    return []


@pytest.fixture
def make(tmp_path, drops):
    made = []

    def spool(root=tmp_path / "spool", **options):
        made.append(Spool(root, dropped=lambda *facts: drops.append(facts), **options))
        return made[-1]

    yield spool
    for one in made:
        one.close()
