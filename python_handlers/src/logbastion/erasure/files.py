"""The place "files": active, rotated and compressed log files of one directory, and files of dead letters.

Files that are not compressed are changed in place, because others may be writing to them (:mod:`.in_place`); compressed
ones are replaced by a copy. Where a manifest knows a file, what it will be is entered before it is changed, so that
after a crash the next call sees that its own work was half done and does the rest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from logbastion.erasure.in_place import Counts, erase_in_place, opened
from logbastion.erasure.lines import LineEraser, lines_of
from logbastion.erasure.matching import Matcher, parsed
from logbastion.erasure.place import ExportedEvent, PlaceError, PlaceResult, Progress
from logbastion.erasure.rewriting import (
    TEMPORARY_PREFIX,
    UNREADABLE,
    CleanedCopy,
    Found,
    check_unaltered,
    content_lines,
    search,
)
from logbastion.erasure.rules import Rules
from logbastion.retention.codecs import is_compressed
from logbastion.retention.compression import PARTIAL_SUFFIX
from logbastion.retention.facts import Facts, stored_digest
from logbastion.retention.last_run import FILE_NAME
from logbastion.retention.legal_hold import LEGAL_HOLD_FILE, LegalHoldError, held_streams
from logbastion.retention.locking import DirectoryLockedError, alone_in
from logbastion.retention.manifest import AMENDED, MANIFEST_FILE
from logbastion.retention.manifest_copies import SEGMENT_FILE
from logbastion.retention.spans import NoRecordTimeError, span_of
from logbastion.retention.upkeep import AlteredError, Upkeep
from logbastion.streams import STREAMS
from logbastion.syncing import sync_directory

AMENDED_REASON: Final = "a person was erased from it"
_LOCK_SECONDS: Final = 60.0
_NOT_LOGS: Final = frozenset({LEGAL_HOLD_FILE, FILE_NAME, MANIFEST_FILE, SEGMENT_FILE})
_FAILURES: Final[tuple[type[Exception], ...]] = (OSError, PlaceError, AlteredError, NoRecordTimeError, *UNREADABLE)

_NO_TIME: Final[tuple[type[Exception], ...]] = (NoRecordTimeError, *UNREADABLE)


class LogFiles:
    """All ordinary files of a directory and of those below it.

    Args:
        directory: of the log files; there may be a manifest and a legal hold in it.
        name: of the place.
        leave_out: directories below it that are places of their own, such as an archive.
        lock: whether runs of retention and rotation are kept away meanwhile; writers never are.

    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        name: str = "files",
        leave_out: Iterable[str | os.PathLike[str]] = (),
        lock: bool = True,
    ) -> None:
        self.name = name
        self.directory = Path(directory).absolute()
        self._leave_out = {os.path.realpath(one) for one in leave_out}
        self._lock = lock

    def erase(self, matcher: Matcher, rules: Rules, *, dry_run: bool, progress: Progress) -> PlaceResult:
        """See :meth:`.place.Place.erase`."""
        counts = Counts()
        try:
            with self._alone():
                held = held_streams(self.directory)
                if not dry_run:
                    self._clear()
                files = self._files(counts.errors)
                progress.begin(self.name, "erasing", sum(size for _, size in files))
                work = _Work(
                    self.directory, matcher, LineEraser(matcher, rules), counts, progress=progress, dry_run=dry_run
                )
                for path, _ in files:
                    try:
                        work.file(path, held)
                    except FileNotFoundError:
                        continue  # somebody has removed it
                    except _FAILURES as error:
                        counts.errors.append(_sentence(path.name, error))
        except (OSError, DirectoryLockedError, LegalHoldError) as error:
            counts.errors.append(str(error))
        return result_of(self.name, counts)

    def hits(self, matcher: Matcher, *, progress: Progress) -> int:
        """See :meth:`.place.Place.hits`."""
        errors: list[str] = []
        counts, found = Counts(), 0
        files = self._files(errors)
        if errors:
            raise PlaceError(errors[0])
        progress.begin(self.name, "searching again", sum(size for _, size in files))
        for path, _ in files:
            with contextlib.suppress(FileNotFoundError), _sentences(path.name), opened(path) as file:
                found += search(file, path.name, matcher, counts, progress).events
        return found

    def export(self, matcher: Matcher) -> Iterator[ExportedEvent]:
        """See :meth:`.place.Place.export`."""
        errors: list[str] = []
        for path, _ in self._files(errors):
            with contextlib.suppress(FileNotFoundError), _sentences(path.name), opened(path) as file:
                for line in content_lines(file, path.name):
                    if matcher.in_bytes(line):
                        yield exported(self.name, path.name, line)
        if errors:
            raise PlaceError(errors[0])

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock:
            yield
            return
        with alone_in(self.directory, _LOCK_SECONDS):
            yield

    def _clear(self) -> None:
        """Remove what runs have left that broke off: nobody else is at work, and the files themselves are there."""
        for path in self.directory.iterdir():
            ours = path.name.startswith(TEMPORARY_PREFIX)
            if path.is_symlink() or not (ours or (self._lock and _is_partial(path.name))):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _files(self, errors: list[str]) -> list[tuple[Path, int]]:
        """Return the files with their sizes; a sentence for each thing that cannot be searched."""
        found: list[tuple[Path, int]] = []
        waiting = [self.directory]
        while waiting:
            directory = waiting.pop()
            try:
                entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
            except OSError as error:
                errors.append(f"the directory {directory} cannot be searched: {error.strerror}")
                continue
            for entry in entries:
                if entry.is_symlink():
                    if not self._leads_within(entry.path):
                        errors.append(f"{entry.name} is a link that leads out of {directory}: search what it leads to")
                elif entry.is_dir():
                    if os.path.realpath(entry.path) not in self._leave_out:
                        waiting.append(Path(entry.path))
                elif entry.is_file() and not (directory == self.directory and entry.name in _NOT_LOGS):
                    with contextlib.suppress(FileNotFoundError):
                        found.append((Path(entry.path), entry.stat(follow_symlinks=False).st_size))
        return found

    def _leads_within(self, path: str) -> bool:
        root = os.path.realpath(self.directory)
        return os.path.commonpath([root, os.path.realpath(path)]) == root


