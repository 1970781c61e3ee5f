"""The place "archive": what retention has moved or copied to the archive of one host."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from logbastion.archives.store import ArchiveError, ArchiveStore, LockedError
from logbastion.erasure.files import (
    AMENDED_REASON,
    LOCKED_FILE,
    exported,
    facts_of_copy,
    result_of,
    stream_of_file,
    youngest_of,
)
from logbastion.erasure.in_place import Counts
from logbastion.erasure.lines import LineEraser
from logbastion.erasure.matching import Matcher
from logbastion.erasure.place import ExportedEvent, PlaceError, PlaceResult, Progress
from logbastion.erasure.rewriting import UNREADABLE, CleanedCopy, Found, check_unaltered, content_lines, search
from logbastion.erasure.rules import Rules
from logbastion.erasure.searched import Searched
from logbastion.retention.legal_hold import LegalHoldError, held_streams
from logbastion.retention.locking import DirectoryLockedError, alone_in
from logbastion.retention.manifest import ARCHIVE_PREFIX, BACKUP_PREFIX, Entry
from logbastion.retention.spans import NoRecordTimeError
from logbastion.retention.upkeep import Upkeep

_LOCK_SECONDS: Final = 60.0
_FAILURES: Final[tuple[type[Exception], ...]] = (OSError, PlaceError, ArchiveError, NoRecordTimeError, *UNREADABLE)


class Archives:
    """The copies of one host in an archive, moved there or backed up.

    A copy without the person takes the place of each that has the person; older versions go, unless the archive keeps
    them for a time by object lock. Then the erasure has not ended, and says so, until a later call could remove them.

    Args:
        store: the archive.
        host: under whose name the copies are there.
        directory: of the log files, whose manifest knows the copies.

    """

    name = "archive"

    def __init__(self, store: ArchiveStore, host: str, directory: str | os.PathLike[str]) -> None:
        self._store, self._host = store, host
        self._directory = Path(directory).absolute()
        self._searched: Searched | None = None

    def resume(self, searched: Searched) -> None:
        """See :meth:`.place.ResumablePlace.resume`."""
        self._searched = searched

    def erase(self, matcher: Matcher, rules: Rules, *, dry_run: bool, progress: Progress) -> PlaceResult:
        """See :meth:`.place.Place.erase`."""
        counts = Counts()
        try:
            with alone_in(self._directory, _LOCK_SECONDS):
                held = held_streams(self._directory)
                if not dry_run:
                    self._remove_locked(counts)
                work = _Work(self._store, self._directory, matcher, LineEraser(matcher, rules), counts, dry_run=dry_run)
                searched = None if dry_run else self._searched
                for name, checksum in self._copies(progress, "erasing", searched):
                    before = counts.found
                    try:
                        work.copy(name, held, progress)
                        if searched and counts.found == before:
                            searched.add(self.name, name, checksum)
                    except _FAILURES as error:
                        counts.errors.append(f"{name}: {error}")
                        if isinstance(error, LockedError) and not dry_run:
                            self._note_locked(name)
        except (OSError, ArchiveError, DirectoryLockedError, LegalHoldError) as error:
            counts.errors.append(str(error))
        return result_of(self.name, counts)

    def hits(self, matcher: Matcher, *, progress: Progress) -> int:
        """See :meth:`.place.Place.hits`."""
        found = 0
        try:
            for name, _ in self._copies(progress, "searching again"):
                with self._store.open(name) as stream:
                    found += search(stream, name, matcher, Counts(), progress).events
        except ArchiveError as error:
            raise PlaceError(str(error)) from error
        if locked := self._locked():
            raise PlaceError(
                f"the archive keeps older versions of {len(locked)} files until their object lock ends; run the "
                "erasure again then"
            )
        return found

    def export(self, matcher: Matcher) -> Iterator[ExportedEvent]:
        """See :meth:`.place.Place.export`."""
        try:
            for name in self._all_names():
                with self._store.open(name) as stream:
                    for line in content_lines(stream, name):
                        if matcher.in_bytes(line):
                            yield exported(self.name, name, line)
        except ArchiveError as error:
            raise PlaceError(str(error)) from error

    def _all_names(self) -> list[str]:
        return [
            name for prefix in (ARCHIVE_PREFIX, BACKUP_PREFIX) for name in self._store.names(f"{prefix}{self._host}/")
        ]

    def _copies(self, progress: Progress, work: str, searched: Searched | None = None) -> list[tuple[str, str]]:
        """Return names and checksums, without what was searched."""
        copies = [self._store.information(name) for name in self._all_names()]
        wanted = [one for one in copies if not (searched and searched.has(self.name, one.name, one.sha256))]
        progress.begin(self.name, work, sum(one.size for one in wanted))
        return [(one.name, one.sha256) for one in wanted]

    def _locked(self) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return (self._directory / LOCKED_FILE).read_text(encoding="utf-8").split()
        return []

    def _note_locked(self, name: str) -> None:
        descriptor = os.open(
            self._directory / LOCKED_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640
        )
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(f"{name}\n")

    def _remove_locked(self, counts: Counts) -> None:
        """Remove the older versions that an earlier call had to leave."""
        locked = self._locked()
        if not locked:
            return
        left = []
        for name in dict.fromkeys(locked):
            try:
                self._store.remove_older(name)
            except LockedError as error:
                left.append(name)
                counts.errors.append(f"{name}: {error}")
        (self._directory / LOCKED_FILE).unlink()
        for name in left:
            self._note_locked(name)


class _Work:
    """Erases in one copy after the other."""

    def __init__(
        self,
        store: ArchiveStore,
        directory: Path,
        matcher: Matcher,
        eraser: LineEraser,
        counts: Counts,
        *,
        dry_run: bool,
    ) -> None:
        self._store, self._directory = store, directory
        self._matcher, self._eraser, self._counts, self._dry_run = matcher, eraser, counts, dry_run
        self._upkeep = Upkeep(directory, clock=lambda: datetime.now(timezone.utc), store=store)
        states = self._upkeep.manifest.logs.values()
        self._entries = {entry.archive: entry for one in states for entry in (one.archived, one.backup) if entry}

    def copy(self, name: str, held: set[str], progress: Progress) -> None:
        file = name.rpartition("/")[2]
        stream = stream_of_file(file)
        with self._store.open(name) as source:
            found = search(source, file, self._matcher, self._counts, progress)
        if not found.events:
            return
        self._counts.found += found.events
        if stream in held:
            self._counts.held += found.events
            return
        if self._dry_run:
            with self._store.open(name) as source:
                for line in content_lines(source, file):
                    if self._matcher.in_bytes(line):
                        self._counts.count(self._eraser.deletes(line, stream))
            return
        # In the log directory, which is private and on a disk that has room for log files.
        with tempfile.TemporaryDirectory(prefix=".erasing.", dir=self._directory) as place:
            self._replace(name, Path(place), stream, found)

    def _replace(self, name: str, place: Path, stream: str, found: Found) -> None:
        file = name.rpartition("/")[2]
        entry = self._entries.get(name)
        copy = CleanedCopy(file, place / file, None, self._youngest(name, place, entry))
        with self._store.open(name) as source:
            content = copy.write(content_lines(source, file), stream, self._matcher, self._eraser)
        if entry is not None:
            after = facts_of_copy(copy, content, entry.facts)
            check_unaltered(found, entry.facts, after, name)
            if copy.events and after != entry.facts:
                self._upkeep.amend(self._directory / file, after, AMENDED_REASON, name)
        try:
            if copy.events:
                self._store.replace(name, copy.path)
            elif entry is not None:
                self._upkeep.delete_archived(entry, f"{AMENDED_REASON}, and nothing else was in it")
            else:
                self._store.delete(name)
        finally:
            # What the person's events became, whether or not an older version is kept by a lock.
            self._counts.anonymised += copy.anonymised
            self._counts.deleted += copy.deleted

    def _youngest(self, name: str, place: Path, entry: Entry | None) -> datetime:
        if entry is not None and entry.facts.span is not None:
            return entry.facts.span.youngest
        path = place / f"found-{name.rpartition('/')[2]}"
        with self._store.open(name) as source, path.open("wb") as target:
            while chunk := source.read(1 << 18):
                target.write(chunk)
        return youngest_of(path)
