"""What is done to the log files of a directory, each step with its entry in the manifest and safe against a kill.

An entry on something that is removed is written before, on something that is made after; what a kill leaves between the
two is completed by the next call.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from logbastion.archives.store import ArchiveExistsError, ArchiveStore, Progress, no_progress
from logbastion.retention.codecs import GZIP, SUFFIX_OF, SUFFIXES, is_compressed
from logbastion.retention.compression import compress
from logbastion.retention.facts import Facts, as_time, count_content, facts_of, stored_digest
from logbastion.retention.manifest import (
    AMENDED,
    ARCHIVE_PREFIX,
    ARCHIVED,
    BACKED_UP,
    BACKUP_PREFIX,
    COMPRESSED,
    DELETED,
    FOUND,
    MANIFEST_FILE,
    ROTATED,
    SEALED,
    Entry,
    LogState,
    Manifest,
)
from logbastion.retention.spans import Span, span_of
from logbastion.syncing import sync_directory

LATE_WRITERS: Final = timedelta(days=2)
"""A writer that was stopped between looking at the file and writing to it is a matter of moments; the next daily run is
the first that enters what it wrote."""

_ALTERED: Final = "its content is not what the manifest says: it was altered. `logbastion verify` says more"


class AlteredError(Exception):
    """A file is not as the manifest says; it was left as it is. The message says how."""


class Upkeep:
    """Compresses, archives, backs up and deletes files of one directory. The caller holds the directory's lock.

    Methods raise :class:`AlteredError`, :class:`~.compression.CompressionError`, :class:`~.codecs.CodecError`,
    :class:`~.spans.NoRecordTimeError`, :class:`~logbastion.archives.ArchiveError`, ``OSError`` and ``EOFError``; the
    file is then left as it was, and the same call can be made again.

    Args:
        directory: of the log files and of the manifest.
        clock: returns the time, with a time zone.
        codec: ``gzip`` or ``zstd``.
        store: the archive, None for none.
        host: under whose name files go to the archive.
        progress: is called with numbers of bytes that went to the archive or came back.
        times_of: returns the times of the first and last record of a file.

    """

    def __init__(
        self,
        directory: Path,
        *,
        clock: Callable[[], datetime],
        codec: str = GZIP,
        store: ArchiveStore | None = None,
        host: str = "",
        progress: Progress = no_progress,
        times_of: Callable[[Path], Span | None] = span_of,
    ) -> None:
        self._times_of = times_of
        self.directory, self.store, self.host = directory, store, host
        self.manifest = Manifest(directory / MANIFEST_FILE)
        self._clock, self._codec, self._progress = clock, codec, progress

    def recorded(self, path: Path) -> Facts:
        """Return what the manifest says of a rotated file; one that it does not know is taken in as found.

        Raises:
            AlteredError: it was changed, removed by us before, or put in under another name.

        """
        state = self.manifest.state_of(path.name)
        if state is None:
            facts = self._facts_of(path)
            self._enter(FOUND, path.name, facts, "something else had rotated it, or a run that broke off")
            return facts
        local = state.local
        if local is None:
            return self._removed_before(path, state)
        if local.file == path.name:
            size = os.stat(path, follow_symlinks=False).st_size
            return local.facts if size == local.stored_bytes else self._grown(path, state, local, size)
        if path.name in {local.file + suffix for suffix in SUFFIXES}:
            facts = self._facts_of(path)
            if facts.content_sha256 != local.content_sha256:
                raise AlteredError(f"it is no copy of {local.file} as the manifest has that")
            self._enter(COMPRESSED, path.name, facts, "a run that broke off had compressed it")
            return facts
        if local.file in {path.name + suffix for suffix in SUFFIXES}:
            return local.facts  # compressing it again finds the complete copy, and removes it
        raise AlteredError(f"the manifest has it as {local.file}; look at both")

    def rotated(self, path: Path, reason: str) -> None:
        """Enter a file that was just renamed."""
        self._enter(ROTATED, path.name, self._facts_of(path), reason)

    def compress(self, path: Path, facts: Facts, reason: str) -> Path:
        """Compress a file and return its new path."""
        if count_content(path).digest.hexdigest() != facts.content_sha256:
            raise AlteredError(_ALTERED)
        youngest = facts.span.youngest if facts.span else self._clock()
        begun = (codec for codec, suffix in SUFFIX_OF.items() if os.path.lexists(f"{path}{suffix}"))
        packed = compress(path, youngest, next(begun, self._codec))
        state = self.manifest.state_of(packed.name)
        if state is None or state.local is None or state.local.file != packed.name:
            digest, size = stored_digest(packed)
            self._enter(COMPRESSED, packed.name, facts._replace(stored_sha256=digest, stored_bytes=size), reason)
        return packed

    def archive(self, path: Path, facts: Facts, reason: str, locked_until: datetime | None = None) -> None:
        """Copy a file to the archive, verify the copy, and remove the file and its backup.

        Args:
            path: of the file.
            facts: of it.
            reason: a sentence.
            locked_until: until when the archive shall refuse to remove it, if it can.

        """
        store, name = self._archive_and_name(ARCHIVE_PREFIX, path.name)
        self._compare(path, facts)
        store.put(name, path, locked_until=locked_until, progress=self._progress)
        state = self.manifest.state_of(path.name)
        if state is None or state.local is not None:
            self._enter(ARCHIVED, path.name, facts, reason, name)
        os.unlink(path)
        sync_directory(self.directory)
        self.drop_backup(path.name, "it is in the archive")

    def back_up(self, path: Path, facts: Facts, reason: str) -> None:
        """Copy a file to the backups, verify the copy, and remove an older copy of it."""
        store, name = self._archive_and_name(BACKUP_PREFIX, path.name)
        self._compare(path, facts)
        try:
            store.put(name, path, progress=self._progress)
        except ArchiveExistsError:
            store.replace(name, path, progress=self._progress)
        before = self._backup_of(path.name)
        if before is not None and before.archive != name:
            store.delete(before.archive)
        self._enter(BACKED_UP, path.name, facts, reason, name)

    def has_backup(self, path: Path, facts: Facts) -> bool:
        """Return whether the file as it is now is among the backups."""
        found = self._backup_of(path.name)
        return found is not None and (found.file, found.stored_sha256) == (path.name, facts.stored_sha256)

    def delete(self, path: Path, facts: Facts | None, reason: str) -> None:
        """Remove a file from the directory; without facts it is empty, and not entered."""
        state = self.manifest.state_of(path.name)
        if facts is not None and (state is None or state.local is not None):
            self._enter(DELETED, path.name, facts, reason)
        os.unlink(path)

    def delete_archived(self, entry: Entry, reason: str) -> None:
        """Remove a copy from the archive or the backups.

        Raises:
            LockedError: the archive keeps it.

        """
        store, _ = self._archive_and_name(ARCHIVE_PREFIX, entry.file)
        store.delete(entry.archive)
        self._enter(DELETED, entry.file, entry.facts, reason, entry.archive)

    def drop_backup(self, name: str, reason: str) -> None:
        """Remove a file's copy among the backups, if there is one."""
        found = self._backup_of(name)
        if found is not None:
            self.delete_archived(found, reason)

    def delete_leftover(self, name: str) -> None:
        """Remove from the archive what the manifest does not have there."""
        store, _ = self._archive_and_name(ARCHIVE_PREFIX, "")
        store.delete(name)

    def enter_lost(self, local: Entry, reason: str) -> None:
        """Enter that a file is gone which somebody else has removed."""
        self._enter(DELETED, local.file, local.facts, reason)

    def amend(self, path: Path, facts: Facts, reason: str, archive: str = "") -> Entry:
        """Enter that somebody was erased from a file.

        Args:
            path: of the file as it is now; for a copy in the archive, of what was put there.
            facts: of it.
            reason: a sentence that names no one.
            archive: name of the copy, empty for the file in the directory.

        """
        return self._enter(AMENDED, path.name, facts, reason, archive)

    def _facts_of(self, path: Path) -> Facts:
        return facts_of(path, self._times_of(path))

    def _removed_before(self, path: Path, state: LogState) -> Facts:
        digest, size = stored_digest(path)
        last = state.archived or state.last
        if (digest, size) != (last.stored_sha256, last.stored_bytes):
            raise AlteredError(
                f"the manifest has it as {last.action} on {last.time[:10]}, but here it is, with other content"
            )
        return last.facts

    def _grown(self, path: Path, state: LogState, local: Entry, size: int) -> Facts:
        if size > local.stored_bytes and grew_after_rotation(path, state, local, self._clock()):
            facts = self._facts_of(path)
            more = facts.events - local.events
            self._enter(SEALED, path.name, facts, f"a writer that had it open wrote {more} more events")
            return facts
        raise AlteredError(
            f"it has {size} bytes, but {local.stored_bytes} by the manifest: it was changed after {local.time}"
        )

    def _compare(self, path: Path, facts: Facts) -> None:
        if stored_digest(path)[0] != facts.stored_sha256:
            raise AlteredError(_ALTERED)

    def _backup_of(self, name: str) -> Entry | None:
        state = self.manifest.state_of(name)
        return None if state is None else state.backup

    def _archive_and_name(self, prefix: str, file: str) -> tuple[ArchiveStore, str]:
        if self.store is None:
            raise AlteredError("the archive that has its copy is not configured; set LOGBASTION_ARCHIVE")
        return self.store, f"{prefix}{self.host}/{file.partition('.log')[0]}/{file}"

    def _enter(self, action: str, file: str, facts: Facts, reason: str, archive: str = "") -> Entry:
        return self.manifest.append(action, file, facts, reason, time=self._clock(), archive=archive)


def grew_after_rotation(path: Path, state: LogState, local: Entry, now: datetime) -> bool:
    """Return whether a file begins as it was entered and got more since, within :data:`LATE_WRITERS` of its rotation.

    Args:
        path: of the file, which is larger than was entered.
        state: of it.
        local: the entry on it.
        now: with a time zone.

    """
    return (
        bool(state.rotated)
        and now - as_time(state.rotated) <= LATE_WRITERS
        and local.action in (ROTATED, FOUND, SEALED, AMENDED)
        and not is_compressed(path.name)
        and count_content(path, local.content_bytes).digest.hexdigest() == local.content_sha256
    )
