"""What every archive can do: names, streams, and copies that are verified by what the archive itself gives back."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final

CHUNK_BYTES: Final = 1 << 18
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*")
_LONGEST_NAME: Final = 900  # S3 takes 1024 bytes, with the prefix


class ArchiveError(Exception):
    """What was asked for was not done; the message is a sentence."""


class NotArchivedError(ArchiveError):
    """The archive has nothing of this name."""


class ChecksumError(ArchiveError):
    """What the archive gives back is not what was put into it."""


class ArchiveExistsError(ArchiveError):
    """The name is taken by something else; nothing was overwritten."""


class LockedError(ArchiveError):
    """The archive refuses to remove something before its time (object lock). It keeps it; the rest was done."""


@dataclass(frozen=True)
class Archived:
    """What an archive says of one of its objects.

    Args:
        name: parts of letters, digits and ``_.@+-``, joined by ``/``.
        size: bytes.
        sha256: of its bytes, 64 hexadecimal digits, as stored beside the object when it was put; empty when the archive
            has none.

    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class OlderVersion:
    """What an archive had under a name before, and still keeps.

    Args:
        name: of the object that was replaced or deleted.
        version: what the archive calls it.
        size: bytes.

    """

    name: str
    version: str
    size: int


def no_progress(done: int) -> None:
    """Show nothing."""


Progress = Callable[[int], None]
"""Is called with the number of bytes that were moved since the last call."""


class ArchiveStore(ABC):
    """A place outside the log directory. Methods raise :class:`ArchiveError` with a sentence, and nothing else.

    A copy counts only when the store has given it back: :meth:`put` and :meth:`replace` read what they have written and
    compare its SHA-256, so a store that lies is found out before anybody removes the original. One process writes to a
    name at a time; after a crash the same call is made again and completes what was begun.
    """

    @abstractmethod
    def names(self, prefix: str = "") -> Iterator[str]:
        """Return the names of complete objects that begin with the prefix, sorted."""

    @abstractmethod
    def information(self, name: str) -> Archived:
        """Return size and stored checksum.

        Raises:
            NotArchivedError: there is no such object.

        """

    @abstractmethod
    def open(self, name: str) -> contextlib.AbstractContextManager[Stream]:
        """Open an object for reading from its beginning to its end.

        Raises:
            NotArchivedError: there is no such object.

        """

    @abstractmethod
    def delete(self, name: str) -> None:
        """Remove an object with all its versions and begun uploads; one that is not there is no error.

        Raises:
            LockedError: the store keeps it, or a version of it, until a later time.

        """

    @abstractmethod
    def clear_begun(self, prefix: str) -> None:
        """Remove what calls of :meth:`put` that broke off have left under names that begin with the prefix.

        Nobody else may put something there meanwhile. What can be resumed is resumed by :meth:`put`, not after this.
        """

    @abstractmethod
    def older_versions(self, prefix: str = "") -> Iterator[OlderVersion]:
        """Return what was replaced or deleted and is still there, of names that begin with the prefix.

        That is what a :meth:`replace` leaves that broke off, what a lock keeps, and what somebody else has overwritten
        or deleted. A store without versions has none.
        """

    @abstractmethod
    def open_older(self, older: OlderVersion) -> contextlib.AbstractContextManager[Stream]:
        """Open an older version for reading from its beginning to its end.

        Raises:
            ArchiveError: it is gone.

        """

    @abstractmethod
    def remove_older(self, older: OlderVersion) -> None:
        """Remove an older version.

        Raises:
            ArchiveError: the store does not know it.
            LockedError: the store keeps it until a later time.

        """

    @abstractmethod
    def _write(self, name: str, path: Path, found: Archived, locked_until: datetime | None, progress: Progress) -> None:
        """Store the file with the checksum of ``found`` beside it, in place of what had the name."""

    @abstractmethod
    def _remove_older(self, name: str) -> None:
        """Remove all versions but the newest.

        Raises:
            LockedError: the store keeps one until a later time.

        """

    def put(
        self, name: str, path: Path, *, locked_until: datetime | None = None, progress: Progress = no_progress
    ) -> Archived:
        """Copy a file into the archive, read it back, and return what the archive has then.

        Args:
            name: of the object.
            path: a file that nobody writes to meanwhile.
            locked_until: until when nobody may remove it, where the store can do that; it is ignored elsewhere.
            progress: see :data:`Progress`; a file's bytes are counted once up and once back.

        Raises:
            ArchiveExistsError: the name is taken by something else.
            ChecksumError: the archive does not give back what it was given. The copy was removed, as far as possible.

        """
        checked_name(name)
        given = described(name, path)
        if self._has_already(name, given):
            return given
        self._write(name, path, given, locked_until, progress)
        try:
            return self.verify(name, given.sha256, progress=progress)
        except ChecksumError:
            with contextlib.suppress(ArchiveError):
                self.delete(name)
            raise

    def _has_already(self, name: str, given: Archived) -> bool:
        """Return whether an earlier call has completed; a copy of the file that was damaged since is written again."""
        try:
            present = self.information(name)
            self.verify(name, given.sha256)
        except NotArchivedError:
            return False
        except ChecksumError as error:
            if present.sha256 == given.sha256:
                return False
            raise ArchiveExistsError(
                f"{name} is in the archive already and holds something else; look at both, and remove one"
            ) from error
        return True

    def replace(self, name: str, path: Path, *, progress: Progress = no_progress) -> Archived:
        """Put a file in the place of an object, verify it, and remove what was there before with all its versions.

        Raises:
            NotArchivedError: there is no such object.
            ChecksumError: the archive does not give back what it was given.
            LockedError: the new content is there, but the store keeps an older version until a later time.

        """
        self.information(checked_name(name))
        given = described(name, path)
        self._write(name, path, given, None, progress)
        found = self.verify(name, given.sha256, progress=progress)
        self._remove_older(name)
        return found

    def verify(self, name: str, sha256: str = "", *, progress: Progress = no_progress) -> Archived:
        """Read an object from the archive and compare it with its checksums; return what is there.

        Args:
            name: of the object.
            sha256: what its bytes must hash to; by default the checksum that the archive stores.
            progress: see :data:`Progress`.

        Raises:
            ChecksumError: it hashes to something else, or the stored checksum is another.
            NotArchivedError: there is no such object.

        """
        found = self.information(name)
        expected = sha256 or found.sha256
        if not expected:
            raise ChecksumError(f"{name} has no checksum in the archive, so nothing can be said of its content")
        if found.sha256 not in ("", expected):
            raise ChecksumError(f"{name}: the archive stores the checksum {found.sha256}, but it must be {expected}")
        with self.open(name) as stream:
            digest, size = digest_of(stream, progress)
        if digest != expected:
            raise ChecksumError(
                f"{name}: the archive gives back {size} bytes with the checksum {digest}, not {expected}"
            )
        return Archived(name, size, digest)


