"""What is measured: each function lets one thing happen and returns figures, None for what was not to be had."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.shipping.processes import Sender, Sink
from benchmarks.shipping.setups import SETUPS
from benchmarks.shipping.setups.base import Setup

Figures = dict[str, Any]
_EXTRA_NUMBER: Final = 3_999_999  # an event that only makes a successor start its work
_WARM_UP: Final = 50  # connects, imports what is imported late; a full batch of python-logstash-async
_EXIT_EVENTS: Final = 1000
_FORK_EVENTS: Final = 100
_SMALL_BUFFER: Final = 64 * 1024


@dataclass(frozen=True)
class Extent:
    """How much and how long.

    Args:
        bursts: how many times :attr:`.setups.base.Setup.burst` events the measure ``flow`` has.
        paced_seconds: of logging at 1 000 events a second.
        outage_seconds: during which the sink is away.
        outage_rate: events a second meanwhile.
        stall_seconds: during which the sink does not read.
        stall_rate: events a second meanwhile; enough to fill the sockets' buffers.
        limit: seconds that anything may take to arrive.

    """

    bursts: float
    paced_seconds: float
    outage_seconds: float
    outage_rate: int
    stall_seconds: float
    stall_rate: int
    limit: float


QUICK: Final = Extent(0.5, 2, 2, 1000, 2, 5000, 15)
FULL: Final = Extent(3, 10, 10, 2000, 4, 5000, 90)


@dataclass(frozen=True)
class Bench:
    """Where a measure takes place.

    Args:
        name: of the set-up.
        sink: the receiver.
        ca_file: authority of its certificate.
        directory: empty, of this measure alone.
        extent: how much and how long.

    """

    name: str
    sink: Sink
    ca_file: str
    directory: Path
    extent: Extent

    @property
    def setup(self) -> Setup:
        """The set-up itself."""
        return SETUPS[self.name]

    def begin(self, *, buffer: int = 0) -> None:
        """Have the sink listen for this set-up and forget what came."""
        self.sink.begin(self.setup.wire, tls=self.setup.tls, buffer=buffer)

    @contextmanager
    def sender(self, counter: Path | None = None) -> Iterator[Sender]:
        """Start a sender; it is killed at the end unless it has left."""
        made = Sender(self.name, self.sink, self.ca_file, self.directory, counter)
        try:
            yield made
        finally:
            made.kill()

    def arrived(self, first: int, end: int, *, limit: float | None = None, trouble: bool = False) -> Figures:
        """Wait for these events, as patiently as the set-up needs it."""
        patience = self.setup.patience_after_trouble if trouble else self.setup.patience
        return self.sink.wait_for(first, end, patience=patience, limit=limit or self.extent.limit)


def _losses(report: Figures) -> Figures:
    return {key: report[key] for key in ("lost", "doubled", "unfinished", "not_json")}


def flow(bench: Bench) -> Figures:
    """Log a burst: cost in the caller, CPU per event, events a second end to end, memory."""
    count = max(500, round(bench.setup.burst * bench.extent.bursts))
    bench.begin()
    with bench.sender() as sender:
        sender.ask(do="log", first=count, count=_WARM_UP, rate=0, seconds=10)
        if bench.setup.patience:
            bench.arrived(count, count + _WARM_UP)
        before = sender.usage()
        sender.start_logging(0, count, seconds=bench.extent.limit)
        logged = sender.logged()
        report = bench.arrived(0, logged["logged"]) if bench.setup.patience else None
        after = sender.usage()
    figures: Figures = {
        "events": logged["logged"],
        "caller_us": logged["microseconds"],
        "cpu_us": (after["cpu"] - before["cpu"]) / logged["logged"] * 1e6,
        "memory_mib": after["memory"]["highest"] - sender.memory["idle"],
        "threads": after["threads"],
    }
    if report is not None:
        figures |= _losses(report)
        if report["most_at"] and report["arrived"]:
            figures["events_per_second"] = report["arrived"] * 0.99 / (report["most_at"] - logged["begin"])
    return figures


def paced(bench: Bench) -> Figures:
    """Log a thousand events a second: cost in the caller."""
    bench.begin()
    with bench.sender() as sender:
        sender.ask(do="log", first=10**6, count=_WARM_UP, rate=0, seconds=10)
        sender.start_logging(0, round(1000 * bench.extent.paced_seconds), rate=1000, seconds=bench.extent.limit)
        return {"caller_us": sender.logged()["microseconds"]}


def outage(bench: Bench) -> Figures:
    """Let the sink go away under load and come back when the load is over."""
    extent = bench.extent
    bench.begin()
    with bench.sender() as sender:
        count = round(extent.outage_rate * (1 + extent.outage_seconds))
        sender.start_logging(0, count, rate=extent.outage_rate, seconds=extent.outage_seconds + 10)
        time.sleep(1)
        bench.sink.close()
        logged = sender.logged()
        back = time.monotonic()
        bench.sink.open()
        report = bench.arrived(0, logged["logged"], trouble=True)
        memory = sender.usage()["memory"]["highest"] - sender.memory["idle"]
    figures = {"events": logged["logged"], "caller_us": logged["microseconds"], "memory_mib": memory}
    late = report["last_at"] is not None and report["last_at"] > back
    return figures | _losses(report) | {"drained_after_s": report["last_at"] - back if late else None}


def stall(bench: Bench) -> Figures:
    """Let the sink keep the connection, and not read for a while."""
    extent = bench.extent
    bench.begin(buffer=_SMALL_BUFFER)
    with bench.sender() as sender:
        sender.ask(do="log", first=10**6, count=_WARM_UP, rate=0, seconds=10)
        bench.arrived(10**6, 10**6 + _WARM_UP, limit=4)
        bench.sink.stall(True)
        count = round(extent.stall_rate * extent.stall_seconds)
        sender.start_logging(0, count, rate=extent.stall_rate, seconds=extent.stall_seconds + 20)
        time.sleep(extent.stall_seconds)
        bench.sink.stall(False)
        logged = sender.logged()
        report = bench.arrived(0, logged["logged"], trouble=True)
    return {"events": logged["logged"], "caller_us": logged["microseconds"]} | _losses(report)


def _killed(bench: Bench, *, sink_is_up: bool) -> Figures:
    counter = bench.directory / "counter"
    counter.write_bytes(bytes(8))
    bench.begin()
    if not sink_is_up:
        bench.sink.close()
    with bench.sender(counter) as sender:
        sender.start_logging(0, 100_000, rate=5000, seconds=20)
        time.sleep(random.uniform(0.7, 1.7))  # noqa: S311 - a moment, not a secret
    returned: int = struct.unpack("<Q", counter.read_bytes())[0]
    if not sink_is_up:
        bench.sink.open()
    return {"events": returned} | _losses(_successor(bench, returned))


def _successor(bench: Bench, count: int) -> Figures:
    """Start the application again, as its supervisor would, and wait for what the one before had logged."""
    with bench.sender() as sender:
        sender.ask(do="log", first=_EXTRA_NUMBER, count=1, rate=0, seconds=10)
        return bench.arrived(0, count)


def kill(bench: Bench) -> Figures:
    """Kill -9 of the sender while the sink takes what comes; its successor finds what it left."""
    return _killed(bench, sink_is_up=True)


def kill_down(bench: Bench) -> Figures:
    """Kill -9 of the sender while the sink is away."""
    return _killed(bench, sink_is_up=False)


def leave(bench: Bench) -> Figures:
    """Let the process end while the sink is away."""
    bench.begin()
    bench.sink.close()
    with bench.sender() as sender:
        sender.start_logging(0, _EXIT_EVENTS, seconds=30)
        logged = sender.logged()
        seconds = sender.leave(limit=max(40.0, bench.extent.limit))
    bench.sink.open()
    return {"exit_s": seconds, "events": logged["logged"]} | _losses(_successor(bench, logged["logged"]))


def fork(bench: Bench) -> Figures:
    """Fork a process that has logged; child and parent go on logging, and end."""
    bench.begin()
    with bench.sender() as sender:
        for first in (0, 2 * _FORK_EVENTS):
            sender.ask(do="log", first=first, count=_FORK_EVENTS, rate=0, seconds=10)
            if first == 0:
                sender.ask(do="fork", first=_FORK_EVENTS, count=_FORK_EVENTS, settle=1.0, timeout=60)
        sender.leave(limit=40)
    report = bench.arrived(0, 3 * _FORK_EVENTS, limit=5)
    child = bench.sink.report(_FORK_EVENTS, 2 * _FORK_EVENTS)
    return {"events": 3 * _FORK_EVENTS, "child_arrived": child["arrived"]} | _losses(report)


SPEED: Final[dict[str, Callable[[Bench], Figures]]] = {"flow": flow, "paced": paced}
TROUBLE: Final[dict[str, Callable[[Bench], Figures]]] = {
    "outage": outage,
    "stall": stall,
    "kill": kill,
    "kill_down": kill_down,
    "exit": leave,
    "fork": fork,
}
MEASURES: Final = SPEED | TROUBLE
"""By the names that :attr:`.setups.base.Setup.keeps` has."""
