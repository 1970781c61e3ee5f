"""``GDPRLogManager``: erases a person from every copy of the logs (guide, "Right to Erasure Implementation")."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from logbastion.erasure.ledger import COMPLETE, FAILED, HELD, Ledger
from logbastion.erasure.matching import Matcher
from logbastion.erasure.place import (
    ExportedEvent,
    NoProgress,
    Place,
    PlaceError,
    PlaceResult,
    Progress,
    ResumablePlace,
)
from logbastion.erasure.places import places_from_environment
from logbastion.erasure.report import ErasureReport
from logbastion.erasure.rules import Rules
from logbastion.erasure.searched import Searched
from logbastion.erasure.subject import Subject
from logbastion.pseudonyms import Pseudonymizer, configured_pseudonymizer

LOGGER: Final = "privacy.gdpr"
_ROUNDS: Final = 3
"""What is written about the person while it runs is found by the search at the end, and erased in a next round."""


class ErasureError(Exception):
    """Something of the person is left, or could not be searched. Run the same again once the cause is gone.

    Args:
        message: a sentence without personal data.
        report: what was done; None when nothing was begun.

    """

    def __init__(self, message: str, report: ErasureReport | None = None) -> None:
        super().__init__(message)
        self.report = report


class GDPRLogManager:
    """Erases people from the logs, and gives them what the logs hold on them.

    Args:
        places: where copies are, in the order in which they are erased; by default those that the environment names
            (see :func:`.places.places_from_environment`).
        keys: of pseudonyms; by default those of ``LOGBASTION_PSEUDONYM_KEYS_FILE``.
        rules: by default those of the table.
        ledger: where each erasure is entered, so that it can be proved and replayed; None enters nothing.
        id_fields: further names of fields that hold a user's id.
        progress: is told how far the work is.

    Raises:
        ErasureError: no place is named.

    """

    def __init__(
        self,
        places: Sequence[Place] | None = None,
        *,
        keys: Pseudonymizer | None = None,
        rules: Rules | None = None,
        ledger: Ledger | None = None,
        id_fields: Iterable[str] = (),
        progress: Progress | None = None,
    ) -> None:
        self.places = tuple(places_from_environment() if places is None else places)
        if not self.places:
            raise ErasureError(
                "no place is named where logs are: set LOGBASTION_LOG_DIRECTORY, LOGBASTION_SPOOL_DIRECTORY and "
                "LOGBASTION_ARCHIVE, or give places"
            )
        self.logger = logging.getLogger(LOGGER)
        self._keys = keys or configured_pseudonymizer()
        self._rules, self._ledger = rules or Rules.standard(), ledger
        self._id_fields = tuple(id_fields)
        self._progress: Progress = progress or NoProgress()

    def anonymize_user_logs(
        self,
        user_id: str | int,
        *,
        emails: Iterable[str] = (),
        identifiers: Iterable[str] = (),
        dry_run: bool = False,
    ) -> ErasureReport:
        """Erase a person from all places, and search all of them again.

        Args:
            user_id: the primary key.
            emails: all addresses, former ones too. Without them, failed log-ins are not found: these have no id.
            identifiers: further texts that stand for the person and no one else.
            dry_run: only count.

        Returns:
            What was done. Its outcome is ``complete``, or ``held`` when a legal hold keeps events.

        Raises:
            ErasureError: something is left or could not be searched; the error has the report.
            LedgerError: the ledger cannot be written. What was done is done.
            SubjectError: the id, an address or an identifier cannot stand for one person.

        """
        subject = Subject.of(user_id, emails, identifiers, self._keys)
        return self._erase(subject, self._id_fields, dry_run=dry_run)

    def replay(self, erasure_id: str) -> ErasureReport:
        """Make an erasure of the ledger again, after a backup or snapshot was restored.

        Raises:
            ErasureError: see :meth:`anonymize_user_logs`; also when there is no ledger.
            LedgerError: it has no such erasure, or its key was destroyed.

        """
        if self._ledger is None:
            raise ErasureError("there is no ledger to replay from")
        subject, id_fields = self._ledger.subject_of(erasure_id, self._keys)
        return self._erase(subject, (*id_fields, *self._id_fields), dry_run=False, erasure_id=erasure_id)

    def export(
        self, user_id: str | int, *, emails: Iterable[str] = (), identifiers: Iterable[str] = ()
    ) -> Iterator[ExportedEvent]:
        """Give all events about a person (GDPR, Art. 15).

        Raises:
            PlaceError: a place cannot be searched, so the export is not complete.
            SubjectError: as for :meth:`anonymize_user_logs`.

        """
        matcher = Matcher(Subject.of(user_id, emails, identifiers, self._keys), id_fields=self._id_fields)
        for place in self.places:
            yield from place.export(matcher)

    def _erase(
        self, subject: Subject, id_fields: tuple[str, ...], *, dry_run: bool, erasure_id: str = ""
    ) -> ErasureReport:
        matcher = Matcher(subject, id_fields=id_fields)
        if dry_run:
            report = ErasureReport("", True, self._round(matcher, dry_run=True), {})
            return self._judged(report)
        if self._ledger is not None and not erasure_id:
            erasure_id = self._ledger.begin(subject, id_fields)
        self._tell("User data anonymization requested", "gdpr_anonymization", "initiated", erasure_id)
        try:
            report = self._all_rounds(matcher, erasure_id)
            if self._ledger is not None:
                self._ledger.end(erasure_id, report.outcome, report.counts())
        except Exception as error:
            self._failed(erasure_id, type(error).__name__)
            raise
        if report.outcome == FAILED:
            self._failed(erasure_id, "not everything could be erased", report)
        else:
            # By the guide; its event names the user once more, this one names no one (GDPR, Art. 17(1)).
            self._tell(
                "User data anonymization completed",
                "gdpr_anonymization_complete",
                "completed" if report.outcome == COMPLETE else "completed_but_held",
                erasure_id,
                report=report,
            )
        return self._judged(report)

    def _all_rounds(self, matcher: Matcher, erasure_id: str) -> ErasureReport:
        results: tuple[PlaceResult, ...] = ()
        searched = Searched() if self._ledger is None else self._ledger.searched(erasure_id)
        for place in self.places:
            if isinstance(place, ResumablePlace):
                place.resume(searched)
        for _ in range(_ROUNDS):
            results = _added(results, self._round(matcher, dry_run=False))
            left, errors = self._look_again(matcher)
            report = ErasureReport(erasure_id, False, results, left, errors)
            if report.outcome == COMPLETE or any(left.values()):
                # Is something left, it may be where an earlier version of the rules found nothing.
                searched.forget()
            if report.outcome in (COMPLETE, HELD) or report.all_errors:
                break
        return report

    def _round(self, matcher: Matcher, *, dry_run: bool) -> tuple[PlaceResult, ...]:
        return tuple(
            place.erase(matcher, self._rules, dry_run=dry_run, progress=self._progress) for place in self.places
        )

    def _look_again(self, matcher: Matcher) -> tuple[dict[str, int], tuple[str, ...]]:
        left: dict[str, int] = {}
        errors: list[str] = []
        for place in self.places:
            try:
                left[place.name] = place.hits(matcher, progress=self._progress)
            except PlaceError as error:
                errors.append(f"{place.name}: {error}")
        return left, tuple(errors)

    def _judged(self, report: ErasureReport) -> ErasureReport:
        if report.outcome != FAILED:
            return report
        if report.all_errors:
            text = f"not everything could be searched or erased: {report.all_errors[0]}"
            if len(report.all_errors) > 1:
                text += f" (and {len(report.all_errors) - 1} more)"
        else:
            left = ", ".join(f"{count} in {place}" for place, count in report.left.items() if count)
            text = f"events of the person are still there: {left}. They were written meanwhile, or cannot be changed"
        raise ErasureError(f"{text}. Run the same again", report)

    def _failed(self, erasure_id: str, reason: str, report: ErasureReport | None = None) -> None:
        text, kind = "User data anonymization failed", "gdpr_anonymization_failed"
        self._tell(text, kind, "failed", erasure_id, level=logging.ERROR, report=report, reason=reason)

    def _tell(
        self,
        text: str,
        event_type: str,
        status: str,
        erasure_id: str,
        *,
        level: int = logging.INFO,
        report: ErasureReport | None = None,
        **more: str,
    ) -> None:
        extra: dict[str, object] = {"event_type": event_type, "process_status": status, **more}
        if erasure_id:
            extra["erasure_id"] = erasure_id
        if report is not None:
            extra |= {what: report.total(what) for what in ("found", "anonymised", "deleted", "held", "left")}
        self.logger.log(level, text, extra=extra)


def _added(before: tuple[PlaceResult, ...], now: tuple[PlaceResult, ...]) -> tuple[PlaceResult, ...]:
    """Return the results of the last round with the changes of all rounds."""
    if not before:
        return now
    return tuple(
        replace(
            one,
            found=one.found + earlier.found - min(one.held, earlier.held),
            anonymised=one.anonymised + earlier.anonymised,
            deleted=one.deleted + earlier.deleted,
        )
        for earlier, one in zip(before, now, strict=True)
    )