class _Work:
    """Erases in one file after the other."""

    def __init__(
        self,
        directory: Path,
        matcher: Matcher,
        eraser: LineEraser,
        counts: Counts,
        *,
        progress: Progress,
        dry_run: bool,
    ) -> None:
        self._directory, self._matcher, self._eraser = directory, matcher, eraser
        self._counts, self._progress, self._dry_run = counts, progress, dry_run
        self._upkeep = Upkeep(directory, clock=lambda: datetime.now(timezone.utc))

    def file(self, path: Path, held: set[str]) -> None:
        stream = stream_of_file(path.name)
        with opened(path) as file:
            found = search(file, path.name, self._matcher, self._counts, self._progress)
        if not found.events:
            return
        self._counts.found += found.events
        if stream in held:
            self._counts.held += found.events
        elif is_compressed(path.name):
            self._compressed(path, stream, found)
        else:
            self._plain(path, stream, found)

    def _known(self, path: Path) -> Facts | None:
        """Return what the manifest says of a file; None when it does not have it here."""
        if path.parent != self._directory:
            return None
        state = self._upkeep.manifest.state_of(path.name)
        if state is None or state.local is None or state.local.file != path.name:
            return None
        if state.local.action == AMENDED:
            return state.local.facts  # perhaps of a run that was killed before it replaced the file
        return self._upkeep.recorded(path)

    def _plain(self, path: Path, stream: str, found: Found) -> None:
        counts = Counts()
        known = None if self._dry_run else self._known(path)
        if known is not None:
            with opened(path) as file:  # it may have got more
                found = search(file, path.name, self._matcher, Counts(), self._progress)
            after = self._after(path, stream, known)
            check_unaltered(found, known, after, path.name)
            if after != known:
                self._upkeep.amend(path, after, AMENDED_REASON)
        erase_in_place(
            path,
            self._matcher,
            self._eraser,
            counts,
            stream=stream,
            progress=self._progress,
            dry_run=self._dry_run,
        )
        self._add(counts.anonymised, counts.deleted)

    def _after(self, path: Path, stream: str, known: Facts) -> Facts:
        """Return what a file will be once it is changed in place: as long as it is, with as many lines."""
        digest = hashlib.sha256()
        with opened(path) as file:
            for line in lines_of(file, path.name):
                digest.update(self._eraser.same_length(line, stream) if self._matcher.in_bytes(line) else line)
        return known._replace(content_sha256=digest.hexdigest(), stored_sha256=digest.hexdigest())

    def _compressed(self, path: Path, stream: str, found: Found) -> None:
        if self._dry_run:
            with opened(path) as file:
                for line in content_lines(file, path.name):
                    if self._matcher.in_bytes(line):
                        self._counts.count(self._eraser.deletes(line, stream))
            return
        known = self._known(path)
        target = path.with_name(TEMPORARY_PREFIX + path.name)
        status = os.stat(path, follow_symlinks=False)
        copy = CleanedCopy(path.name, target, status, youngest_of(path))
        try:
            with opened(path) as file:
                content = copy.write(content_lines(file, path.name), stream, self._matcher, self._eraser)
            self._replace(path, copy, content, known, found)
        finally:
            with contextlib.suppress(FileNotFoundError):
                target.unlink()
        self._add(copy.anonymised, copy.deleted)

    def _replace(
        self, path: Path, copy: CleanedCopy, content: tuple[str, int], known: Facts | None, found: Found
    ) -> None:
        if known is not None:
            after = facts_of_copy(copy, content, known)
            check_unaltered(found, known, after, path.name)
            if not copy.events:
                self._upkeep.delete(path, known, f"{AMENDED_REASON}, and nothing else was in it")
                return
            if after != known:
                self._upkeep.amend(path, after, AMENDED_REASON)
        if copy.events:
            os.rename(copy.path, path)
        else:
            path.unlink()
        sync_directory(path.parent)

    def _add(self, anonymised: int, deleted: int) -> None:
        self._counts.anonymised += anonymised
        self._counts.deleted += deleted


