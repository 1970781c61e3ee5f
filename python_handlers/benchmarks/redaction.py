"""``python -m benchmarks.redaction``: what the gate finds, what it changes without need, and what it costs."""

from __future__ import annotations

import argparse
import itertools
import logging
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from corpus import CARRIERS, all_items, leaks, ordinary_lines

from logbastion import EventFormatter
from logbastion.redaction.engine import standard_redactor

_LINES: Final = 5000
_EVENTS: Final = 2000
_SIZES: Final = (65536, 1048576)
_ADVERSARIES: Final = {
    "digits": "1 ",
    "@": "a@",
    "name=": "password=",
    "quotes": "password='",
    "percent": "%40",
    "plus": "a+",
    "markers": "[redacted:card:1111]",
    "prose": "password is ",
    "URL": "://a@",
    "JWT": "eyJaaaaaaaa.",
    "PEM": "-----BEGIN PRIVATE KEY-----",
    "IPv6": "2001:",
    "IBAN": "PT50 0002 ",
    "one word": "a",
    "backslashes": "\\",
    "entities": "&#64;",
    "SQL arguments": "; args=(",
    "options": " --password",
}


def _leaked(per_kind: int) -> tuple[int, Counter[str]]:
    """Return how many pairs of secret and carrier were written, and by kind how many have leaked."""
    written: list[bytes] = []
    formatter = EventFormatter()

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(formatter.format_bytes(record))

    logger = logging.getLogger("business.corpus")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(Collect())
    pairs, found = 0, Counter[str]()
    for item in all_items(per_kind=per_kind):
        for carrier in CARRIERS.values():
            if carrier.suits(item):
                written.clear()
                carrier.log(logger, item)
                pairs += 1
                found[item.kind] += bool(leaks(item, b"".join(written)))
    return pairs, +found


def _changed() -> list[str]:
    redact = standard_redactor().redact_text
    return [line for line in ordinary_lines(count=_LINES) if redact(line) != line]


def _microseconds(gate: Callable[[dict[str, Any]], object], rounds: int) -> list[float]:
    """Return what the gate takes for typical events of 300 bytes before the frame, no two of them the same."""
    formatter = EventFormatter(gate=lambda event: event)
    numbers = itertools.count()

    def event() -> dict[str, Any]:
        number = next(numbers)
        record = logging.LogRecord(
            "business.search", 20, "", 1, "Search for %s took %d ms", (f"maths{number}", 12), None
        )
        record.__dict__.update(
            user_id=number % 997, correlation_id=f"0190c5f0-7e4e-7bbb-8d2c-{number:012x}", event_type="user_search",
            path=f"/schools/{number % 50}/search", term=f"algebra {number}",
        )  # fmt: skip
        return formatter.event(record)

    times = []
    for made in [event() for _ in range(_EVENTS * rounds)]:
        begin = time.perf_counter()
        gate(made)
        times.append((time.perf_counter() - begin) * 1e6)
    return times


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; 1 when a secret leaks or more than 0.5 % of the ordinary lines are changed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.redaction", description=__doc__)
    parser.add_argument("--per-kind", type=int, default=108, help="secrets of each kind (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of the timings (default: %(default)s)")
    options = parser.parse_args(arguments)
    pairs, leaked = _leaked(options.per_kind)
    print(f"secrets in carriers: {pairs}, leaked: {leaked.total()} {dict(leaked) or ''}")
    changed = _changed()
    print(f"ordinary lines: {_LINES}, changed: {len(changed)} ({100 * len(changed) / _LINES:.2f} %)")
    times = _microseconds(standard_redactor(), options.rounds)
    print(
        f"gate on a typical event: median {statistics.median(times):.1f} us, "
        f"p99 {statistics.quantiles(times, n=100)[98]:.1f} us"
    )
    redact = standard_redactor().redact_text
    for name, unit in _ADVERSARIES.items():
        seconds = []
        for size in _SIZES:
            text = unit * (size // len(unit))
            begin = time.perf_counter()
            redact(text)
            seconds.append(time.perf_counter() - begin)
        ratio = seconds[1] / seconds[0] / (_SIZES[1] / _SIZES[0])
        print(f"1 MiB of {name}: {seconds[1]:.2f} s; for each byte {ratio:.2f} times that of 64 KiB")
    return 1 if leaked or len(changed) > 0.005 * _LINES else 0


if __name__ == "__main__":
    sys.exit(main())
