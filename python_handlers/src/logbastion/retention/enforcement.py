"""What is due for the files of one retention class, decided by the times of their records."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Final

from logbastion.archives.store import ArchiveError, ArchiveExistsError, ChecksumError, LockedError
from logbastion.retention.codecs import DAMAGED, SUFFIX_OF, CodecError, is_compressed
from logbastion.retention.compression import CompressionError
from logbastion.retention.facts import Facts, as_time
from logbastion.retention.manifest import Entry, LogState
from logbastion.retention.policies import BACKUP_INTERVAL_DAYS, LEGAL_MINIMUM, PRIVACY_MAXIMUM, RetentionPolicy
from logbastion.retention.report import (
    ARCHIVED,
    BACKED_UP,
    COMPRESSED,
    DELETED,
    FAILED,
    HELD,
    LOCKED,
    ROTATED,
    Action,
    RetentionReport,
)
from logbastion.retention.spans import NoRecordTimeError, Span, first_record_time, span_of
from logbastion.retention.upkeep import AlteredError, Upkeep

# The manager runs once a day: what would pass its time before the next run goes now.
TIME_TO_NEXT_RUN: Final = timedelta(days=1)
_ROTATED_AT: Final = "%Y%m%dT%H%M%SZ"
# A weekly backup whose last run was late must not wait for the eighth day.
_BACKUP_TOLERANCE: Final = timedelta(hours=12)
LEFT_ALONE: Final[tuple[type[Exception], ...]] = (OSError, *DAMAGED, CompressionError, CodecError, AlteredError)
_HELD: Final = "its stream is under legal hold"


class ClassEnforcement:
    """Keeps the files of one class to its policy.

    Args:
        policy: of the class.
        upkeep: of the directory.
        held: whether its stream is under legal hold.
        report: takes what fails and what was done.
        note: is called with each action.
        clock: returns the time, with a time zone.

    """

    def __init__(
        self,
        policy: RetentionPolicy,
        upkeep: Upkeep,
        *,
        held: bool,
        report: RetentionReport,
        note: Callable[[Action], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._policy, self._upkeep, self._held = policy, upkeep, held
        self._report, self._note, self._clock = report, note, clock
        self._dry_run = report.dry_run
        self._last_backup = upkeep.manifest.last_backup.get(policy.stream)

    def enforce(self, files: list[Path], states: list[LogState]) -> None:
        """Do what is due.

        Args:
            files: of the class in the directory.
            states: of the class in the manifest, as they were before the run.

        """
        for path in files:
            try:
                size = os.stat(path, follow_symlinks=False).st_size
            except OSError as error:
                self._failed(path.name, str(error))
                continue
            if path.name == f"{self._policy.stream}.log":
                self._guarded(path.name, size, partial(self._rotate, path, size))
            else:
                self._guarded(path.name, size, partial(self._keep, path, size))
        for state in states:
            self._look_after_copies(state)

    def _guarded(self, name: str, size: int, step: Callable[[], None]) -> None:
        try:
            step()
        except LockedError as error:
            self._note(Action(LOCKED, name, str(error), size))
        except NoRecordTimeError as error:
            self._failed(name, f"it is left alone, because {error}", size)
        except ArchiveError as error:
            self._report.archive_failures += 1
            if not isinstance(error, (ChecksumError, ArchiveExistsError)):
                self._report.archive_away = str(error)
            self._failed(name, str(error), size)
        except LEFT_ALONE as error:
            self._failed(name, str(error), size)

    def _failed(self, name: str, reason: str, size: int = 0) -> None:
        self._note(Action(FAILED, name, reason, size))

    def _rotate(self, path: Path, size: int) -> None:
        oldest = first_record_time(path)
        now = self._clock()
        if oldest is None or oldest.date() >= now.astimezone(timezone.utc).date():
            return
        target, reason = free_name(path, now), f"its first record is of {oldest.date()}"
        if not self._dry_run:
            os.rename(path, target)
            self._upkeep.rotated(target, reason)
        self._note(Action(ROTATED, path.name, f"to {target.name}: {reason}", size))

    def _keep(self, path: Path, size: int) -> None:
        facts, span = self._known(path)
        if self._held:
            self._note(Action(HELD, path.name, _HELD, size))
            if span is not None and self._may_be_copied(path):
                # What a court wants must not be lost with the host.
                self._back_up(path, facts, size)
            return
        if span is None:
            self._delete(path, None, size, "it is empty")
            return
        if reason := self._time_is_up(span):
            self._delete(path, facts, size, reason)
            return
        age, policy = self._clock() - span.youngest, self._policy
        if not is_compressed(path.name) and (
            age >= timedelta(days=policy.compression_after_days) or _twin(path) is not None
        ):
            reason = f"its last record is {policy.compression_after_days} days old or older"
            if facts is not None and not self._dry_run:
                path = self._upkeep.compress(path, facts, reason)
                facts = self._upkeep.recorded(path)
            self._note(Action(COMPRESSED, path.name if self._dry_run else path.name.rpartition(".")[0], reason, size))
        self._copy_outside(path, facts, span, age)

    def _known(self, path: Path) -> tuple[Facts | None, Span | None]:
        """Return what is recorded of a file, and the times of its records; nothing is recorded in a dry run."""
        size = os.stat(path, follow_symlinks=False).st_size
        if size == 0:
            return None, None
        if not self._dry_run:
            facts = self._upkeep.recorded(path)
            return facts, facts.span
        state = self._upkeep.manifest.state_of(path.name)
        local = None if state is None else state.local
        if local is None or (local.file, local.stored_bytes) != (path.name, size):
            return None, span_of(path)
        return local.facts, local.facts.span

    def _copy_outside(self, path: Path, facts: Facts | None, span: Span, age: timedelta) -> None:
        """Archive the file or back it up, when there is an archive and it is time.

        One that was restored from the archive is there already: it stays in the directory until its time is up.
        """
        if not self._may_be_copied(path):
            return
        size, days = os.stat(path, follow_symlinks=False).st_size, self._policy.archive_to_cold_storage_after_days
        if days and age >= timedelta(days=days):
            reason = f"its last record is {days} days old or older"
            if facts is not None and not self._dry_run:
                self._upkeep.archive(path, facts, reason, self._locked_until(span))
            self._note(Action(ARCHIVED, path.name, reason, size))
        else:
            self._back_up(path, facts, size)

    def _may_be_copied(self, path: Path) -> bool:
        return self._upkeep.store is not None and not self._report.archive_away and not self._is_restored(path)

    def _back_up(self, path: Path, facts: Facts | None, size: int) -> None:
        if self._backup_is_due() and (facts is None or not self._upkeep.has_backup(path, facts)):
            reason = f"{self._policy.backup_frequency} backup"
            if facts is not None and not self._dry_run:
                self._upkeep.back_up(path, facts, reason)
            self._note(Action(BACKED_UP, path.name, reason, size))

    def _is_restored(self, path: Path) -> bool:
        state = self._upkeep.manifest.state_of(path.name)
        return state is not None and state.is_restored

    def _locked_until(self, span: Span) -> datetime | None:
        """Return until when the law wants the record; what privacy wants gone is never locked."""
        if self._policy.rounding != LEGAL_MINIMUM:
            return None
        until = span.youngest + timedelta(days=self._policy.retention_days)
        return until if until > self._clock() else None

    def _backup_is_due(self) -> bool:
        days = BACKUP_INTERVAL_DAYS[self._policy.backup_frequency]
        if not days:
            return False
        last = self._last_backup
        return not last or self._clock() - as_time(last) >= timedelta(days=days) - _BACKUP_TOLERANCE

    def _look_after_copies(self, state: LogState) -> None:
        """Delete what is in the archive when its time is up, and miss what should be in the directory."""
        local = state.local
        if local is not None and not os.path.lexists(self._upkeep.directory / local.file):
            self._guarded(local.file, local.stored_bytes, partial(self._miss, local))
        if local is None and state.archived is not None and state.backup is not None and not self._dry_run:
            # A run broke off between the two.
            drop = partial(self._upkeep.drop_backup, state.last.file, "it is in the archive")
            self._guarded(state.backup.archive, 0, drop)
        for entry in (state.archived, state.backup):
            if entry is None or (span := entry.facts.span) is None:
                continue
            if reason := self._time_is_up(span):
                self._guarded(entry.archive, entry.stored_bytes, partial(self._delete_copy, entry, reason))

    def _delete_copy(self, entry: Entry, reason: str) -> None:
        if self._held:
            self._note(Action(HELD, entry.archive, _HELD, entry.stored_bytes))
        elif not self._report.archive_away:
            if not self._dry_run:
                self._upkeep.delete_archived(entry, reason)
            self._note(Action(DELETED, entry.archive, reason, entry.stored_bytes))

    def _miss(self, local: Entry) -> None:
        span = local.facts.span
        if span is not None and (reason := self._time_is_up(span)):
            if not self._dry_run:
                self._upkeep.enter_lost(local, f"it was missing already; {reason}")
            return
        state = self._upkeep.manifest.state_of(local.file)
        if state is not None and state.is_restored:
            # Whoever had it restored has removed it, and the archive still has it.
            if not self._dry_run:
                self._upkeep.enter_lost(local, "it had been restored, and was removed; the archive has it")
            return
        raise AlteredError(
            f"it is missing; the manifest has it, {local.action} on {local.time[:10]}. Get it back with `logbastion "
            f"restore`, or accept the loss with `logbastion retention --accept-loss {local.file} --reason ...`"
        )

    def _time_is_up(self, span: Span) -> str:
        period, now = timedelta(days=self._policy.retention_days), self._clock()
        if self._policy.rounding == PRIVACY_MAXIMUM:
            if now + TIME_TO_NEXT_RUN - span.oldest > period:
                days = self._policy.retention_days
                return f"its first record, of {span.oldest.date()}, must be gone after {days} days"
        elif now - span.youngest >= period:
            return f"its last record, of {span.youngest.date()}, has been kept for {self._policy.retention_days} days"
        return ""

    def _delete(self, path: Path, facts: Facts | None, size: int, reason: str) -> None:
        if not self._dry_run:
            self._upkeep.delete(path, facts, reason)
        self._note(Action(DELETED, path.name, reason, size))


def free_name(path: Path, now: datetime) -> Path:
    """Return a name for a file that is rotated now, which neither a file nor a compressed one has.

    Args:
        path: of the active file.
        now: with a time zone.

    """
    name = f"{path.name}.{now.astimezone(timezone.utc).strftime(_ROTATED_AT)}"
    number, target = 0, path.with_name(name)
    while any(os.path.lexists(f"{target}{suffix}") for suffix in ("", *SUFFIX_OF.values())):
        number += 1
        target = path.with_name(f"{name}-{number}")
    return target


def _twin(path: Path) -> Path | None:
    """Return the compressed copy beside a file, which a run left that broke off."""
    copies = (path.with_name(path.name + suffix) for suffix in SUFFIX_OF.values())
    return next((copy for copy in copies if os.path.lexists(copy)), None)
