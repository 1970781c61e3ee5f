"""Draws a dashboard as a picture from the answers of Elasticsearch: what is where, and what one reads off it. It does not imitate Kibana."""

import datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from tests.dashboards import saved_objects
from tests.dashboards.answers import Answers
from tests.dashboards.checks import COLUMNS
from tests.dashboards.lens import Panel

NOTICE: Final = "Preview, drawn from the example's data; not a picture of Kibana."
_WIDTH: Final = 12.0
_COLUMN, _ROW = _WIDTH / COLUMNS, 0.215
_HEAD: Final = 0.75
_TITLE: Final = 0.3
_GAP: Final = 0.05
_LINE: Final = 0.185
_TEXT, _QUIET, _FRAME = "#1F2933", "#5F6B7A", "#D5DAE1"
_HUES: Final = ("#274C77", "#6096BA", "#A3CEF1", "#8D99AE", "#C9D1DC", "#51606F", "#B8C4D0", "#DDE3EA")
"""One hue in steps, and greys: as the dashboards ask Kibana for its cool palette."""


def draw(
    dashboard: dict[str, Any], objects: list[dict[str, Any]], answers: Answers, file: Path, chosen: str = ""
) -> None:
    """Write the picture of a dashboard as PNG, 1200 pixels wide; `chosen` is the filter that the answers have."""
    panels = saved_objects.panels(dashboard)
    rows = max(panel["gridData"]["y"] + panel["gridData"]["h"] for panel in panels)
    height = rows * _ROW + _HEAD
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 8, "text.color": _TEXT})
    figure = Figure(figsize=(_WIDTH, height), dpi=100, facecolor="#F5F7FA")
    _write(figure, 0.15, 0.3, dashboard["attributes"]["title"], size=13, weight="bold")
    _write(figure, 0.15, 0.58, dashboard["attributes"]["description"], size=9, color=_QUIET)
    _write(figure, _WIDTH - 0.15, 0.3, NOTICE, size=8.5, color="#8A3B12", align="right")
    labels = [one["explicitInput"]["title"] for one in saved_objects.controls(dashboard).values()]
    since = dashboard["attributes"]["timeFrom"].removeprefix("now-")
    chips = [chosen] if chosen else []
    text = "   ".join([*chips, *(f"{label}: any ▾" for label in labels), f"Time: last {since} ▾"])
    _write(figure, _WIDTH - 0.15, 0.58, text, size=8.5, color=_QUIET, align="right")
    for panel in panels:
        _draw_panel(figure, dashboard, panel, objects, answers)
    figure.savefig(file, metadata={"Description": NOTICE, "Software": None})


def _write(figure: Figure, x: float, y: float, text: str, *, size: float, color: str = _TEXT, weight: str = "normal", align: str = "left") -> None:  # fmt: skip
    """Write at a place in inches from the left and from the top."""
    width, height = figure.get_size_inches()
    # A dollar would begin a formula.
    shown = text.replace("$", r"\$")
    figure.text(
        x / width, 1 - y / height, shown, fontsize=size, color=color, fontweight=weight, ha=align, va="baseline"
    )


