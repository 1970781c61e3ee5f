"""The place "database": logs that a project keeps in tables of its own, behind an interface of two methods.

The guide's ``_anonymize_database_logs``. What such a table looks like only the project knows, so it writes the class;
Logbastion calls it, counts, and looks again afterwards, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from logbastion.erasure.matching import Matcher
from logbastion.erasure.place import ExportedEvent, PlaceError, PlaceResult, Progress
from logbastion.erasure.rules import Rules
from logbastion.erasure.subject import Subject


class ErasableLog(Protocol):
    """A table of log entries. May raise anything; the erasure has failed then, and says which log it was."""

    name: str
    """For reports, for example ``audit_table``; says nothing about a person."""

    def entries_of(self, subject: Subject) -> Iterator[Mapping[str, Any]]:
        """Give all entries about the person, for a search before and after and for an export.

        Args:
            subject: ``user_id`` (text), ``emails``, ``identifiers`` and ``pseudonyms``.

        """

    def erase(self, subject: Subject) -> tuple[int, int]:
        """Take the person out of all entries; may be called again. In one transaction, where there is one.

        Returns:
            How many entries were anonymised, and how many deleted.

        """


class DatabaseLog:
    """One such log as a place.

    Args:
        log: of the project.

    """

    def __init__(self, log: ErasableLog) -> None:
        self._log = log
        self.name = f"database: {log.name}"

    def erase(self, matcher: Matcher, rules: Rules, *, dry_run: bool, progress: Progress) -> PlaceResult:
        """See :meth:`.place.Place.erase`. The log itself decides what is anonymised and what deleted."""
        del rules
        progress.begin(self.name, "erasing", unit="entries")
        try:
            found = sum(1 for _ in self._entries(matcher, progress))
            if dry_run or not found:
                return PlaceResult(self.name, searched=found, found=found, anonymised=found if dry_run else 0)
            anonymised, deleted = self._log.erase(matcher.subject)
        except Exception as error:  # the project's own code
            return PlaceResult(self.name, errors=(self._sentence(error),))
        return PlaceResult(self.name, searched=found, found=found, anonymised=anonymised, deleted=deleted)

    def hits(self, matcher: Matcher, *, progress: Progress) -> int:
        """See :meth:`.place.Place.hits`."""
        progress.begin(self.name, "searching again", unit="entries")
        try:
            return sum(1 for _ in self._entries(matcher, progress))
        except Exception as error:
            raise PlaceError(self._sentence(error)) from error

    def export(self, matcher: Matcher) -> Iterator[ExportedEvent]:
        """See :meth:`.place.Place.export`."""
        try:
            for entry in self._log.entries_of(matcher.subject):
                yield ExportedEvent(self.name, self._log.name, dict(entry))
        except Exception as error:
            raise PlaceError(self._sentence(error)) from error

    def _entries(self, matcher: Matcher, progress: Progress) -> Iterator[Mapping[str, Any]]:
        for entry in self._log.entries_of(matcher.subject):
            progress.step(1)
            yield entry

    def _sentence(self, error: Exception) -> str:
        # Not its text: a database quotes the values of a statement.
        return f"the log {self._log.name} of the project failed with {type(error).__name__}; its own logs say more"
