"""``python -m benchmarks.incidents``: what an ordinary line that is no incident costs, by the number of patterns."""

from __future__ import annotations

import argparse
import logging
import statistics
import time
from collections.abc import Sequence
from typing import Any, Final

from corpus import ordinary_lines

from logbastion.incidents import IncidentDetectionHandler, IncidentDetector, load_patterns

RUNS: Final = 7


def _entry(number: int) -> dict[str, Any]:
    word = f"{number:03d}"
    return {
        "id": f"own_{word}", "title": "Of a project", "severity": "LOW", "field": "text", "runbook": "None.",
        "pattern": f"service {word}.*refused (?:twice|again)", "positive": f"service {word} has refused again",
        "negative": "nothing",
    }  # fmt: skip


def _microseconds(handler: logging.Handler, records: Sequence[logging.LogRecord], passes: int) -> str:
    """Return the median and the worst of the runs, in processor time: waiting for other programs is not counted."""
    times = []
    for _ in range(RUNS):
        begin = time.process_time()
        for _ in range(passes):
            for record in records:
                handler.handle(record)
        times.append((time.process_time() - begin) / passes / len(records) * 1e6)
    return f"{statistics.median(times):.2f} | {max(times):.2f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table. Nothing is judged: the machine decides how long something takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents", description=__doc__)
    parser.add_argument("--passes", type=int, default=20, help="over the lines in each run (default: %(default)s)")
    passes = parser.parse_args(arguments).passes
    lines = list(dict.fromkeys(ordinary_lines()))
    print("| patterns | lines | characters of a line (mean) | microseconds a line (median) | worst run |")
    print("|---:|---:|---:|---:|---:|")
    for number in (10, 50, 100):
        patterns = load_patterns([_entry(one) for one in range(number - len(load_patterns()))])
        detector = IncidentDetector(patterns, threaded=False)
        records = [logging.LogRecord("school", logging.WARNING, "x", 1, line, (), None) for line in lines]
        records = [record for record in records if not detector.matcher.matches(record)]
        mean = statistics.mean(len(record.getMessage()) for record in records)
        cost = _microseconds(IncidentDetectionHandler(detector), records, passes)
        print(f"| {number} | {len(records)} | {mean:.0f} | {cost} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
