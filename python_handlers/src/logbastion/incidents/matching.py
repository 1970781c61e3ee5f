"""Finds the patterns that a record matches, soon for the many records that match none."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from logbastion.incidents.patterns import IncidentPattern
from logbastion.jsonsafe import safe_str

MAX_TEXT: Final = 4096
"""Characters of a field that are looked at: a time-out's cause is at the begin of a line, not behind a dump."""
_RUN: Final = 4
_STRIDE: Final = 2


@dataclass(frozen=True)
class Match:
    """What matched: the entry, which of its patterns, and the piece of the field."""

    pattern: IncidentPattern
    regex: str
    matched: str


class Matcher:
    """Looks at a text's every second run of four bytes, as a number, whatever the number of patterns.

    The longest literal of a pattern has five characters or more, so one of two runs next to each other in it begins at
    an even place of the text. Only patterns of which one is found, and then the literal, are tried.

    Args:
        patterns: the table.

    """

    def __init__(self, patterns: Iterable[IncidentPattern]) -> None:
        self.patterns = tuple(patterns)
        used = {one.field for one in self.patterns}
        self._text = not used.isdisjoint({"message", "error", "text"})
        self._others = tuple(name for name in ("logger", "event_type") if name in used)
        self._by_run: dict[int, list[tuple[int, str]]] = {}
        for number, entry in enumerate(self.patterns):
            for literal in {one.literal for one in entry.compiled}:
                # From the middle: words begin and end alike more often.
                middle = (len(literal) - _RUN - 1) // 2
                for begin in (middle, middle + 1):
                    (run,) = memoryview(literal[begin : begin + _RUN].encode()).cast("I")
                    self._by_run.setdefault(run, []).append((number, literal))
        self._runs = frozenset(self._by_run)

    def matches(self, record: logging.LogRecord) -> list[Match]:
        """Return what a record matches."""
        values: dict[str, str] = {}
        if self._text:
            values["message"] = values["text"] = record.getMessage()[:MAX_TEXT]
            if record.exc_info:
                values["error"] = error_text(record)
                values["text"] += "\n" + values["error"]
        for name in self._others:
            values[name] = record.name if name == "logger" else safe_str(getattr(record, name, ""))[:MAX_TEXT]
        return self.matches_of(values)

    def matches_of(self, values: Mapping[str, str]) -> list[Match]:
        """Return what the values of fields match; ``text`` holds ``message`` and ``error``."""
        together = values.get("text", "")
        for name in self._others:
            together += "\n" + values.get(name, "")
        lowered = together.lower()
        seen = memoryview(lowered.encode("ascii", "replace"))  # one byte for each character
        even, odd = len(seen) // _RUN * _RUN, (len(seen) - _STRIDE) // _RUN * _RUN
        found = self._runs.intersection(seen[:even].cast("I"))
        if odd > 0:
            found |= self._runs.intersection(seen[_STRIDE : _STRIDE + odd].cast("I"))
        return self._tried(found, lowered, values) if found else []

    def _tried(self, runs: Iterable[int], lowered: str, values: Mapping[str, str]) -> list[Match]:
        candidates = {number for run in runs for number, literal in self._by_run[run] if literal in lowered}
        matches = []
        for number in sorted(candidates):
            entry = self.patterns[number]
            value = values.get(entry.field, "")
            hit = entry.search(value)
            if hit is not None:
                matches.append(Match(entry, hit[0].text, value[slice(*hit[1])]))
        return matches


def error_text(record: logging.LogRecord) -> str:
    """Return type and text of a record's exception; empty when it has none."""
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    return f"{type(error).__name__}: {safe_str(error)}"[:MAX_TEXT] if error is not None else ""
