"""What every place that holds copies of events can do for an erasure, and what it says of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from logbastion.erasure.matching import Matcher
from logbastion.erasure.rules import Rules
from logbastion.erasure.searched import Searched


class Progress(Protocol):
    """Is told how far long work is. No text that it is given holds personal data."""

    def begin(self, place: str, work: str, total: int | None = None, unit: str = "bytes") -> None:
        """Begin to show.

        Args:
            place: the place's name.
            work: what is done, such as ``searching``.
            total: how much there is, None when that is not known.
            unit: of the total and of the steps.

        """

    def step(self, count: int) -> None:
        """Count so much more as done."""


class NoProgress:
    """Shows nothing."""

    def begin(self, place: str, work: str, total: int | None = None, unit: str = "bytes") -> None:
        """Show nothing."""

    def step(self, count: int) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class PlaceResult:
    """What was done in one place, or with ``dry_run`` would have been. Holds no personal data.

    Args:
        place: its name.
        searched: events that were looked at.
        found: those of the person.
        anonymised: of these, those that are kept without the person.
        deleted: of these, those that are gone.
        held: of these, those that a legal hold keeps as they are.
        errors: sentences on what could not be searched or changed; with one the erasure has failed.

    """

    place: str
    searched: int = 0
    found: int = 0
    anonymised: int = 0
    deleted: int = 0
    held: int = 0
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportedEvent:
    """An event that is about the person (GDPR, Art. 15).

    Args:
        place: name of the place.
        where: file or index within it.
        event: the event; None when the line is no JSON object.
        text: the line, when it is none.

    """

    place: str
    where: str
    event: Mapping[str, Any] | None
    text: str = ""


class Place(Protocol):
    """A place that holds copies of events."""

    name: str
    """For progress and reports; says nothing about the person."""

    def erase(self, matcher: Matcher, rules: Rules, *, dry_run: bool, progress: Progress) -> PlaceResult:
        """Anonymise or delete every event of the person. After a crash at any point it is called again.

        What cannot be searched or changed is one of the result's errors; nothing is raised for it.
        """

    def hits(self, matcher: Matcher, *, progress: Progress) -> int:
        """Search everything again and return how many events of the person are left, those under legal hold included.

        Raises:
            PlaceError: something cannot be searched, so nobody can say that nothing is left.

        """

    def export(self, matcher: Matcher) -> Iterator[ExportedEvent]:
        """Give every event of the person.

        Raises:
            PlaceError: something cannot be searched. What was found before has been given.

        """


@runtime_checkable
class ResumablePlace(Protocol):
    """A place that need not search again what an erasure that broke off has searched."""

    def resume(self, searched: Searched) -> None:
        """Take what is known of the erasure that :meth:`Place.erase` is called for next, and note more there."""


class PlaceError(Exception):
    """A place cannot be searched or changed. The text says what to do, and names no one."""
