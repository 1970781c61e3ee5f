"""Log files that are private from the first byte (guide, "File System Permissions": files 0640, directories 0750)."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Final

from logbastion.formatters import EventFormatter
from logbastion.streams import stream_for

FILE_MODE: Final = 0o640
DIRECTORY_MODE: Final = 0o750
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def make_log_directory(directory: Path) -> None:
    """Create the directory with mode 0750 if it is not there, and leave an existing one alone.

    Raises:
        OSError: it cannot be created.

    """
    try:
        directory.mkdir(mode=DIRECTORY_MODE, parents=True)
    except FileExistsError:
        return
    # The process's umask may have taken bits away; it can never have added any, so there is no moment of openness.
    directory.chmod(DIRECTORY_MODE | (directory.stat().st_mode & stat.S_ISGID))


class PrivateAppendFile:
    """A file that several processes append lines to.

    Each line is one ``write`` on a descriptor opened with ``O_APPEND``, so lines never mix. When the file was renamed
    or removed by a rotation, the next line opens a new one. Not safe between threads: the handler's lock is.

    Args:
        path: the file; its directory must exist. A symbolic link is refused.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        self._identity = (0, 0)
        self._torn = False

    def write(self, line: bytes) -> None:
        """Append a line that ends with a line break.

        Raises:
            OSError: the file cannot be opened or written, for example because the disk is full.
            PermissionError: the file is open to everybody and belongs to somebody else.

        """
        if not self._is_current():
            self._open()
        if self._torn:
            line = b"\n" + line  # end the half line that a full disk has left, so that this one can be read
        written = os.write(self._descriptor, line)
        self._torn = False
        while written < len(line):
            self._torn = True
            written += os.write(self._descriptor, line[written:])
        self._torn = False

    def close(self) -> None:
        """Close the descriptor; the next write opens the file again."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _is_current(self) -> bool:
        if self._descriptor < 0:
            return False
        try:
            found = os.stat(self.path, follow_symlinks=False)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def _open(self) -> None:
        self.close()
        descriptor = os.open(self.path, _FLAGS, FILE_MODE)
        try:
            status = os.fstat(descriptor)
            mode = stat.S_IMODE(status.st_mode)
            if mode != FILE_MODE:
                try:
                    os.fchmod(descriptor, FILE_MODE)
                except PermissionError:
                    # Somebody else's file. Tighter than ours is fine; open to others is not.
                    if mode & 0o007:
                        raise
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._identity = (status.st_dev, status.st_ino)


class StreamFileHandler(logging.Handler):
    """Writes each record to ``<directory>/<stream>.log``, the stream being that of its logger.

    One handler on the root logger serves all streams. The group of the files is that of the directory when the
    directory has the setgid bit (``django-app:log-readers`` on a host made by the role ``django_logging``).
    Errors go to :meth:`logging.Handler.handleError`, never to the caller.

    Args:
        directory: created with mode 0750 when it is not there.

    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__()
        self.directory = Path(directory)
        self._files: dict[str, PrivateAppendFile] = {}
        self.setFormatter(EventFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record's line to the file of its stream."""
        try:
            formatter = self.formatter
            if isinstance(formatter, EventFormatter):
                line = formatter.format_bytes(record)
            else:
                text = self.format(record).replace("\n", "\\n")  # one record, one line, whatever the formatter
                line = text.encode("utf-8", "replace") + b"\n"
            self._file(stream_for(record.name, record.levelno)).write(line)
        except Exception:  # logging never stops the application
            self.handleError(record)

    def close(self) -> None:
        """Close the files; a record that still comes opens its file again."""
        self.acquire()
        try:
            for file in self._files.values():
                file.close()
        finally:
            self.release()
        super().close()

    def _file(self, stream: str) -> PrivateAppendFile:
        file = self._files.get(stream)
        if file is None:
            make_log_directory(self.directory)
            file = self._files[stream] = PrivateAppendFile(self.directory / f"{stream}.log")
        return file
