"""Events that a receiver will never take: kept with the reason, for a person to look at and perhaps send again."""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from logbastion.shipping.spool.directory import DEAD_LETTERS, FILE_MODE, make_private_directory

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class DeadLetters:
    """Appends to ``<spool directory>/dead_letters/<date>.jsonl``, mode 0600, date in UTC. Nothing deletes these files.

    A line is ``{"refused_at":..., "stream":..., "reason":..., "event":{...}}``. Several processes may append to one
    file: a line is one write.

    Args:
        root: the spool's directory.

    """

    def __init__(self, root: str) -> None:
        self.directory = os.path.join(root, DEAD_LETTERS)

    def keep(self, refused: Sequence[tuple[str, str, bytes]]) -> None:
        """Write events down; returns when they are on the disk itself, since nobody else has them afterwards.

        Args:
            refused: stream, reason and event of each.

        Raises:
            OSError: the disk refuses, too. Some may have been written.

        """
        now = datetime.datetime.now(datetime.timezone.utc)
        lines = b"".join(_line(now.isoformat(timespec="milliseconds"), *one) for one in refused)
        make_private_directory(self.directory)
        path = os.path.join(self.directory, f"{now:%Y-%m-%d}.jsonl")
        descriptor = _locked(path)
        try:
            written = os.write(descriptor, lines)
            if written != len(lines):
                os.write(descriptor, b"\n")  # so that the next line can be read; raises on a full disk
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def _locked(path: str) -> int:
    """Open a file to append to, and keep away whoever is about to send its events again and delete it."""
    while True:
        descriptor = os.open(path, _FLAGS, FILE_MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            mine = os.fstat(descriptor)
            with contextlib.suppress(FileNotFoundError):
                there = os.stat(path, follow_symlinks=False)
                if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


@contextlib.contextmanager
def letters_of(path: str) -> Iterator[list[DeadLetter]]:
    """Give the letters of a file; nobody adds to it, or deletes it, within the block.

    A line that is no letter is left out.

    Raises:
        OSError: the file is not there or must not be read.

    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield [letter for line in file if (letter := _parsed(line)) is not None]


def letter_files(root: str) -> list[str]:
    """Return the paths of all files of dead letters, the oldest first.

    Raises:
        OSError: they must not be listed.

    """
    directory = os.path.join(root, DEAD_LETTERS)
    with contextlib.suppress(FileNotFoundError):
        return sorted(os.path.join(directory, name) for name in os.listdir(directory) if name.endswith(".jsonl"))
    return []


class DeadLetter(NamedTuple):
    """An event that was refused."""

    refused_at: str
    stream: str
    reason: str
    event: Any


def _parsed(line: bytes) -> DeadLetter | None:
    try:
        found = json.loads(line)
        return DeadLetter(found["refused_at"], found["stream"], found["reason"], found["event"])
    except (ValueError, KeyError, TypeError):
        return None


def _line(moment: str, stream: str, reason: str, event: bytes) -> bytes:
    head = json.dumps({"refused_at": moment, "stream": stream, "reason": reason})[:-1].encode()
    try:
        json.loads(event)
    except ValueError:
        event = json.dumps(event.decode("utf-8", "backslashreplace")).encode()
    return b'%b, "event": %b}\n' % (head, event)
