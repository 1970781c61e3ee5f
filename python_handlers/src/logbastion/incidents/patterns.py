"""What is taken for an incident: a table of data, with what each entry must match and must not."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.resources import files
from typing import Any, Final

from logbastion.incident_fields import CATEGORIES
from logbastion.incidents.linear import LinearPattern, linear_pattern

SEVERITIES: Final = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
FIELDS: Final = ("message", "error", "text", "logger", "event_type")
"""``error`` is the exception's type and text, ``text`` the message and that."""
MAX_PATTERNS: Final = 500
_MOST_SECONDS: Final = 86_400
_MOST_LINES: Final = 10_000
_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


class PatternError(ValueError):
    """An entry of the table cannot work; the text says which and why."""


@dataclass(frozen=True)
class IncidentPattern:
    """One entry.

    Args:
        id: small letters, digits and underscores; the incident's name in events, metrics and alerts.
        title: for people.
        severity: of :data:`SEVERITIES`.
        field: which text is looked at, of :data:`FIELDS`.
        pattern: one or more, see :mod:`logbastion.incidents.linear`; one that matches is enough.
        positive: texts that must match; at least one.
        negative: texts that must not; at least one.
        runbook: what to do, in a sentence or as an address.
        response: names of responses that run when it opens and are switched on.
        type: the guide's word for the kind; the id when nothing is said.
        threshold: lines, none of them later than ``quiet_seconds`` after the one before, that open an incident.
        quiet_seconds: without a line, after which it is resolved.
        cooldown: seconds after a response in which this entry starts it no more.
        category: of :data:`CATEGORIES`, for ``event.category``; none when nothing fits.

    Raises:
        PatternError: something in it cannot work.

    """

    id: str
    title: str
    severity: str
    field: str
    pattern: tuple[str, ...]
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    runbook: str
    response: tuple[str, ...] = ()
    type: str = ""
    threshold: int = 1
    quiet_seconds: float = 300
    cooldown: float = 900
    category: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, known in (("severity", SEVERITIES), ("field", FIELDS)):
            if getattr(self, name) not in known:
                self._refuse(f"the {name} must be one of {', '.join(known)}, and not {getattr(self, name)!r}")
        for name, least in (("title", 1), ("runbook", 1), ("type", 0)):
            if not isinstance(getattr(self, name), str) or len(getattr(self, name)) < least:
                self._refuse(f"the {name} must be a text")
        for name, most in (("threshold", _MOST_LINES), ("quiet_seconds", _MOST_SECONDS), ("cooldown", _MOST_SECONDS)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 1 <= value <= most:
                self._refuse(f"{name} must be a number from 1 to {most}")
        if not self.pattern or not self.positive or not self.negative:
            self._refuse("pattern, positive and negative must each have one text at least")
        unknown = [one for one in self.category if one not in CATEGORIES]
        if unknown:
            self._refuse(f"the category must be of {', '.join(CATEGORIES)}, and not {unknown[0]!r}")
        for sample in self.positive:
            if self.search(sample) is None:
                self._refuse(f"its positive sample {sample!r} does not match")
        for sample in self.negative:
            if self.search(sample) is not None:
                self._refuse(f"its negative sample {sample!r} matches")

    @cached_property
    def compiled(self) -> tuple[LinearPattern, ...]:
        """The patterns, checked."""
        found = []
        for text in self.pattern:
            try:
                found.append(linear_pattern(text))
            except ValueError as error:
                self._refuse(f"its pattern {text!r} {error}")
        return tuple(found)

    def search(self, text: str) -> tuple[LinearPattern, tuple[int, int]] | None:
        """Return the first of the patterns that matches, and where; None when none does."""
        for one in self.compiled:
            place = one.search(text)
            if place is not None:
                return one, place
        return None

    def _refuse(self, text: str) -> None:
        raise PatternError(f"The incident pattern {self.id!r} cannot be used: {text}.")


_KEYS: Final = tuple(field.name for field in fields(IncidentPattern))
_NEEDED: Final = _KEYS[:8]
_LISTS: Final = ("pattern", "positive", "negative", "response", "category")


def pattern_of(entry: object) -> IncidentPattern:
    """Return the pattern that an entry of the table describes.

    Raises:
        PatternError: it cannot work.

    """
    if not isinstance(entry, Mapping):
        raise PatternError(f"An incident pattern must be a mapping, and is of type {type(entry).__name__}.")
    name = entry.get("id")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise PatternError(f"An incident pattern needs an id of small letters, digits and underscores, not {name!r}.")
    unknown, missing = sorted(set(map(str, entry)) - set(_KEYS)), [key for key in _NEEDED if key not in entry]
    if unknown:
        raise PatternError(f"The incident pattern {name!r} has unknown keys: {', '.join(unknown)}.")
    if missing:
        raise PatternError(f"The incident pattern {name!r} lacks {', '.join(missing)}.")
    values = dict(entry)
    for key in _LISTS:
        given = values.get(key, ())
        values[key] = (given,) if isinstance(given, str) else given
        if not isinstance(values[key], (list, tuple)) or not all(isinstance(one, str) for one in values[key]):
            raise PatternError(f"The incident pattern {name!r} cannot be used: {key} must be a text or a list of them.")
        values[key] = tuple(values[key])
    return IncidentPattern(**values)


def read_patterns(path: str | os.PathLike[str]) -> list[Any]:
    """Return the entries of a JSON file: a list.

    Raises:
        PatternError: it cannot be read, or is no list in JSON.

    """
    try:
        with open(path, encoding="utf-8") as file:
            entries = json.load(file)
    except (OSError, ValueError) as error:
        raise PatternError(f"The file of incident patterns {os.fspath(path)!r} cannot be read: {error}.") from None
    if not isinstance(entries, list):
        raise PatternError(f"The file of incident patterns {os.fspath(path)!r} must hold a list.")
    return entries


def load_patterns(more: Iterable[object] = (), without: Collection[str] = ()) -> tuple[IncidentPattern, ...]:
    """Return the shipped table and a project's own entries.

    Args:
        more: entries of the project.
        without: ids of shipped ones that are left out, also so that an own one can have that id.

    Raises:
        PatternError: an entry cannot work, an id is there twice, or one to leave out is none of the shipped.

    """
    shipped = json.loads(files(__package__).joinpath("patterns.json").read_text(encoding="utf-8"))
    unknown = sorted(set(without) - {entry["id"] for entry in shipped})
    if unknown:
        raise PatternError(f"There is no incident pattern {', '.join(unknown)} to leave out.")
    found: dict[str, IncidentPattern] = {}
    for entry in (*(one for one in shipped if one["id"] not in without), *more):
        made = pattern_of(entry)
        if made.id in found:
            raise PatternError(f"The incident pattern {made.id!r} is there twice: name it in `without` to replace it.")
        found[made.id] = made
    if len(found) > MAX_PATTERNS:
        raise PatternError(f"There are {len(found)} incident patterns, and {MAX_PATTERNS} is the most.")
    return tuple(found.values())
