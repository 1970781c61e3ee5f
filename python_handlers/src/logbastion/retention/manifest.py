"""The chain of what was done to log files, so that an auditor sees that none was altered, cut, put in or taken away.

``manifest.jsonl`` lies beside the files. Each line is a JSON object that holds the SHA-256 of the line before it, so no
line can be changed, removed or moved without all later ones being made again. What only an anchor elsewhere can show,
that the end is missing, :mod:`logbastion.retention.verification` says.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from logbastion.files import FILE_MODE
from logbastion.retention.codecs import base_of
from logbastion.retention.facts import Facts, as_text

MANIFEST_FILE: Final = "manifest.jsonl"
FIRST_PREVIOUS: Final = "0" * 64
"""Stands in the first entry for the one before it."""

ROTATED: Final = "rotated"
FOUND: Final = "found"
SEALED: Final = "sealed"
COMPRESSED: Final = "compressed"
BACKED_UP: Final = "backed_up"
ARCHIVED: Final = "archived"
AMENDED: Final = "amended"
RESTORED: Final = "restored"
DELETED: Final = "deleted"
ACTIONS: Final = (ROTATED, FOUND, SEALED, COMPRESSED, BACKED_UP, ARCHIVED, AMENDED, RESTORED, DELETED)
BACKUP_PREFIX: Final = "backups/"
ARCHIVE_PREFIX: Final = "archive/"


class ManifestError(Exception):
    """A line of the manifest is not what it must be; the message says which and how."""


# A row of digits may look like the number of a payment card and a long word like a token, and such a hash would be
# redacted in an event; eight words of eight letters look like neither.
_SPELLED: Final = str.maketrans("0123456789", "ghijklmnop")
_DIGITS: Final = str.maketrans("ghijklmnop", "0123456789")


class Head(NamedTuple):
    """The end of the chain: how many entries there are, and the SHA-256 of the last line."""

    number: int
    sha256: str

    @property
    def spelled(self) -> str:
        """Return the hash as events have it: ``g`` to ``p`` for the digits 0 to 9, in eight words."""
        letters = self.sha256.translate(_SPELLED)
        return " ".join(letters[start : start + 8] for start in range(0, len(letters), 8))


def as_sha256(text: str) -> str:
    """Return a hash as hexadecimal digits, whether it was given so or as :attr:`Head.spelled`."""
    return "".join(text.lower().split()).translate(_DIGITS)


@dataclass(frozen=True)
class Entry:
    """One line of the manifest.

    Args:
        number: from 1.
        time: when it was written, RFC 3339, UTC.
        action: one of :data:`ACTIONS`. ``found`` is a file that something else had rotated, ``sealed`` one to which a
            writer that still had it open wrote after its rotation, ``amended`` one from which a person was erased.
        file: its name in the log directory, with the suffix of its compression.
        archive: its name in the archive when that copy is meant, empty for the one in the log directory. A ``restored``
            file that has one went to another directory.
        reason: a sentence, without personal data.
        content_sha256: see :class:`~logbastion.retention.facts.Facts`, as all that follow but the last.
        content_bytes: length of the content.
        stored_sha256: of the bytes as stored.
        stored_bytes: their number.
        events: number of lines.
        first: time of the first record.
        last: time of the last record.
        previous: SHA-256 of the line before, without its line break.

    """

    number: int
    time: str
    action: str
    file: str
    archive: str
    reason: str
    content_sha256: str
    content_bytes: int
    stored_sha256: str
    stored_bytes: int
    events: int
    first: str
    last: str
    previous: str

    @property
    def facts(self) -> Facts:
        """Return what the entry says of the file."""
        return Facts(
            self.content_sha256,
            self.content_bytes,
            self.stored_sha256,
            self.stored_bytes,
            self.events,
            self.first,
            self.last,
        )

    @property
    def base(self) -> str:
        """Return the name of the file before its compression, by which it is known all its life."""
        return base_of(self.file)

    @property
    def stream(self) -> str:
        """Return the stream, which is the name before ``.log``."""
        return self.file.partition(".log")[0]

    def line(self) -> bytes:
        """Return the line of the manifest, without its line break."""
        return json.dumps(asdict(self), separators=(",", ":")).encode("utf-8")


@dataclass
class LogState:
    """Where the copies of a log file must be, by the manifest. Each is the last entry on that copy, or None.

    Args:
        last: the last entry on the file, whichever copy it is on.
        rotated: when it was rotated or found.
        found: whether something else had rotated it.
        sealed: whether a writer wrote to it after its rotation.
        local: on the one in the log directory.
        archived: on the one in the archive.
        backup: on the one among the backups.

    """

    last: Entry
    rotated: str = ""
    found: bool = False
    sealed: bool = False
    local: Entry | None = None
    archived: Entry | None = None
    backup: Entry | None = None

    def apply(self, entry: Entry) -> None:
        """Follow an entry on this file."""
        self.last = entry
        if entry.action in (ROTATED, FOUND):
            self.rotated, self.found = entry.time, entry.action == FOUND
        self.sealed = self.sealed or entry.action == SEALED
        after = None if entry.action == DELETED else entry
        if entry.action == RESTORED and entry.archive:
            return
        if entry.archive.startswith(BACKUP_PREFIX):
            self.backup = after
        elif entry.archive:
            self.archived = after
            if entry.action == ARCHIVED:
                self.local = None
        else:
            self.local = after

    @property
    def is_restored(self) -> bool:
        """Say whether a file that is in the archive is in the directory again."""
        return self.local is not None and self.archived is not None

    def copies(self) -> list[Entry]:
        """Return the entries on all copies that must be there."""
        return [entry for entry in (self.local, self.archived, self.backup) if entry is not None]


class Manifest:
    """The manifest of a log directory. Whoever appends holds the directory's lock (:mod:`.locking`).

    Reading goes on behind a line that is wrong; :attr:`complaints` has a sentence for each. A last line without a line
    break is what a crash leaves; the next :meth:`append` removes it.

    Args:
        path: of the file; it need not exist.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs: dict[str, LogState] = {}
        self.complaints: list[str] = []
        self.torn = False
        self.head = Head(0, FIRST_PREVIOUS)
        self.last_backup: dict[str, str] = {}
        self._seen: tuple[int, int] | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the file if it is not as this object has left it.

        Raises:
            OSError: it cannot be read.

        """
        seen = self._identity()
        if seen == self._seen and seen is not None:
            return
        self.logs, self.last_backup, self.complaints, self.torn = {}, {}, [], False
        self.head = Head(0, FIRST_PREVIOUS)
        for number, line in enumerate(self._lines(), start=1):
            try:
                entry = parsed(line, number, self.head.sha256)
            except ManifestError as error:
                self.complaints.append(str(error))
            else:
                self._apply(entry)
            self.head = Head(number, hashlib.sha256(line).hexdigest())
        self._seen = seen

    def lines(self) -> list[bytes]:
        """Return the complete lines, without their line breaks."""
        return list(self._lines())

    def heads(self) -> Iterator[Head]:
        """Return the head that the chain had after each entry."""
        for number, line in enumerate(self._lines(), start=1):
            yield Head(number, hashlib.sha256(line).hexdigest())

    def append(
        self,
        action: str,
        file: str,
        facts: Facts,
        reason: str,
        *,
        time: datetime,
        archive: str = "",
    ) -> Entry:
        """Write an entry and bring it to the disk.

        Args:
            action: one of :data:`ACTIONS`.
            file: its name in the log directory.
            facts: of the file as it is after the action; for ``deleted`` as it was before.
            reason: a sentence, without personal data: it is kept for ever.
            time: now, with a time zone.
            archive: its name in the archive, for what is there; names of backups begin with ``backups/``.

        Raises:
            OSError: it cannot be written; the manifest is as it was.
            ValueError: the action is not known.

        """
        if action not in ACTIONS:
            raise ValueError(f"There is no action {action!r}; the actions are {', '.join(ACTIONS)}.")
        entry = Entry(
            self.head.number + 1,
            as_text(time),
            action,
            file,
            archive,
            reason,
            *facts,
            previous=self.head.sha256,
        )
        line = entry.line()
        self._write(line + b"\n")
        self.head = Head(entry.number, hashlib.sha256(line).hexdigest())
        self._apply(entry)
        self._seen = self._identity()
        return entry

    def state_of(self, name: str) -> LogState | None:
        """Return the state of a log file, by its name with or without the suffix of a compression."""
        return self.logs.get(base_of(name))

    def _apply(self, entry: Entry) -> None:
        if entry.action == BACKED_UP:
            self.last_backup[entry.stream] = entry.time
        state = self.logs.setdefault(entry.base, LogState(entry))
        state.apply(entry)

    def _lines(self) -> Iterator[bytes]:
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            for line in file:
                if not line.endswith(b"\n"):
                    self.torn = True
                    return
                yield line[:-1]

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_size

    def _write(self, line: bytes) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        is_new = not self.path.exists()
        descriptor = os.open(self.path, flags, FILE_MODE)
        try:
            if is_new:
                os.fchmod(descriptor, FILE_MODE)
            whole = _end_of_last_line(descriptor)
            os.ftruncate(descriptor, whole)
            try:
                if os.write(descriptor, line) != len(line):
                    raise OSError(f"{self.path} could not be written to: is the disk full?")
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, whole)
                raise
        finally:
            os.close(descriptor)


def parsed(line: bytes, number: int, previous: str) -> Entry:
    """Return the entry of a line.

    Args:
        line: without its line break.
        number: that it must have.
        previous: the SHA-256 of the line before.

    Raises:
        ManifestError: it is no entry, has another number, or does not follow the line before.

    """
    try:
        body: dict[str, Any] = json.loads(line)
        entry = Entry(**body)
        if entry.action not in ACTIONS or entry.line() != line:
            raise ValueError
    except (ValueError, TypeError):
        raise ManifestError(f"line {number} of the manifest is no entry as it was written") from None
    if entry.number != number:
        raise ManifestError(
            f"line {number} of the manifest is entry {entry.number}: entries were removed, put in or moved before it"
        )
    if entry.previous != previous:
        raise ManifestError(
            f"entry {number} of the manifest does not follow the line before it: that line was altered or exchanged"
        )
    return entry


def _end_of_last_line(descriptor: int) -> int:
    """Return where the last complete line ends; lines are short, so a few reads from the end find it."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - 4096)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
