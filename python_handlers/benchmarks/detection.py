"""``python -m benchmarks.detection``: what a failed log-in and the look at a request's address take, by store.

Redis and PostgreSQL are processes of this program, on Unix sockets of this machine. The times are those of a clock on
the wall, because the caller waits for the store.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import django_detection_site
from detection_helpers import KEY, postgresql, redis_server

from logbastion.detection import Blocks, Breaker, MemoryStore, SecurityEventDetector
from logbastion.detection.stores.redis import RedisStore

ADDRESSES: Final = 500


def _milliseconds(call: Callable[[int], object], calls: int) -> str:
    times = []
    for number in range(calls):
        begin = time.perf_counter()
        call(number)
        times.append((time.perf_counter() - begin) * 1e3)
    cuts = statistics.quantiles(times, n=100)
    return f"{cuts[49]:.3f} | {cuts[94]:.3f} | {cuts[98]:.3f}"


def _measure(name: str, store: Any, calls: int) -> None:
    breaker = Breaker()
    blocks = Blocks(store, breaker)
    detector = SecurityEventDetector(store, key=KEY, blocks=blocks, breaker=breaker)
    addresses = itertools.cycle(f"192.0.{number >> 8}.{number & 255}" for number in range(ADDRESSES))

    def fail(number: int) -> None:
        detector.track_failed_login(next(addresses), f"user{number}@example.org")

    _milliseconds(fail, 500)  # connections are made, and half of the addresses are near their block
    print(f"| {name}, failed log-in | {_milliseconds(fail, calls)} |")
    print(f"| {name}, request | {_milliseconds(lambda number: blocks.refusal(next(addresses)), calls)} |")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table. Nothing is judged: the machine decides how long something takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--calls", type=int, default=5000, help="of each row (default: %(default)s)")
    calls = parser.parse_args(arguments).calls
    logging.disable(logging.CRITICAL)  # what attacks are told costs, too, but not each failure
    print("| milliseconds | median | p95 | p99 |\n|---|---:|---:|---:|")
    _measure("memory", MemoryStore(), calls)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(redis_server())
        _measure("Redis", RedisStore.from_url(server.url), calls)
        alias = stack.enter_context(django_detection_site.migrated(stack.enter_context(postgresql())))
        _measure("PostgreSQL", django_detection_site.empty_store(alias), calls)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
