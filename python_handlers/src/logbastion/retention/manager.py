"""``LogRetentionManager``: rotates, compresses and deletes log files (guide, "Retention Policy Configuration")."""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Final

from logbastion.archives.address import host_in_archive
from logbastion.archives.store import ArchiveError, ArchiveStore, Progress, no_progress
from logbastion.retention.codecs import COMPRESSION_VARIABLE, GZIP, SUFFIXES, CodecError, checked_codec
from logbastion.retention.compression import PARTIAL_SUFFIX
from logbastion.retention.enforcement import ClassEnforcement
from logbastion.retention.last_run import FILE_NAME, LastRun, read_last_run, write_last_run
from logbastion.retention.leftovers import leftovers
from logbastion.retention.legal_hold import LEGAL_HOLD_FILE, LegalHoldError, held_streams
from logbastion.retention.locking import DirectoryLockedError, alone_in
from logbastion.retention.manifest import ARCHIVE_PREFIX, BACKUP_PREFIX, MANIFEST_FILE, LogState
from logbastion.retention.manifest_copies import MANIFEST_PREFIX, SEGMENT_FILE, ManifestCopies
from logbastion.retention.policies import RETENTION_POLICIES, RetentionPolicy
from logbastion.retention.report import ARCHIVED, DELETED, FAILED, LOCKED, UNKNOWN, Action, RetentionReport
from logbastion.retention.upkeep import Upkeep
from logbastion.retention.verification import HEAD_EVENT_TYPE
from logbastion.syncing import sync_directory

DIRECTORY_VARIABLE: Final = "LOGBASTION_LOG_DIRECTORY"
_NOT_LOGS: Final = {LEGAL_HOLD_FILE, FILE_NAME, f"{FILE_NAME}.partial", MANIFEST_FILE, SEGMENT_FILE}
# Ours (.20261124T020000Z) and logrotate's with `dateext` (-20261124, -20261124-1732413600). Its numbers (.1) are not
# names: each rotation gives them to other files.
_ENDING: Final = r"(?:\.\d{8}T\d{6}Z(?:-\d+)?|-\d{8}(?:-\d+)?)"


class RetentionError(Exception):
    """Nothing was done; the message says what to do."""


