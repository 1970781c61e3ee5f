"""Getting log files back from the archive and the backups."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from logbastion.archives.store import CHUNK_BYTES, ArchiveStore, Progress, no_progress
from logbastion.files import FILE_MODE
from logbastion.retention.locking import alone_in
from logbastion.retention.manifest import MANIFEST_FILE, RESTORED, Entry, LogState, Manifest
from logbastion.retention.manifest_copies import ManifestCopies, restore_manifest
from logbastion.syncing import sync_directory

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PARTIAL: Final = ".restored.partial"

AfterRestore = Callable[[Path, Sequence[Path]], None]
"""Is called with the log directory and the files that were put in place; see :func:`call_after_restore`."""

_after_restore: list[AfterRestore] = []


class RestoreError(Exception):
    """A file was not restored; nothing was overwritten. The message says what to do."""


def call_after_restore(function: AfterRestore) -> None:
    """Have a function called after each restore, before it is reported as done.

    A backup may hold a person who was erased from the logs since: this is where erasures are made again. When the
    function raises, the restore fails with its sentence; the files stay, for the function to be called again.
    """
    if function not in _after_restore:
        _after_restore.append(function)


@dataclass(frozen=True)
class Copy:
    """What can be restored.

    Args:
        entry: of the copy in the archive or among the backups.
        is_here: whether the file is in the log directory, too.

    """

    entry: Entry
    is_here: bool


class Restorer:
    """Restores files of one host.

    Args:
        directory: of the log files; its manifest says what there is. When it has none, that of the archive is put there
            by the first call that restores.
        archive: to restore from.
        host: under whose name the copies are there.
        clock: returns the time, with a time zone.
        progress: is called with numbers of bytes that came from the archive.

    Methods raise :class:`RestoreError`, :class:`~logbastion.archives.ArchiveError`,
    :class:`~.locking.DirectoryLockedError` or ``OSError`` with a sentence.

    """

    def __init__(
        self,
        directory: Path,
        archive: ArchiveStore,
        host: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        progress: Progress = no_progress,
    ) -> None:
        self._directory, self._archive, self._host = directory, archive, host
        self._clock, self._progress = clock, progress
        self._manifest = Manifest(directory / MANIFEST_FILE)
        self._copies = ManifestCopies(archive, host, self._manifest)

    def bring_manifest(self) -> int:
        """Put the archive's manifest into a directory without one, and return how many entries there are.

        Raises:
            RestoreError: the archive has no manifest of this host either.

        """
        if self._manifest.head.number == 0:
            lines = self._copies.lines()
            if not lines:
                raise RestoreError(
                    f"the archive has no manifest of the host {self._host}; say with --host under which name the files "
                    "were archived"
                )
            with alone_in(self._directory):
                restore_manifest(self._directory / MANIFEST_FILE, lines)
            self._manifest.refresh()
        return self._manifest.head.number

    def named(self, names: Sequence[str]) -> list[Copy]:
        """Return the copies of these files, by their names with or without the suffix of a compression.

        Raises:
            RestoreError: there is no copy of one.

        """
        found = []
        for name in names:
            state = self._manifest.state_of(name)
            copy = None if state is None else self._copy_of(state)
            if copy is None:
                raise RestoreError(f"there is no copy of {name} in the archive: {_fate(state)}")
            found.append(copy)
        return found

    def between(self, stream: str, first: datetime | None, last: datetime | None) -> list[Copy]:
        """Return the copies of a stream's files that hold records of a span of time, the oldest first."""
        found = []
        for state in self._manifest.logs.values():
            copy, span = self._copy_of(state), state.last.facts.span
            if copy is None or span is None or state.last.stream != stream:
                continue
            if (last is None or span.oldest <= last) and (first is None or span.youngest >= first):
                found.append(copy)
        return sorted(found, key=lambda copy: copy.entry.first)

    def restore(self, copies: Sequence[Copy], directory: Path | None = None) -> Iterator[Path]:
        """Get files back, one after the other, each complete and compared before it has its name.

        Args:
            copies: of :meth:`named` or :meth:`between`.
            directory: where to; by default the log directory, where what is in the archive stays until its period is
                over.

        Returns:
            The paths, each when it is in place.

        Raises:
            RestoreError: something has the name already, or is not what the manifest says.

        """
        target = directory or self._directory
        in_place = target.resolve() == self._directory.resolve()
        done: list[Path] = []
        for copy in copies:
            path = target / copy.entry.file
            if os.path.lexists(path):
                raise RestoreError(f"{path} is there already, and nothing is overwritten; name another --directory")
            with alone_in(self._directory):
                self._fetch(copy.entry, path)
                self._manifest.refresh()
                reason = "from " + copy.entry.archive + ("" if in_place else " to another directory")
                self._manifest.append(
                    RESTORED,
                    copy.entry.file,
                    copy.entry.facts,
                    reason,
                    time=self._clock(),
                    archive="" if in_place else copy.entry.archive,
                )
            done.append(path)
            yield path
        for function in _after_restore:
            function(self._directory, done)

    def _copy_of(self, state: LogState) -> Copy | None:
        entry = state.archived or state.backup
        if entry is None:
            return None
        # On a new host the manifest has what was on the lost one.
        is_here = state.local is not None and os.path.lexists(self._directory / state.local.file)
        return Copy(entry, is_here)

    def _fetch(self, entry: Entry, path: Path) -> None:
        partial = path.with_name(f".{path.name}{_PARTIAL}")
        partial.unlink(missing_ok=True)
        digest = hashlib.sha256()
        try:
            # Private until it is known to be a log of ours.
            with os.fdopen(os.open(partial, _NEW, 0o600), "wb") as file, self._archive.open(entry.archive) as stream:
                while chunk := stream.read(CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
                    self._progress(len(chunk))
                file.flush()
                os.fsync(file.fileno())
                if digest.hexdigest() != entry.stored_sha256:
                    raise RestoreError(
                        f"{entry.archive} in the archive is not what the manifest says: it was altered, and is not "
                        "restored. `logbastion verify` says more"
                    )
                os.fchmod(file.fileno(), FILE_MODE)
            try:
                os.link(partial, path, follow_symlinks=False)
            except FileExistsError:
                raise RestoreError(f"{path} is there already, and nothing is overwritten") from None
        finally:
            with contextlib.suppress(FileNotFoundError):
                partial.unlink()
        sync_directory(path.parent)


def _fate(state: LogState | None) -> str:
    if state is None:
        return "the manifest does not know it"
    if state.local is not None:
        return "it is in the log directory, and was not backed up"
    return f"it was {state.last.action} on {state.last.time[:10]}"
