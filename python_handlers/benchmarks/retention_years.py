"""Draws how much room the log files of 2600 simulated days take, in the directory and in the archive.

Run it by ``make retention-picture``; it takes 6 to 8 minutes. The nights: ``tests/test_retention_years.py``.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from retention_years import STREAMS, Night, Years

LINES: Final = {"security": 60, "audit": 60, "application": 400, "performance": 200, "debug": 300}
COLOURS: Final = dict(zip(STREAMS, ("#b3261e", "#6750a4", "#1a73e8", "#188038", "#5f6368"), strict=True))
WORDS: Final = [
    "request",
    "answered",
    "student",
    "school",
    "lesson",
    "booked",
    "payment",
    "taken",
    "slow",
    "query",
    "template",
    "rendered",
    "saved",
]
# Audit lives like security: where the lines lie upon each other, both are seen.
DASHES: Final = {"audit": ' stroke-dasharray="9 9"'}
WIDTH, HEIGHT, LEFT, TOP, GAP = 760, 230, 70, 46, 76
LEGEND_WIDTH, LEGEND_COLUMNS = 250, 3


def lines(stream: str, day: int) -> list[str]:
    """Return texts that compress about as log lines do: the same words, and identifiers that are never the same."""
    made = random.Random(f"{stream} {day}")  # noqa: S311 - not for secrets
    return [f"{' '.join(made.choices(WORDS, k=12))} {made.getrandbits(128):032x}" for _ in range(LINES[stream])]


def by_stream(sizes: dict[str, int]) -> dict[str, int]:
    """Return the bytes of each stream."""
    return {stream: sum(size for base, size in sizes.items() if base.startswith(f"{stream}.")) for stream in STREAMS}


def drawn(nights: list[tuple[int, dict[str, int], dict[str, int]]]) -> str:
    """Return the picture: two panels with a line for each stream."""
    last = nights[-1][0]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + LEFT + 30} {2 * (HEIGHT + GAP) + 66}" '
        'font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for panel, title in ((1, "Log directory"), (2, "Archive and backups")):
        top = TOP + (panel - 1) * (HEIGHT + GAP)
        highest = max(max(night[panel].values()) for night in nights) or 1
        parts.append(f'<text x="{LEFT}" y="{top - 14}" font-weight="bold">{escape(title)}, KiB by stream</text>')
        for step in range(5):
            y = top + HEIGHT - step * HEIGHT / 4
            parts.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}" stroke="#dadce0"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{highest * step / 4 / 1024:.0f}</text>')
        for days in range(0, last + 2, 365):
            x = LEFT + WIDTH * days / (last + 1)
            parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + HEIGHT}" stroke="#eeeeee"/>')
            parts.append(f'<text x="{x:.1f}" y="{top + HEIGHT + 18}" text-anchor="middle">{days} d</text>')
        for stream in STREAMS:
            points = " ".join(
                f"{LEFT + WIDTH * night[0] / (last + 1):.1f},{top + HEIGHT * (1 - night[panel][stream] / highest):.1f}"
                for night in nights
            )
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{COLOURS[stream]}" stroke-width="1.8"'
                f"{DASHES.get(stream, '')}/>"
            )
    for number, stream in enumerate(STREAMS):
        row, column = divmod(number, LEGEND_COLUMNS)
        x, y = LEFT + column * LEGEND_WIDTH, 2 * (HEIGHT + GAP) + 22 + 22 * row
        parts.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{COLOURS[stream]}"/>')
        parts.append(f'<text x="{x + 18}" y="{y}">{stream}, {LINES[stream]} lines a day</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def main() -> None:
    """Live through the days and draw them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=2600)
    parser.add_argument("--output", type=Path, required=True, help="the picture, SVG")
    arguments = parser.parse_args()
    os.fsync = lambda descriptor: None  # type: ignore[assignment]  # a simulation need not wait for the disk
    with tempfile.TemporaryDirectory() as place:
        nights = []
        for night in Years(Path(place), lines).nights(arguments.days, every=5):
            nights.append((night.day, by_stream(night.local), by_stream(_outside(night))))
            if not (night.day + 1) % 100:
                print(f"{night.day + 1} of {arguments.days} days", flush=True)
    arguments.output.write_text(drawn(nights), encoding="utf-8")


def _outside(night: Night) -> dict[str, int]:
    return {
        base: night.archived.get(base, 0) + night.backed_up.get(base, 0) for base in {*night.archived, *night.backed_up}
    }


if __name__ == "__main__":
    main()
