"""A private log file of limited size, which several processes may write and rotate."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from logbastion.files import PrivateAppendFile


class RotatingFile:
    """Appends lines to a file, and begins a new one when the next line would make it larger than its limit.

    Files are created 0640 (see :class:`~logbastion.files.PrivateAppendFile`), and rotation only renames them. One
    process rotates at a time, under a lock on the directory; the others notice at their next line. Whoever finds the
    directory locked goes on writing and rotates later. Not safe between threads.

    Args:
        path: the file; its directory must exist when it is written.
        max_bytes: of one file, unless a single line is longer.
        backup_count: how many full files are kept as ``<path>.1`` (the newest), ``<path>.2`` and so on.

    Raises:
        ValueError: there would be no room for a line, or no file to rotate to.

    """

    def __init__(self, path: str, max_bytes: int, backup_count: int) -> None:
        if max_bytes < 1:
            raise ValueError("A file needs room for something: max_bytes must be 1 or more.")
        if backup_count < 1:
            raise ValueError("A file that is full has to go somewhere: backup_count must be 1 or more.")
        self.path = Path(path)
        self.max_bytes = max_bytes
        self.backup_count = backup_count
        self._file = PrivateAppendFile(self.path)

    def write(self, line: bytes) -> None:
        """Append a line that ends with a line break.

        Raises:
            OSError: the file cannot be opened or written.

        """
        if self._is_full_for(line):
            self._rotate(line)
        self._file.write(line)

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        self._file.close()

    def _is_full_for(self, line: bytes) -> bool:
        try:
            size = os.stat(self.path, follow_symlinks=False).st_size
        except FileNotFoundError:
            return False
        return size > 0 and size + len(line) > self.max_bytes

    def _rotate(self, line: bytes) -> None:
        with _alone_in(self.path.parent) as alone:
            # Another process may have done it while this one looked.
            if not alone or not self._is_full_for(line):
                return
            # Up to the first free place only: the others go on writing to the full file meanwhile.
            last = 1
            while last < self.backup_count and self._backup(last).exists():
                last += 1
            for number in range(last, 0, -1):
                older = self._backup(number)
                newer = self._backup(number - 1) if number > 1 else self.path
                with contextlib.suppress(FileNotFoundError):
                    os.replace(newer, older)

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[bool]:
    """Lock a directory among processes that ask, and say whether that was possible at once."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
