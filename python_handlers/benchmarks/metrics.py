"""``python -m benchmarks.metrics``: what counting one log record and one request costs, and what a scrape takes.

Everything is in multiprocess mode, as under gunicorn: each worker is a process that counts into files of its own.
Times are those of the processor, so that what else runs on the machine disturbs them less.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from prometheus_client import Counter

from logbastion import PrometheusLoggingHandler
from logbastion.metric_files import bury
from logbastion.metrics import scrape
from logbastion.request_metrics import MAX_ROUTES, count_request, know_routes
from logbastion.shipping.status import ShippingCounts
from logbastion.shipping_metrics import ShippingMetrics

LOGGERS: Final = 50
ROUTES: Final = 20
WORKERS: Final = 8
_CALLS: Final = 20_000
_SCRAPES: Final = 40


def _logger_names() -> list[str]:
    return [f"school.part{number}" for number in range(LOGGERS)]


def _routes(number: int) -> list[str]:
    return [f"/schools/<int:school_id>/part{index}/" for index in range(number)]


def _count_all(routes: int) -> None:
    """Count in every series that a busy worker has: each logger and level, each route with four outcomes."""
    handler = PrometheusLoggingHandler(known_loggers=_logger_names())
    know_routes(_routes(routes))
    for name, level in itertools.product(_logger_names(), (10, 20, 30, 40, 50)):
        handler.handle(logging.LogRecord(name, level, "", 1, "m", (), None))
    for route, method, status in itertools.product(_routes(routes), ("GET", "POST"), (200, 302, 404, 500)):
        count_request(method, route, status, 0.2)
    ShippingMetrics()(ShippingCounts(queued=1))


def _microseconds(call: Callable[[], object], rounds: int) -> str:
    """Return median and worst of the rounds' means: a single call is shorter than the clock's own cost."""
    means = []
    for _ in range(rounds):
        gc.collect()
        begin = time.process_time()
        for _ in range(_CALLS):
            call()
        means.append((time.process_time() - begin) / _CALLS * 1e6)
    return f"{statistics.median(means):.2f} | {max(means):.2f}"


def _record(name: str, level: int, **extra: Any) -> logging.LogRecord:
    record = logging.LogRecord(name, level, "", 1, "m", (), None)
    record.__dict__.update(extra)
    return record


def _counting(rounds: int) -> None:
    handler = PrometheusLoggingHandler(known_loggers=_logger_names())
    records = itertools.cycle([_record(name, level) for name in _logger_names() for level in (20, 40)])
    failed = _record("accounts.auth", 30, event_type="authentication_attempt", success=False)
    request = _record("performance", 20, event_type="http_request", duration_ms=120.0)
    routes = itertools.cycle(_routes(ROUTES))
    print("| counting, microseconds | median | worst round |\n|---|---:|---:|")
    counter = Counter("benchmark_total", "One counter")
    for what, call in (
        ("prometheus-client's `inc()` alone", counter.inc),
        ("a log record (50 loggers in turn)", lambda: handler.handle(next(records))),
        ("a failed log-in (a security event, too)", lambda: handler.handle(failed)),
        ("the event of a request (a duration, too)", lambda: handler.handle(request)),
        ("a request by route", lambda: count_request("GET", next(routes), 200, 0.12)),
    ):
        print(f"| {what} | {_microseconds(call, rounds)} |")


def _scraping() -> None:
    times, body = [], b""
    scrape()
    for _ in range(_SCRAPES):
        begin = time.process_time()
        body, _ = scrape()
        times.append((time.process_time() - begin) * 1e3)
    series = sum(not line.startswith(b"#") for line in body.splitlines())
    print(
        f"{series} | {statistics.median(times):.1f} | {statistics.quantiles(times, n=20)[18]:.1f} | {max(times):.1f} |"
    )


def _bury_all(directory: str, before: set[str]) -> None:
    for pid in {int(name.rpartition("_")[2].removesuffix(".db")) for name in set(os.listdir(directory)) - before}:
        bury(directory, pid)


def _run(part: str, directory: str, *, rounds: int = 1, routes: int = ROUTES, quiet: bool = False) -> None:
    """Run a part in a process of its own: prometheus-client decides when it is imported how it counts."""
    command = [sys.executable, "-m", "benchmarks.metrics", "--part", part, "--rounds", str(rounds)]
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": directory}
    subprocess.run(  # noqa: S603 - this program itself
        [*command, "--routes", str(routes)], check=True, env=environment, stdout=subprocess.DEVNULL if quiet else None
    )


def _workers(directory: str, number: int, routes: int) -> None:
    for _ in range(number):
        _run("worker", directory, routes=routes, quiet=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print two tables. Nothing is judged: the machine decides how long something takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="of the timings of counting (default: %(default)s)")
    parser.add_argument("--part", choices=("worker", "counting", "scraping"), help=argparse.SUPPRESS)
    parser.add_argument("--routes", type=int, default=ROUTES, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part == "worker":
        _count_all(options.routes)
    elif options.part == "counting":
        _counting(options.rounds)
    elif options.part == "scraping":
        _scraping()
    else:
        _tables(options.rounds)
    return 0


def _tables(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        _run("counting", directory, rounds=rounds)
    print(f"\n| a scrape, {WORKERS} workers, {LOGGERS} loggers, milliseconds | series | median | p95 | worst |")
    print("|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as directory:
        _workers(directory, WORKERS, ROUTES)
        living = set(os.listdir(directory))
        print(f"| {ROUTES} routes | ", end="", flush=True)
        _run("scraping", directory)
        _workers(directory, WORKERS, ROUTES)
        print(f"| {ROUTES} routes, files of {WORKERS} dead workers beside them | ", end="", flush=True)
        _run("scraping", directory)
        _bury_all(directory, living | {"error_rate.json", "logbastion.lock"})
        print(f"| {ROUTES} routes, the dead added up by `child_exit` | ", end="", flush=True)
        _run("scraping", directory)
    with tempfile.TemporaryDirectory() as directory:
        _workers(directory, WORKERS, MAX_ROUTES)
        print(f"| {MAX_ROUTES} routes, which is the most | ", end="", flush=True)
        _run("scraping", directory)


if __name__ == "__main__":
    raise SystemExit(main())