def _draw_panel(
    figure: Figure, dashboard: dict[str, Any], panel: dict[str, Any], objects: list[dict[str, Any]], answers: Answers
) -> None:
    grid = panel["gridData"]
    left, top = grid["x"] * _COLUMN + _GAP, grid["y"] * _ROW + _HEAD + _GAP
    width, height = grid["w"] * _COLUMN - 2 * _GAP, grid["h"] * _ROW - 2 * _GAP
    whole = figure.get_size_inches()[1]
    box = (left / _WIDTH, 1 - (top + height) / whole, width / _WIDTH, height / whole)
    figure.add_artist(
        Rectangle(
            box[:2],
            box[2],
            box[3],
            transform=figure.transFigure,
            facecolor="white",
            edgecolor=_FRAME,
            lw=0.8,
            zorder=-1,
        )
    )
    if panel["type"] == "links":
        links = [link["label"] for link in panel["embeddableConfig"]["attributes"]["links"]]
        _write(figure, left + 0.12, top + height / 2 + 0.04, "     ".join(links), size=9, color="#274C77")
        return
    _write(figure, left + 0.1, top + 0.21, _fitting(panel["title"], width - 0.2, 8.6, 0.66), size=8.6, weight="bold")
    area = (left, top + _TITLE, width, height - _TITLE)
    if panel["type"] == "search":
        name = saved_objects.target(dashboard, f"{panel['panelIndex']}:{panel['panelRefName']}")
        search = next(one for one in saved_objects.of_kind(objects, "search") if one["id"] == name)
        _documents(figure, area, search, answers)
        return
    made, view = saved_objects.lens_panel(dashboard, panel)
    table = answers.rows(made, view)
    if made.kind == "lnsMetric":
        _number(figure, area, made, table[0])
    elif made.kind == "lnsDatatable":
        headings = [made.columns[name]["label"] for name in made.shown()]
        cells = [[shown(row[name], made.columns[name]) for name in made.shown()] for row in table]
        _table(figure, area, headings, cells, len(made.buckets))
    else:
        _plot(figure, area, made, table)


def shown(value: object, column: dict[str, Any]) -> str:
    """Return a value as the column's format says."""
    form = column["params"].get("format", {"id": "", "params": {}})
    if value is None or not isinstance(value, (int, float)) or not form["id"]:
        return "-" if value is None else str(value)
    decimals, suffix = form["params"].get("decimals", 0), form["params"].get("suffix", "")
    if form["id"] == "percent":
        return f"{100 * value:.{decimals}f} %"
    return f"{value:,.{decimals}f}{suffix}".replace(",", "\N{THIN SPACE}")


def _number(figure: Figure, area: tuple[float, float, float, float], panel: Panel, row: dict[str, Any]) -> None:
    left, top, _, height = area
    first, *others = panel.shown()
    colour = panel.visualization["color"]
    middle = top + height / 2 + 0.1
    _write(figure, left + 0.1, middle, shown(row[first], panel.columns[first]), size=21, color=colour, weight="bold")
    words = [panel.columns[first]["label"]]
    words += [f"{shown(row[name], panel.columns[name])} {panel.columns[name]['label']}" for name in others]
    _write(figure, left + 0.1, middle + 0.22, ", ".join(words), size=8, color=_QUIET)


def _fitting(text: str, width: float, size: float, letter: float = 0.58) -> str:
    """Cut a text to a width in inches; a letter is about 0.58 of its size wide, a bold one 0.66."""
    room = max(3, int(width * 72 / (letter * size)))
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _table(
    figure: Figure, area: tuple[float, float, float, float], headings: list[str], cells: list[list[str]], words: int
) -> None:
    """Write a table; columns are as wide as their longest text asks, the first `words` of them to the left."""
    left, top, width, height = area
    room = max(1, int((height - 0.2) / _LINE) - 1)
    longest = [
        min(34, max(len(heading), *(len(line[number]) for line in cells[:room]), 3))
        for number, heading in enumerate(headings)
    ]
    share = (width - 0.2) / sum(length + 2 for length in longest)
    for number, heading in enumerate(headings):
        before = left + 0.1 + share * sum(length + 2 for length in longest[:number])
        wide = share * (longest[number] + 2)
        right = number >= words
        place = before + wide - 0.1 if right else before
        align = "right" if right else "left"
        _write(figure, place, top + 0.14, _fitting(heading, wide, 7.6), size=7.6, color=_QUIET, align=align)
        for line, row in enumerate(cells[:room]):
            text = _fitting(row[number], wide - 0.05, 7.6)
            _write(figure, place, top + 0.14 + (line + 1) * _LINE, text, size=7.6, align=align)


def _documents(
    figure: Figure, area: tuple[float, float, float, float], search: dict[str, Any], answers: Answers
) -> None:
    columns = ["@timestamp", *search["attributes"]["columns"]]
    found = answers.newest(search, 30)
    cells = [[_of(document, name) for name in columns] for document in found]
    _table(figure, area, columns, cells, len(columns))


def _of(document: dict[str, Any], name: str) -> str:
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if name == "@timestamp" and isinstance(value, str):
        return value[5:19].replace("T", " ")
    return "-" if value is None else str(value)


