"""The tables that a run prints, and the sentences on promises that were not kept."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, Final

from benchmarks.shipping.setups import SETUPS

Results = dict[str, dict[str, list[dict[str, Any]]]]
"""Set-up, measure, one entry a round."""

_SPEED: Final = (
    ("caller burst us\nmedian / p99 / max", "flow", "caller_us"),
    ("caller at 1 000/s us\nmedian / p99 / max", "paced", "caller_us"),
    ("CPU us\nan event", "flow", "cpu_us"),
    ("events/s\nend to end", "flow", "events_per_second"),
    ("ours is so many\ntimes as fast", "flow", "times"),
    ("lost in\nthe burst", "flow", "lost"),
    ("MiB above\nidle", "flow", "memory_mib"),
)
_TROUBLE: Final = (
    ("outage:\nlost of", "outage", "lost"),
    ("drained\nafter s", "outage", "drained_after_s"),
    ("caller\nmax us", "outage", "maximum"),
    ("MiB above\nidle", "outage", "memory_mib"),
    ("stall:\nlost of", "stall", "lost"),
    ("caller\nmax us", "stall", "maximum"),
    ("kill -9, sink up:\nlost of", "kill", "lost"),
    ("sink down:\nlost of", "kill_down", "lost"),
    ("exit, sink\ndown s", "exit", "exit_s"),
    ("lost of", "exit", "lost"),
    ("fork: child\ngot of 100", "fork", "child_arrived"),
    ("doubled", "fork", "doubled"),
)


def _number(value: float) -> str:
    if isinstance(value, int) or abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.1f}"


def _median(values: Iterable[float | None]) -> str:
    present = [value for value in values if value is not None]
    return _number(statistics.median(present)) if present else "-"


def _cell(rounds: Sequence[dict[str, Any]], figure: str) -> str:
    rounds = [one for one in rounds if "failed" not in one]
    if not rounds or (figure in ("lost", "doubled") and "lost" not in rounds[0]):
        return "-"
    if figure == "caller_us":
        keys = ("median", "p99", "maximum")
        return " / ".join(_median(one["caller_us"].get(key) for one in rounds) for key in keys)
    if figure == "maximum":
        return _number(max(one["caller_us"]["maximum"] for one in rounds))
    if figure == "doubled":
        return _number(sum(one["doubled"] for one in rounds))
    return _losses(rounds) if figure == "lost" else _median(one.get(figure) for one in rounds)


def _losses(rounds: Sequence[dict[str, Any]]) -> str:
    """Return losses and doubles of all rounds: they are added up, never averaged away."""
    lost, events, doubled = (sum(one[key] for one in rounds) for key in ("lost", "events", "doubled"))
    late = "+" if any(one["unfinished"] for one in rounds) else ""
    return f"{_number(lost)}{late} / {_number(events)}" + (f" ({_number(doubled)} twice)" if doubled else "")


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    lines = []
    split = [[cell.split("\n") for cell in row] for row in rows]
    widths = [max(len(line) for cell in column for line in cell) for column in zip(*split, strict=True)]
    for index, row in enumerate(split):
        for level in range(max(len(cell) for cell in row)):
            texts = [cell[level] if level < len(cell) else "" for cell in row]
            aligned = [
                text.ljust(w) if at == 0 else text.rjust(w)
                for at, (text, w) in enumerate(zip(texts, widths, strict=True))
            ]
            lines.append("  ".join(aligned).rstrip())
        if index == 0:
            lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)


def _in_markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("\n", "<br>") for cell in row) + " |" for row in rows]
    lines.insert(1, "|---|" + "---:|" * (len(rows[0]) - 1))
    return "\n".join(lines)


def _compared(results: Results) -> Results:
    """Add to each round of the measure ``flow`` how many times as fast the set-up ``ours`` was in the same round."""
    ours = [one.get("events_per_second") for one in results.get("ours", {}).get("flow", [])]
    compared: Results = {}
    for name, measures in results.items():
        rounds = measures.get("flow", [])
        times = [
            {**one, "times": mine / one["events_per_second"]} if mine and one.get("events_per_second") else one
            for one, mine in zip(rounds, ours, strict=False)
        ]
        compared[name] = {**measures, **({"flow": [*times, *rounds[len(times) :]]} if rounds else {})}
    return compared


def table(results: Results, *, markdown: bool = False) -> str:
    """Return the tables; a value is the median of its rounds, losses and doubles are the sum of all.

    Args:
        results: of a run.
        markdown: whether they are for a document and not for a terminal.

    """
    parts = []
    results = _compared(results)
    for columns in (_SPEED, _TROUBLE):
        used = [column for column in columns if any(column[1] in measures for measures in results.values())]
        if not used:
            continue
        rows = [["", *(title for title, _, _ in used)]]
        for name, measures in results.items():
            title = SETUPS[name].title + ("" if SETUPS[name].tls or not SETUPS[name].patience else " (plain)")
            rows.append([title, *(_cell(measures.get(measure, []), figure) for _, measure, figure in used)])
        parts.append(_in_markdown(rows) if markdown else _aligned(rows))
    notes = (
        '"plain": cannot speak TLS, measured in clear on loopback; all others over TLS.\n'
        '"lost of": of the events whose logging call had returned; after kill -9 and exit, a successor of the process\n'
        'was started where it had ended. "twice": received more than once. "+": the time was over, more may have come.'
    )
    return "\n\n".join([*parts, notes])


def broken_promises(results: Results) -> list[str]:
    """Return a sentence for each thing that a set-up promises and that did not happen."""
    sentences = []
    for name, measures in results.items():
        for measure, rounds in measures.items():
            for one in rounds:
                if "failed" in one:
                    sentences.append(f"{name}, {measure}: {one['failed']}")
                    continue
                if one.get("not_json"):
                    sentences.append(f"{name}, {measure}: {one['not_json']} of the lines looked at were not JSON.")
                if measure not in SETUPS[name].keeps:
                    continue
                if one["lost"]:
                    rest = ", and more were still coming" if one["unfinished"] else ""
                    sentences.append(
                        f"{name}, {measure}: it promises that nothing is lost, and {one['lost']} of {one['events']} "
                        f"events had not arrived{rest}."
                    )
                if measure == "fork" and one["doubled"]:
                    sentences.append(f"{name}, fork: {one['doubled']} events were sent by both parent and child.")
    return sentences
