"""An archive in a directory: another disk, or another host's that is mounted here."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final, NoReturn

from logbastion.archives.store import (
    CHUNK_BYTES,
    Archived,
    ArchiveError,
    ArchiveStore,
    ChecksumError,
    NotArchivedError,
    OlderVersion,
    Progress,
    Stream,
    checked_name,
)
from logbastion.syncing import sync_directory

_DIRECTORY_MODE: Final = 0o750  # guide, "File System Permissions"
_FILE_MODE: Final = 0o640
_CHECKSUM_SUFFIX: Final = ".sha256"
_PARTIAL_SUFFIX: Final = ".partial"
_SUM: Final = re.compile(r"([0-9a-f]{64})  \S+\n")
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_EXISTING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class DirectoryStore(ArchiveStore):
    """Keeps each object as a file, 0640, with its checksum beside it as ``sha256sum --check`` reads it.

    Args:
        root: must exist whenever the archive is used. Name a directory *inside* a mounted file system: when that is not
            mounted, the directory is missing, and nothing is archived into the mount point.

    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()

    def __str__(self) -> str:
        return str(self.root)

    def names(self, prefix: str = "") -> Iterator[str]:
        """Return the names of complete objects that begin with the prefix, sorted."""
        self._check_root()
        found = []
        with _sentences(f"the archive {self.root} cannot be listed"):
            for name in self._files(prefix):
                if not name.endswith((_CHECKSUM_SUFFIX, _PARTIAL_SUFFIX)):
                    found.append(name)
        return iter(sorted(found))

    def information(self, name: str) -> Archived:
        """Return size and stored checksum.

        Raises:
            NotArchivedError: there is no such object.

        """
        path = self._path(name)
        self._check_root()
        try:
            size = os.stat(path, follow_symlinks=False).st_size
        except (FileNotFoundError, NotADirectoryError):
            raise NotArchivedError(f"{name} is not in the archive {self.root}") from None
        except OSError as error:
            raise ArchiveError(f"{name} cannot be looked at in the archive {self.root}: {error}") from error
        try:
            match = _SUM.fullmatch(path.with_name(path.name + _CHECKSUM_SUFFIX).read_text(encoding="ascii"))
        except FileNotFoundError:
            return Archived(name, size, "")
        except (OSError, UnicodeDecodeError) as error:
            raise ArchiveError(f"the checksum of {name} cannot be read: {error}") from error
        if match is None:
            raise ChecksumError(f"the checksum of {name} cannot be understood; compare the object with another copy")
        return Archived(name, size, match[1])

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        """Open an object for reading.

        Raises:
            NotArchivedError: there is no such object.

        """
        self._check_root()
        try:
            file = os.fdopen(os.open(self._path(name), _EXISTING), "rb")
        except (FileNotFoundError, NotADirectoryError):
            raise NotArchivedError(f"{name} is not in the archive {self.root}") from None
        except OSError as error:
            raise ArchiveError(f"{name} cannot be read from the archive {self.root}: {error}") from error
        with file:
            yield Stream(file, partial(_sentences, f"{name} cannot be read from the archive {self.root}"))

    def delete(self, name: str) -> None:
        """Remove an object; one that is not there is no error.

        Raises:
            ArchiveError: it cannot be removed.

        """
        self._check_root()
        path = self._path(name)
        with _sentences(f"{name} cannot be removed from the archive {self.root}"):
            # The checksum last: without it, an object that is left would look as if it never had one.
            for suffix in (_PARTIAL_SUFFIX, "", _CHECKSUM_SUFFIX):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_directory(path.parent)

    def clear_begun(self, prefix: str) -> None:
        """Remove partial files of names that begin with the prefix."""
        self._check_root()
        with _sentences(f"partial files cannot be removed from the archive {self.root}"):
            for name in self._files(prefix):
                if name.endswith(_PARTIAL_SUFFIX):
                    (self.root / name).unlink()

    def older_versions(self, prefix: str = "") -> Iterator[OlderVersion]:
        """Return nothing: a directory has no versions."""
        return iter(())

    def open_older(self, older: OlderVersion) -> NoReturn:
        """Raise :class:`NotArchivedError`."""
        raise NotArchivedError(f"{older.name} has no older versions in the archive {self.root}")

    def remove_older(self, older: OlderVersion) -> None:
        """Do nothing: a directory has no versions."""

    def _write(self, name: str, path: Path, found: Archived, locked_until: datetime | None, progress: Progress) -> None:
        self._check_root()
        target = self._path(name)
        with _sentences(f"{name} cannot be written to the archive {self.root}"):
            self._make(target.parent)
            with path.open("rb") as source, _new(target.with_name(target.name + _PARTIAL_SUFFIX)) as copy:
                while chunk := source.read(CHUNK_BYTES):
                    copy.write(chunk)
                    progress(len(chunk))
            # The checksum first: an object is never there without one.
            sums = target.with_name(target.name + _CHECKSUM_SUFFIX)
            with _new(sums.with_name(sums.name + _PARTIAL_SUFFIX)) as file:
                file.write(f"{found.sha256}  {target.name}\n".encode("ascii"))
            os.rename(sums.with_name(sums.name + _PARTIAL_SUFFIX), sums)
            os.rename(target.with_name(target.name + _PARTIAL_SUFFIX), target)
            sync_directory(target.parent)

    def _remove_older(self, name: str) -> None:
        """Nothing is left of what had the name before."""

    def _files(self, prefix: str) -> Iterator[str]:
        """Return the names of all files that begin with the prefix; only directories that can have some are read."""
        top = prefix.rpartition("/")[0]
        start = self.root / checked_name(top) if top else self.root
        if not start.is_dir():
            return
        root = f"{self.root}{os.sep}"
        for directory, _, files in os.walk(start, onerror=_raise):
            within = f"{directory}{os.sep}".removeprefix(root)
            yield from (name for file in files if (name := within + file).startswith(prefix))

    def _check_root(self) -> None:
        if not self.root.is_dir():
            raise ArchiveError(
                f"there is no directory {self.root} to archive to; make it, or mount the file system that it is on"
            )

    def _path(self, name: str) -> Path:
        path = self.root / checked_name(name)
        # A link inside the archive must not lead a log to where everybody reads it.
        root = os.path.realpath(self.root)
        if os.path.commonpath([root, os.path.realpath(path.parent)]) != root:
            raise ArchiveError(f"{name} leads out of the archive {self.root} by a link; remove the link")
        return path

    def _make(self, directory: Path) -> None:
        missing = []
        while not directory.exists():
            missing.append(directory)
            directory = directory.parent
        for one in reversed(missing):
            one.mkdir(mode=_DIRECTORY_MODE)
            sync_directory(one.parent)


@contextlib.contextmanager
def _new(partial: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that is synced at the end, and removed when that was not reached."""
    partial.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(partial, _NEW, _FILE_MODE), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _sentences(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(f"{what}: {error}") from error


def _raise(error: OSError) -> None:
    raise error