def _plot(figure: Figure, area: tuple[float, float, float, float], panel: Panel, table: list[dict[str, Any]]) -> None:
    left, top, width, height = area
    inches = figure.get_size_inches()[1]
    (layer,) = panel.visualization["layers"]
    along, split = layer["xAccessor"], layer.get("splitAccessor")
    ranking = layer["seriesType"] == "bar_horizontal"
    margin = 1.75 if ranking else 0.5
    axes = figure.add_axes(
        ((left + margin) / _WIDTH, 1 - (top + height - 0.3) / inches, (width - margin - 0.45) / _WIDTH, (height - 0.62) / inches)
    )  # fmt: skip
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_FRAME)
    axes.tick_params(colors=_QUIET, labelsize=7, length=0)
    if ranking:
        _ranking(axes, panel, along, table)
        return
    axes.grid(visible=True, axis="y", color="#EDF0F4", lw=0.8)
    axes.set_axisbelow(True)
    whole_numbers = all(float(number).is_integer() for number in _series_values(panel, table))
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=whole_numbers))
    _in_time(axes, panel, along, split, table, lines=layer["seriesType"] == "line")
    handles, _ = axes.get_legend_handles_labels()
    if len(handles) > 1:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=7, handlelength=1, borderpad=0
        )
    else:
        axes.set_title(panel.columns[panel.values[0]]["label"], fontsize=7, color=_QUIET, loc="left", pad=3)


def _series_values(panel: Panel, table: list[dict[str, Any]]) -> list[float]:
    return [row[name] for row in table for name in panel.values if row[name] is not None]


def _ranking(axes: Axes, panel: Panel, along: str, table: list[dict[str, Any]]) -> None:
    (value, *_) = panel.values
    (layer,) = panel.visualization["layers"]
    colour = layer["yConfig"][0]["color"]
    names = [_fitting(str(row[along]), 1.6, 7.5) for row in table]
    numbers = [row[value] or 0 for row in table]
    places = range(len(names))
    axes.barh(places, numbers, color=colour, height=0.62)
    axes.set_yticks(places, names, color=_TEXT, fontsize=7.5)
    axes.set_ylim(max(len(names), 3) - 0.4, -0.6)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_xlabel(panel.columns[value]["label"], fontsize=7, color=_QUIET, loc="left")
    for place, number in zip(places, numbers, strict=True):
        axes.annotate(
            shown(number, panel.columns[value]), (number, place), xytext=(3, 0), textcoords="offset points",
            va="center", fontsize=7.5, color=_TEXT,
        )  # fmt: skip


def _in_time(
    axes: Axes, panel: Panel, along: str, split: str | None, table: list[dict[str, Any]], *, lines: bool
) -> None:
    moments = sorted({row[along] for row in table})
    when = [datetime.datetime.fromtimestamp(moment / 1000, datetime.UTC) for moment in moments]
    (layer,) = panel.visualization["layers"]
    series: list[tuple[str, str, dict[int, float]]] = []
    if split:
        for number, name in enumerate(dict.fromkeys(row[split] for row in table)):
            values = {row[along]: row[panel.values[0]] for row in table if row[split] == name}
            series.append((str(name), _HUES[number % len(_HUES)], values))
    else:
        colours = {one["forAccessor"]: one["color"] for one in layer["yConfig"]}
        for name in panel.values:
            series.append((panel.columns[name]["label"], colours[name], {row[along]: row[name] for row in table}))
    below = [0.0] * len(moments)
    for name, colour, values in series:
        numbers = [values.get(moment) for moment in moments]
        if lines:
            known = [(at, number) for at, number in zip(when, numbers, strict=True) if number is not None]
            axes.plot([at for at, _ in known], [number for _, number in known], color=colour, lw=1.5, label=name)
        else:
            heights = [number or 0.0 for number in numbers]
            axes.bar(when, heights, bottom=below, width=0.8 / 48, color=colour, label=name)
            below = [low + high for low, high in zip(below, heights, strict=True)]
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(dates.AutoDateLocator(minticks=3, maxticks=7))
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M"))
