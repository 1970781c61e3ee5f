"""The place "archive": what retention has moved or copied to the archive of one host."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from logbastion.archives.store import ArchiveError, ArchiveStore, OlderVersion, Stream
from logbastion.erasure.files import (
    AMENDED_REASON,
    exported,
    facts_of_copy,
    result_of,
    stream_of_file,
    youngest_of,
)
from logbastion.erasure.in_place import Counts
from logbastion.erasure.lines import LineEraser
from logbastion.erasure.matching import Matcher
from logbastion.erasure.place import ExportedEvent, NoProgress, PlaceError, PlaceResult, Progress
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

    A copy without the person takes the place of each that has the person, with all its older versions. Of other names,
    older versions that have the person go; those without stay, since somebody may have overwritten or deleted a copy by
    mistake. What the archive keeps for a time by object lock stays too: then the erasure has not ended, and says so,
    until a later call could remove it.

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
                    self._clear_begun()
                work = _Work(self._store, self._directory, matcher, LineEraser(matcher, rules), counts, dry_run=dry_run)
                for older in self._older(progress, "erasing older versions"):
                    try:
                        work.older(older, held, progress)
                    except _FAILURES as error:
                        counts.errors.append(f"{older.name}: {error}")
                searched = None if dry_run else self._searched
                for name, checksum in self._copies(progress, "erasing", searched):
                    before = counts.found
                    try:
                        work.copy(name, held, progress)
                        if searched and counts.found == before:
                            searched.add(self.name, name, checksum)
                    except _FAILURES as error:
                        counts.errors.append(f"{name}: {error}")
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
            for older in self._older(progress, "searching older versions again"):
                with self._store.open_older(older) as stream:
                    found += search(stream, older.name, matcher, Counts(), progress).events
        except ArchiveError as error:
            raise PlaceError(str(error)) from error
        return found

    def export(self, matcher: Matcher) -> Iterator[ExportedEvent]:
        """See :meth:`.place.Place.export`."""
        try:
            for name in self._all_names():
                with self._store.open(name) as stream:
                    yield from self._exported(stream, name, matcher)
            for older in self._older(NoProgress(), ""):
                with self._store.open_older(older) as stream:
                    yield from self._exported(stream, older.name, matcher)
        except ArchiveError as error:
            raise PlaceError(str(error)) from error

    def _exported(self, stream: Stream, name: str, matcher: Matcher) -> Iterator[ExportedEvent]:
        for line in content_lines(stream, name):
            if matcher.in_bytes(line):
                yield exported(self.name, name, line)

    @property
    def _prefixes(self) -> tuple[str, ...]:
        return tuple(f"{prefix}{self._host}/" for prefix in (ARCHIVE_PREFIX, BACKUP_PREFIX))

    def _all_names(self) -> list[str]:
        return [name for prefix in self._prefixes for name in self._store.names(prefix)]

    def _clear_begun(self) -> None:
        """Remove parts of copies that were not completed: the person may be in them. Retention copies them anew."""
        for prefix in self._prefixes:
            self._store.clear_begun(prefix)

    def _older(self, progress: Progress, work: str) -> list[OlderVersion]:
        found = [older for prefix in self._prefixes for older in self._store.older_versions(prefix)]
        if found:
            progress.begin(self.name, work, sum(one.size for one in found))
        return found

    def _copies(self, progress: Progress, work: str, searched: Searched | None = None) -> list[tuple[str, str]]:
        """Return names and checksums, without what was searched."""
        copies = [self._store.information(name) for name in self._all_names()]
        wanted = [one for one in copies if not (searched and searched.has(self.name, one.name, one.sha256))]
        progress.begin(self.name, work, sum(one.size for one in wanted))
        return [(one.name, one.sha256) for one in wanted]


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

    def older(self, older: OlderVersion, held: set[str], progress: Progress) -> None:
        file = older.name.rpartition("/")[2]
        with self._store.open_older(older) as source:
            events = search(source, file, self._matcher, self._counts, progress).events
        self._counts.found += events
        if events and stream_of_file(file) in held:
            self._counts.held += events
        elif events:
            if not self._dry_run:
                self._store.remove_older(older)
            self._counts.deleted += events

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
