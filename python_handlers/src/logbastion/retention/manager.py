"""``LogRetentionManager``: rotates, compresses and deletes log files (guide, "Retention Policy Configuration")."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from logbastion.retention.compression import PARTIAL_SUFFIX, CompressionError, compress, sync_directory
from logbastion.retention.last_run import FILE_NAME, LastRun, write_last_run
from logbastion.retention.policies import PRIVACY_MAXIMUM, RETENTION_POLICIES, RetentionPolicy
from logbastion.retention.report import (
    COMPRESSED,
    DELETED,
    FAILED,
    HELD,
    ROTATED,
    UNKNOWN,
    Action,
    RetentionReport,
)
from logbastion.retention.spans import NoRecordTimeError, Span, first_record_time, span_of
from logbastion.streams import STREAMS

LEGAL_HOLD_FILE: Final = "legal-hold"
DIRECTORY_VARIABLE: Final = "LOGBASTION_LOG_DIRECTORY"
# The manager runs once a day: what would pass its time before the next run goes now.
TIME_TO_NEXT_RUN: Final = timedelta(days=1)
_NOT_LOGS: Final = {LEGAL_HOLD_FILE, FILE_NAME, f"{FILE_NAME}.partial"}
_ROTATED_AT: Final = "%Y%m%dT%H%M%SZ"
# Ours (.20261124T020000Z) and logrotate's with `dateext` (-20261124, -20261124-1732413600). Its numbers (.1) are not
# names: each rotation gives them to other files.
_ENDING: Final = r"(?:\.\d{8}T\d{6}Z(?:-\d+)?|-\d{8}(?:-\d+)?)"
_WAIT_FOR_LOCK_SECONDS: Final = 5.0


class RetentionError(Exception):
    """Nothing was done; the message says what to do."""


class LogRetentionManager:
    """Keeps the ``<stream>.log`` files of one directory to their retention policies.

    A run rotates files that hold records of an earlier day (UTC), compresses rotated ones and deletes those whose time
    has come. The records' own times decide, never those of the file. What it does not know is left alone and reported:
    other names, symbolic links, files without events. Writers go on meanwhile; they notice a rotation when they write.
    It runs as the user who owns the files; one run at a time.

    A file named ``legal-hold`` in the directory holds streams, one a line, whose files are neither compressed nor
    deleted; ``#`` begins a comment.

    Because files go as a whole and hold the records of about a day, an event lives up to two days longer than a legal
    minimum, and goes up to two days before a privacy maximum.

    Args:
        policies: the guide's names of the classes to their periods.
        directory: of the log files; by default that of the environment variable ``LOGBASTION_LOG_DIRECTORY``.
        clock: returns the time, with a time zone.
        on_action: is called with each action as soon as it is done.

    Raises:
        RetentionError: no directory is named, or there is none.

    """

    def __init__(
        self,
        policies: Mapping[str, RetentionPolicy] = RETENTION_POLICIES,
        *,
        directory: str | os.PathLike[str] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        on_action: Callable[[Action], None] = lambda _: None,
    ) -> None:
        given = directory or os.environ.get(DIRECTORY_VARIABLE)
        if not given:
            raise RetentionError(f"no log directory is named: give one, or set {DIRECTORY_VARIABLE}")
        self.directory = Path(given).absolute()
        if not self.directory.is_dir():
            raise RetentionError(
                f"there is no directory {self.directory}. The application makes it with its first event."
            )
        self.policies = policies
        self.logger = logging.getLogger("system.log_management")
        self._clock = clock
        self._on_action = on_action

    def enforce_retention_policies(self, *, dry_run: bool = False) -> RetentionReport:
        """Rotate, compress and delete what is due.

        A file that cannot be handled is reported and the others are handled; the logger ``system.log_management`` tells
        of each class.

        Args:
            dry_run: only report what would be done.

        Raises:
            RetentionError: another run is at work, or the legal hold cannot be understood. Nothing was done.

        """
        report = RetentionReport(str(self.directory), dry_run)
        with _alone_in(self.directory):
            held = self._held_streams()
            files = self._files(report)
            for name, policy in self.policies.items():
                before = report.failures
                self._enforce_policy(policy, files.get(policy.stream, []), policy.stream in held, report)
                if dry_run:
                    continue
                if report.failures > before:
                    self.logger.error("Failed to enforce retention policy for %s", name)
                else:
                    self.logger.info("Retention policy enforced for %s", name)
            if not dry_run:
                sync_directory(self.directory)
                write_last_run(self.directory, LastRun(self._clock().timestamp(), report.failures))
        return report

    def _held_streams(self) -> set[str]:
        try:
            text = (self.directory / LEGAL_HOLD_FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return set()
        except (OSError, UnicodeDecodeError) as error:
            raise RetentionError(f"the legal hold cannot be read, so nothing is touched: {error}") from error
        held = {line.partition("#")[0].strip() for line in text.splitlines()} - {""}
        if unknown := held - set(STREAMS):
            raise RetentionError(
                f"{self.directory / LEGAL_HOLD_FILE} names {sorted(unknown)[0]!r}, which is no stream, so nothing is "
                f"touched; the streams are {', '.join(STREAMS)}"
            )
        return held

    def _files(self, report: RetentionReport) -> dict[str, list[Path]]:
        """Return the known files of each stream, rotated ones first; clear partial copies of a run that broke off."""
        streams = "|".join(re.escape(policy.stream) for policy in self.policies.values())
        known = re.compile(rf"({streams})\.log({_ENDING}(?:\.gz)?)?")
        found: dict[str, list[Path]] = {}
        for entry in sorted(os.scandir(self.directory), key=lambda entry: entry.name):
            if entry.name in _NOT_LOGS:
                continue
            match = known.fullmatch(entry.name.removesuffix(PARTIAL_SUFFIX))
            if match is None or not entry.is_file(follow_symlinks=False):
                reason = "it is no file of a log stream" if match is None else "it is a link or no ordinary file"
                self._note(report, Action(UNKNOWN, entry.name, reason))
            elif entry.name.endswith(PARTIAL_SUFFIX):
                if not report.dry_run:
                    os.unlink(entry.path)
            elif match[2]:
                found.setdefault(match[1], []).insert(0, Path(entry.path))
            else:
                found.setdefault(match[1], []).append(Path(entry.path))
        return found

    def _enforce_policy(self, policy: RetentionPolicy, files: list[Path], held: bool, report: RetentionReport) -> None:
        for path in files:
            try:
                size = os.stat(path, follow_symlinks=False).st_size
                if path.name == f"{policy.stream}.log":
                    action = self._rotated(path, size, report.dry_run)
                elif held:
                    action = Action(HELD, path.name, "its stream is under legal hold", size)
                else:
                    action = self._kept_to(policy, path, size, report.dry_run)
            except NoRecordTimeError as error:
                action = Action(FAILED, path.name, f"it is left alone, because {error}")
            except (OSError, EOFError, CompressionError) as error:
                action = Action(FAILED, path.name, str(error))
            if action is not None:
                self._note(report, action)

    def _rotated(self, path: Path, size: int, dry_run: bool) -> Action | None:
        oldest = first_record_time(path)
        now = self._clock()
        if oldest is None or oldest.date() >= now.astimezone(timezone.utc).date():
            return None
        target = self._free_name(path, now)
        if not dry_run:
            os.rename(path, target)
        return Action(ROTATED, path.name, f"to {target.name}: its first record is of {oldest.date()}", size)

    @staticmethod
    def _free_name(path: Path, now: datetime) -> Path:
        name = f"{path.name}.{now.astimezone(timezone.utc).strftime(_ROTATED_AT)}"
        number, target = 0, path.with_name(name)
        while os.path.lexists(target) or os.path.lexists(f"{target}.gz"):
            number += 1
            target = path.with_name(f"{name}-{number}")
        return target

    def _kept_to(self, policy: RetentionPolicy, path: Path, size: int, dry_run: bool) -> Action | None:
        span = span_of(path)
        if span is None:
            return self._deleted(path, size, "it is empty", dry_run)
        if reason := self._time_is_up(policy, span):
            return self._deleted(path, size, reason, dry_run)
        if path.suffix != ".gz" and self._clock() - span.youngest >= timedelta(days=policy.compression_after_days):
            if not dry_run:
                compress(path, span.youngest)
            reason = f"its last record is {policy.compression_after_days} days old or older"
            return Action(COMPRESSED, path.name, reason, size)
        return None

    def _time_is_up(self, policy: RetentionPolicy, span: Span) -> str:
        period, now = timedelta(days=policy.retention_days), self._clock()
        if policy.rounding == PRIVACY_MAXIMUM:
            if now + TIME_TO_NEXT_RUN - span.oldest > period:
                return f"its first record, of {span.oldest.date()}, must be gone after {policy.retention_days} days"
        elif now - span.youngest >= period:
            return f"its last record, of {span.youngest.date()}, has been kept for {policy.retention_days} days"
        return ""

    @staticmethod
    def _deleted(path: Path, size: int, reason: str, dry_run: bool) -> Action:
        if not dry_run:
            os.unlink(path)
        return Action(DELETED, path.name, reason, size)

    def _note(self, report: RetentionReport, action: Action) -> None:
        report.actions.append(action)
        if not report.dry_run and action.kind in (DELETED, FAILED):
            level = logging.ERROR if action.kind == FAILED else logging.INFO
            self.logger.log(level, "Log file %s %s: %s", action.file, action.kind, action.reason)
        self._on_action(action)


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Take the lock that writers of rotating files take, too; they go on writing and rotate later."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        end = time.monotonic() + _WAIT_FOR_LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise RetentionError(f"another run is at work in {directory}; wait until it has ended") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)