class LogRetentionManager:
    """Keeps the ``<stream>.log`` files of one directory to their retention policies.

    A run rotates files that hold records of an earlier day (UTC), compresses rotated ones, moves old ones to the
    archive, backs up those that are not there yet, and deletes those whose time has come, everywhere. The records' own
    times decide, never those of the file. What it does not know is left alone and reported: other names, symbolic
    links, files without events, files that are not as the manifest says. Writers go on meanwhile; they notice a
    rotation when they write. It runs as the user who owns the files; one run at a time.

    A file named ``legal-hold`` in the directory holds streams, one a line, whose files are neither compressed nor moved
    nor deleted, in the archive neither, but are backed up as ever; ``#`` begins a comment.

    Because files go as a whole and hold the records of about a day, an event lives up to two days longer than a legal
    minimum, and goes up to two days before a privacy maximum.

    Args:
        policies: the guide's names of the classes to their periods.
        directory: of the log files; by default that of the environment variable ``LOGBASTION_LOG_DIRECTORY``.
        archive: where old files and backups go; without one they stay in the directory until they are deleted.
        host: under whose name they go there; by default :func:`logbastion.archives.host_in_archive`.
        compression: ``gzip`` or ``zstd``; by default that of ``LOGBASTION_COMPRESSION``, else ``gzip``.
        clock: returns the time, with a time zone.
        on_action: is called with each action as soon as it is done.
        progress: is called with numbers of bytes that went to the archive or came back.

    Raises:
        RetentionError: no directory is named, there is none, or the compression cannot be had.
        ArchiveError: the host's name is no name in an archive.

    """

    def __init__(
        self,
        policies: Mapping[str, RetentionPolicy] = RETENTION_POLICIES,
        *,
        directory: str | os.PathLike[str] | None = None,
        archive: ArchiveStore | None = None,
        host: str | None = None,
        compression: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        on_action: Callable[[Action], None] = lambda _: None,
        progress: Progress = no_progress,
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
        try:
            codec = checked_codec(compression or os.environ.get(COMPRESSION_VARIABLE) or GZIP)
        except CodecError as error:
            raise RetentionError(str(error)) from error
        self._upkeep = Upkeep(
            self.directory,
            clock=clock,
            codec=codec,
            store=archive,
            host=(host or host_in_archive()) if archive is not None else "",
            progress=progress,
        )
        self._copies = None if archive is None else ManifestCopies(archive, self._upkeep.host, self._upkeep.manifest)

    def enforce_retention_policies(self, *, dry_run: bool = False) -> RetentionReport:
        """Rotate, compress, archive, back up and delete what is due.

        A file that cannot be handled is reported and the others are handled; the logger ``system.log_management`` tells
        of each class, and at the end where the manifest's chain ends, for :mod:`logbastion.retention.verification`.

        Args:
            dry_run: only report what would be done.

        Raises:
            RetentionError: another run is at work, the legal hold cannot be understood, or the archive has a manifest
                of this host and the directory has none. Nothing was done.

        """
        report = RetentionReport(str(self.directory), dry_run)
        with self._alone():
            held = self._held_streams()
            self._begin(report)
            files = self._files(report)
            states: dict[str, list[LogState]] = {}
            for state in self._upkeep.manifest.logs.values():
                states.setdefault(state.last.stream, []).append(state)
            for name, policy in self.policies.items():
                before = report.failures
                enforcement = ClassEnforcement(
                    policy,
                    self._upkeep,
                    held=policy.stream in held,
                    report=report,
                    note=partial(self._note, report),
                    clock=self._clock,
                )
                enforcement.enforce(files.get(policy.stream, []), states.get(policy.stream, []))
                if dry_run:
                    continue
                if report.failures > before:
                    self.logger.error("Failed to enforce retention policy for %s", name)
                else:
                    self.logger.info("Retention policy enforced for %s", name)
            if not dry_run:
                self._end(report)
        return report

    def accept_loss(self, name: str, reason: str) -> None:
        """Enter into the manifest that a missing file is lost, so that no run misses it any more.

        Args:
            name: of the file.
            reason: a sentence, without personal data.

        Raises:
            RetentionError: the manifest does not have it here, or it is not missing.

        """
        with self._alone():
            self._upkeep.manifest.refresh()
            state = self._upkeep.manifest.state_of(name)
            if state is None or state.local is None or (self.directory / state.local.file).exists():
                raise RetentionError(f"{name} is not missing: by the manifest it is not here, or it is here in fact")
            local = state.local
            self._upkeep.enter_lost(local, f"lost: {reason}")
            self.logger.warning("Log file %s was lost, which was accepted: %s", local.file, reason)
            self._tell_head()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            with alone_in(self.directory):
                yield
        except DirectoryLockedError as error:
            raise RetentionError(str(error)) from None

    def _begin(self, report: RetentionReport) -> None:
        manifest = self._upkeep.manifest
        manifest.refresh()
        for complaint in manifest.complaints:
            self._note(report, Action(FAILED, MANIFEST_FILE, complaint))
        if self._copies is None or manifest.head.number:
            return
        try:
            there = self._copies.last_number()
        except ArchiveError as error:
            self._fail_archive(report, error)
            return
        if there:
            raise RetentionError(
                f"the archive has a manifest of the host {self._upkeep.host} with {there} entries, but "
                f"{self.directory} has none: get it back with `logbastion restore --manifest`, or give this host "
                "another name in the archive (LOGBASTION_ARCHIVE_HOST)"
            )

    def _end(self, report: RetentionReport) -> None:
        sync_directory(self.directory)
        if self._copies is not None and not report.archive_away:
            try:
                self._clear_archive(report)
                self._copies.bring_up_to_date()
            except (ArchiveError, OSError) as error:
                self._fail_archive(report, error)
        self._tell_head()
        now, before = self._clock().timestamp(), read_last_run(self.directory)
        archived = before.archived if before else 0.0
        if self._copies is not None and not report.archive_failures:
            archived = now
        write_last_run(self.directory, LastRun(now, report.failures, archived, report.archive_failures))

    def _clear_archive(self, report: RetentionReport) -> None:
        store, host = self._upkeep.store, self._upkeep.host
        if store is None:
            return
        for prefix in (ARCHIVE_PREFIX, BACKUP_PREFIX, MANIFEST_PREFIX):
            store.clear_begun(f"{prefix}{host}/")
        for found in list(leftovers(store, host, self._upkeep.manifest)):
            if found.is_ours:
                self._upkeep.delete_leftover(found.name)
                self._note(report, Action(DELETED, found.name, "a run that broke off had left it in the archive"))
            else:
                self._note(report, Action(UNKNOWN, found.name, "the archive has it, and the manifest does not know it"))

    def _fail_archive(self, report: RetentionReport, error: Exception) -> None:
        report.archive_failures += 1
        report.archive_away = str(error)
        self._note(report, Action(FAILED, MANIFEST_FILE, str(error)))

    def _tell_head(self) -> None:
        """Anchor the chain in the stream audit, which is shipped to another host."""
        head = self._upkeep.manifest.head
        if head.number:
            extra = {"event_type": HEAD_EVENT_TYPE, "entries": head.number, "head": head.spelled}
            self.logger.info("The manifest of the log files has %d entries", head.number, extra=extra)

    def _held_streams(self) -> set[str]:
        try:
            return held_streams(self.directory)
        except LegalHoldError as error:
            raise RetentionError(str(error)) from error

    def _files(self, report: RetentionReport) -> dict[str, list[Path]]:
        """Return the known files of each stream, rotated ones first; clear partial copies of a run that broke off."""
        streams = "|".join(re.escape(policy.stream) for policy in self.policies.values())
        suffixes = "|".join(map(re.escape, SUFFIXES))
        known = re.compile(rf"({streams})\.log({_ENDING}(?:{suffixes})?)?")
        rotated: dict[str, list[Path]] = {}
        active: dict[str, list[Path]] = {}
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
            else:
                (rotated if match[2] else active).setdefault(match[1], []).append(Path(entry.path))
        return {stream: rotated.get(stream, []) + active.get(stream, []) for stream in {*rotated, *active}}

    def _note(self, report: RetentionReport, action: Action) -> None:
        report.actions.append(action)
        if not report.dry_run and action.kind in (DELETED, ARCHIVED, LOCKED, FAILED):
            level = logging.ERROR if action.kind == FAILED else logging.INFO
            self.logger.log(level, "Log file %s %s: %s", action.file, action.kind, action.reason)
        self._on_action(action)