def stream_of_file(name: str) -> str:
    """Return the stream of a log file by its name; empty when its lines have to say."""
    stream = name.partition(".log")[0]
    return stream if stream in STREAMS else ""


def youngest_of(path: Path) -> datetime:
    """Return the time of a file's last record; of lines that do not say, that of the file."""
    try:
        span = span_of(path)
    except _NO_TIME:
        span = None
    if span is not None:
        return span.youngest
    return datetime.fromtimestamp(os.stat(path, follow_symlinks=False).st_mtime, timezone.utc)


def facts_of_copy(copy: CleanedCopy, content: tuple[str, int], before: Facts) -> Facts:
    """Return the facts of a copy that was written.

    The times of the first and last record stay those of the file: it must not go earlier because of an erasure.

    Args:
        copy: as it was written.
        content: SHA-256 and length of its content.
        before: of the file.

    """
    return Facts(*content, *stored_digest(copy.path), copy.events, before.first, before.last)


def exported(place: str, where: str, line: bytes) -> ExportedEvent:
    """Return a line as it is exported."""
    event = parsed(line)
    text = "" if event is not None else line.decode("utf-8", "replace").rstrip("\n")
    return ExportedEvent(place, where, event, text)


def _is_partial(name: str) -> bool:
    """Return whether it is what compressing or restoring a log file leaves that broke off."""
    return ".log" in name and name.endswith(PARTIAL_SUFFIX)


def _sentence(name: str, error: Exception) -> str:
    text = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    return text if name in text else f"{name}: {text}"


@contextlib.contextmanager
def _sentences(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise PlaceError(f"{name} cannot be read: {error.strerror or error}") from error


def result_of(place: str, counts: Counts) -> PlaceResult:
    """Return what was counted as the result of a place."""
    return PlaceResult(
        place,
        searched=counts.searched,
        found=counts.found,
        anonymised=counts.anonymised,
        deleted=counts.deleted,
        held=counts.held,
        errors=tuple(counts.errors),
    )
