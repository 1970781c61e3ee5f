"""``python -m benchmarks.redaction``: what the gate finds, what it changes without need, and what it costs."""

from __future__ import annotations

import argparse
import itertools
import logging
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import red_team
from corpus import CARRIERS, Item, all_items, leaks, ordinary_lines

from benchmarks.adversaries import ADVERSARIES
from logbastion import EventFormatter, ShippingHandler, StreamFileHandler, TcpTransport
from logbastion.gate import Gate
from logbastion.redaction.engine import standard_redactor

Pair = tuple[Item, Callable[[logging.Logger], object]]
"""A secret, and one logging call that carries it."""
MakeHandler = Callable[[Path, Gate], logging.Handler]

_LINES: Final = 5000
_MOST_CHANGED: Final = 0.005
_EVENTS: Final = 2000
_QUICK_PER_KIND: Final = 32
_CARRIERS_EACH: Final = 15
_SIZES: Final = (65536, 1048576)


def pass_on(event: dict[str, Any]) -> dict[str, Any]:
    """Stand in the gate's place and do nothing."""
    return event


def _leaked(pairs: Iterable[Pair], leaks: Callable[[Item, bytes], object]) -> tuple[int, Counter[str]]:
    """Return how many pairs of secret and carrier were written, and by kind how many have leaked."""
    written: list[bytes] = []
    formatter = EventFormatter()

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(formatter.format_bytes(record))

    logger = logging.getLogger("business.corpus")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    handler = Collect()
    logger.addHandler(handler)
    count, found = 0, Counter[str]()
    for item, log in pairs:
        written.clear()
        log(logger)
        count += 1
        if leaks(item, b"".join(written)):
            found[item.kind] += 1
    logger.removeHandler(handler)
    return count, found


def _first_corpus(per_kind: int) -> Iterator[Pair]:
    for item in all_items(per_kind=per_kind):
        for carrier in CARRIERS.values():
            if carrier.suits(item):
                yield item, partial(_log, carrier.log, item)


def _log(log: Callable[[logging.Logger, Item], None], item: Item, logger: logging.Logger) -> None:
    log(logger, item)


def _second_corpus(per_kind: int) -> Iterator[Pair]:
    numbers = Counter[str]()
    for item in red_team.all_items(per_kind=per_kind):
        for _, log in red_team.some_carriers(item, numbers[item.kind], _CARRIERS_EACH):
            yield item, log
        numbers[item.kind] += 1


def _changed(lines: Sequence[str]) -> list[str]:
    redact = standard_redactor().redact_text
    return [line for line in lines if redact(line) != line]


def _fields(number: int) -> dict[str, Any]:
    return {
        "user_id": number % 997,
        "correlation_id": f"0190c5f0-7e4e-7bbb-8d2c-{number:012x}",
        "event_type": "user_search",
        "path": f"/schools/{number % 50}/search",
        "term": f"algebra {number}",
    }


def _microseconds(gate: Gate, rounds: int) -> list[float]:
    """Return what the gate takes for typical events of 300 bytes before the frame, no two of them the same."""
    formatter = EventFormatter(gate=pass_on)

    def event(number: int) -> dict[str, Any]:
        record = logging.LogRecord(
            "business.search", 20, "", 1, "Search for %s took %d ms", (f"maths{number}", 12), None
        )
        record.__dict__.update(_fields(number))
        return formatter.event(record)

    times = []
    for made in [event(number) for number in range(_EVENTS * rounds)]:
        begin = time.perf_counter()
        gate(made)
        times.append((time.perf_counter() - begin) * 1e6)
    return times


