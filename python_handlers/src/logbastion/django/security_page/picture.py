"""Counts over time as a drawing that the server makes: bars in an SVG, with words for those who do not see them."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Any, Final

from logbastion.security_log import Query
from logbastion.security_log.query import Bar

WIDTH: Final = 960
HEIGHT: Final = 204
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 952, 14, 156
_GAP: Final = 0.2
_DAY: Final = 86_400
_TICKS: Final = 4


@dataclass(frozen=True)
class Rectangle:
    """A bar; all numbers are texts, so that no locale writes them with a comma."""

    x: str
    y: str
    width: str
    height: str
    severe_y: str
    severe_height: str
    label: str


def picture_of(query: Query, bars: list[Bar]) -> dict[str, Any]:
    """Return what the template draws.

    Args:
        query: whose answer it is.
        bars: one for each step of the time.

    """
    most = max((bar.events for bar in bars), default=0)
    top = _round_up(most)
    width = (_RIGHT - _LEFT) / max(1, len(bars))
    step = query.step_seconds
    named = [(_when(bar.begin, step), bar) for bar in bars]
    busiest = max(bars, key=lambda bar: bar.events, default=None)
    return {
        "width": str(WIDTH),
        "height": str(HEIGHT),
        "left": str(_LEFT),
        "right": str(_RIGHT),
        "bottom": str(_BOTTOM),
        "legend_y": str(HEIGHT - 12),
        "rectangles": [
            _rectangle(number, bar, label, width, top) for number, (label, bar) in enumerate(named) if bar.events
        ],
        "lines": [
            {"y": _number(_BOTTOM - (_BOTTOM - _TOP) * share), "text": str(round(top * share))}
            for share in ((0, 0.5, 1) if top > 1 else (0, 1))
        ],
        "ticks": _ticks(named, width),
        "rows": [{"label": label, "events": bar.events, "severe": bar.severe} for label, bar in named if bar.events],
        "step": _length(step),
        "description": (
            f"{sum(bar.events for bar in bars)} events, {sum(bar.severe for bar in bars)} of them at WARNING or above. "
            + (
                f"Most of them, {busiest.events}, in the {_length(step)} from {_when(busiest.begin, step)} UTC."
                if busiest is not None and busiest.events
                else "There is nothing to draw."
            )
        ),
    }


def _rectangle(number: int, bar: Bar, label: str, width: float, top: int) -> Rectangle:
    height, severe = ((_BOTTOM - _TOP) * count / top for count in (bar.events, bar.severe))
    return Rectangle(
        x=_number(_LEFT + width * (number + _GAP / 2)),
        y=_number(_BOTTOM - height),
        width=_number(width * (1 - _GAP)),
        height=_number(height),
        severe_y=_number(_BOTTOM - severe),
        severe_height=_number(severe),
        label=f"{label} UTC: {bar.events} events, {bar.severe} at WARNING or above",
    )


def _ticks(named: list[tuple[str, Bar]], width: float) -> list[dict[str, str]]:
    every = max(1, math.ceil(len(named) / _TICKS))
    return [
        {"x": _number(_LEFT + width * number), "text": label, "y": str(_BOTTOM + 16)}
        for number, (label, _) in enumerate(named)
        if number % every == 0
    ]


def _round_up(most: int) -> int:
    """Return the end of the axis: 1, 2 or 5 with zeros, even where it can be."""
    if most <= 1:
        return 1
    power = 10 ** math.floor(math.log10(most))
    return next(int(power * factor) for factor in (1, 2, 4, 6, 8, 10) if power * factor >= most)


def _when(second: int, step: int) -> str:
    moment = datetime.datetime.fromtimestamp(second, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%d" if step >= _DAY else "%Y-%m-%d %H:%M")


def _length(step: int) -> str:
    for seconds, name in ((_DAY, "day"), (3600, "hour"), (60, "minute")):
        if step % seconds == 0:
            return f"{step // seconds} {name}s" if step > seconds else name
    return f"{step} seconds"


def _number(value: float) -> str:
    return f"{value:.2f}"