class Stream(io.RawIOBase):
    """What an archive gives back, read with the archive's sentences for what goes wrong on the way.

    Args:
        source: has ``read(size)``.
        guard: makes the context in which it is read; it raises :class:`ArchiveError`.

    """

    def __init__(self, source: Any, guard: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self._source, self._guard = source, guard

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return at most that many bytes, all that are left when it is below 0, none at the end.

        Raises:
            ArchiveError: the archive breaks off.

        """
        with self._guard():
            found: bytes = self._source.read(size) if size >= 0 else self._source.read()
        return found

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer and return how many bytes there were."""
        found = self.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


def checked_name(name: str) -> str:
    """Return a name that every store takes.

    Raises:
        ArchiveError: it is empty, too long, or has parts that a file system or a URL would read in its own way.

    """
    if not name or len(name) > _LONGEST_NAME or not all(map(_PART.fullmatch, name.split("/"))):
        raise ArchiveError(
            f"{name!r} is no name in an archive: parts of letters, digits and _.@+- that begin with a letter, a digit "
            f"or _, joined by slashes, {_LONGEST_NAME} characters at most"
        )
    return name


def described(name: str, path: Path) -> Archived:
    """Return what an archive must say of a file once it has it.

    Raises:
        ArchiveError: it cannot be read.

    """
    try:
        with path.open("rb") as file:
            digest, size = digest_of(file)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error}") from error
    return Archived(name, size, digest)


def digest_of(stream: IO[bytes] | Stream, progress: Progress = no_progress) -> tuple[str, int]:
    """Return the SHA-256 of what is left in a stream as hexadecimal digits, and its length in bytes."""
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK_BYTES):
        digest.update(chunk)
        size += len(chunk)
        progress(len(chunk))
    return digest.hexdigest(), size