def _whole_calls(make: MakeHandler, rounds: int) -> list[tuple[float, float]]:
    """Return for each round the medians of a logging call with the gate and with nothing in its place, in us.

    Both loggers are in this process and are called in turns, the other one first at each event.
    """
    with tempfile.TemporaryDirectory() as directory:
        loggers = []
        for name, gate in (("gate", standard_redactor()), ("none", pass_on)):
            logger = logging.getLogger(f"business.{name}")
            logger.setLevel(logging.INFO)
            logger.propagate = False
            where = Path(directory, name)
            where.mkdir(mode=0o750)
            handler = make(where, gate)
            logger.addHandler(handler)
            loggers.append((logger, handler))
        medians = []
        numbers = itertools.count()
        for _ in range(rounds):
            times: tuple[list[float], list[float]] = ([], [])
            for number in itertools.islice(numbers, _EVENTS):
                fields = _fields(number)
                for place in (0, 1) if number % 2 else (1, 0):
                    begin = time.perf_counter()
                    loggers[place][0].info("Search for %s took %d ms", f"maths{number}", 12, extra=fields)
                    times[place].append((time.perf_counter() - begin) * 1e6)
            medians.append((statistics.median(times[0]), statistics.median(times[1])))
        for logger, handler in loggers:
            logger.removeHandler(handler)
            handler.close()
    return medians


def _to_file(directory: Path, gate: Gate) -> logging.Handler:
    handler = StreamFileHandler(directory)
    handler.setFormatter(EventFormatter(gate=gate))
    return handler


def _to_spool(directory: Path, gate: Gate) -> logging.Handler:
    # Nobody listens there, so the calls have the machine for themselves.
    return ShippingHandler(TcpTransport("127.0.0.1:1"), spool_directory=directory, exit_timeout=0, gate=gate)


def share(medians: Sequence[tuple[float, float]]) -> str:
    """Return what part of a call the gate takes, with the least and the largest of the rounds."""
    shares = [100 * (with_gate - without) / with_gate for with_gate, without in medians]
    with_gate, without = (statistics.median(column) for column in zip(*medians, strict=True))
    return (
        f"{with_gate:.1f} us with the gate, {without:.1f} us without: "
        f"share of the gate {statistics.median(shares):.0f} % ({min(shares):.0f} to {max(shares):.0f} %)"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 when a secret leaks or more than 0.5 % of the ordinary lines are changed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redaction", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=108, help="secrets of each kind (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of the timings (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="fewer secrets of each kind, no texts of 1 MiB")
    options = parser.parse_args(arguments)
    if options.quick:
        options.per_kind = min(options.per_kind, _QUICK_PER_KIND)
    failed = False
    for name, pairs, its_leaks, lines in (
        ("corpus", _first_corpus(options.per_kind), leaks, ordinary_lines(count=_LINES)),
        ("red team", _second_corpus(options.per_kind), red_team.leaks, red_team.ordinary_lines(count=_LINES)),
    ):
        count, leaked = _leaked(pairs, its_leaks)
        print(f"{name}: secrets in carriers: {count}, leaked: {leaked.total()} {dict(leaked) or ''}")
        changed = len(_changed(lines))
        print(f"{name}: ordinary lines: {_LINES}, changed: {changed} ({100 * changed / _LINES:.2f} %)")
        failed |= bool(leaked) or changed > _MOST_CHANGED * _LINES
    times = _microseconds(standard_redactor(), options.rounds)
    print(
        f"gate on a typical event: median {statistics.median(times):.1f} us, "
        f"p99 {statistics.quantiles(times, n=100)[98]:.1f} us"
    )
    for written, make in {"a file": _to_file, "the spool": _to_spool}.items():
        print(f"logging call into {written}: {share(_whole_calls(make, options.rounds))}")
    if not options.quick:
        _print_adversaries()
    return 1 if failed else 0


def _print_adversaries() -> None:
    """Print that the time grows in proportion to the length of a text."""
    redact = standard_redactor().redact_text
    for name, unit in ADVERSARIES.items():
        seconds = []
        for size in _SIZES:
            text = unit * (size // len(unit))
            begin = time.process_time()  # other programs do not count
            redact(text)
            seconds.append(time.process_time() - begin)
        ratio = seconds[1] / seconds[0] / (_SIZES[1] / _SIZES[0])
        print(f"1 MiB of {name}: {seconds[1]:.2f} s; for each byte {ratio:.2f} times that of 64 KiB")


if __name__ == "__main__":
    sys.exit(main())
