"""The directory of one process inside the spool, and the lock that says whose it is.

``owner.lock`` is locked with a POSIX record lock: the kernel takes it back when the process ends, however it ends, and
a child of ``fork`` does not inherit it. Two traps of these locks are dealt with here: within one process they do not
conflict, and closing any descriptor of the file gives the lock up. So this module remembers which directories are its
process's own, and nobody opens the lock file of one of these again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import socket
import struct
import threading
from typing import Final

from logbastion.processes import after_fork

DIRECTORY_MODE: Final = 0o750
FILE_MODE: Final = 0o600
LOCK_NAME: Final = "owner.lock"
QUARANTINE: Final = "quarantine"
DEAD_LETTERS: Final = "dead_letters"
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9.-]+")
_PROCESS_NAME: Final = re.compile(r"[A-Za-z0-9.-]{1,64}-\d+-[0-9a-f]{12}")
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_ATTEMPTS: Final = 20
_FLOCK: Final = "hhqqi4x"
"""``struct flock`` of Linux on 64 bits: type, whence, start, length, process id."""

_owned: set[tuple[int, int]] = set()
_guard = threading.RLock()


def _after_fork_in_child() -> None:
    global _guard  # noqa: PLW0603 - the parent's may be held by a thread that is not here
    _guard = threading.RLock()
    _owned.clear()


after_fork(_after_fork_in_child)


def process_name() -> str:
    """Return a name that no other process has: host, process id, and chance."""
    host = _NOT_IN_NAMES.sub("-", socket.gethostname())[:64].strip(".-") or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(6)}"


def is_process_name(name: str) -> bool:
    """Say whether a directory of this name may be a process's."""
    return _PROCESS_NAME.fullmatch(name) is not None


def make_private_directory(path: str) -> None:
    """Make a directory with mode 0750, parents included, unless it is there.

    Raises:
        OSError: it cannot be made.

    """
    os.makedirs(os.path.dirname(path) or ".", mode=DIRECTORY_MODE, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, DIRECTORY_MODE)


class ProcessDirectory:
    """A directory that this process owns until :meth:`release` or :meth:`remove`, or its end.

    Args:
        path: of the directory.
        descriptor: of its lock file, locked.

    """

    def __init__(self, path: str, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        status = os.fstat(descriptor)
        self._identity = (status.st_dev, status.st_ino)
        _owned.add(self._identity)

    @classmethod
    def create(cls, root: str) -> ProcessDirectory:
        """Make a new directory and own it.

        Raises:
            OSError: the disk is full, read-only, or not ours to write.

        """
        make_private_directory(root)
        for _ in range(_ATTEMPTS):
            path = os.path.join(root, process_name())
            os.mkdir(path, DIRECTORY_MODE)
            try:
                with _guard:
                    descriptor = os.open(os.path.join(path, LOCK_NAME), _OPEN | os.O_CREAT | os.O_EXCL, FILE_MODE)
                    owned = cls._locked(path, descriptor)
            except FileNotFoundError:
                continue  # a process that tidies up has found it empty and removed it
            except OSError:
                with contextlib.suppress(OSError):
                    os.rmdir(path)
                raise
            if owned is not None:
                return owned
        raise BlockingIOError(f"no directory in {root} could be kept for this process")

    @classmethod
    def adopt(cls, path: str) -> ProcessDirectory | None:
        """Take over the directory of a process that has ended; None when its owner lives or another was faster.

        Raises:
            OSError: it is not ours to open.

        """
        lock_path = os.path.join(path, LOCK_NAME)
        with _guard:
            try:
                status = os.stat(lock_path, follow_symlinks=False)
                if (status.st_dev, status.st_ino) in _owned:
                    return None  # opening and closing it would give the lock up
                descriptor = os.open(lock_path, _OPEN)
            except FileNotFoundError:
                with contextlib.suppress(OSError):
                    os.rmdir(path)  # its process has died before its first event; fails when anything is in it
                return None
            return cls._locked(path, descriptor)

    @classmethod
    def _locked(cls, path: str, descriptor: int) -> ProcessDirectory | None:
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(descriptor)
            there = os.stat(os.path.join(path, LOCK_NAME), follow_symlinks=False)
            # The owner before us may have deleted it all between our opening and our locking.
            if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
                return cls(path, descriptor)
        except (BlockingIOError, PermissionError, FileNotFoundError):
            pass
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def is_there(self) -> bool:
        """Say whether the directory is still the one that was taken; somebody may have deleted it."""
        try:
            status = os.stat(os.path.join(self.path, LOCK_NAME), follow_symlinks=False)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def release(self) -> None:
        """Leave the directory to whoever adopts it."""
        with _guard:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                _owned.discard(self._identity)
                os.close(descriptor)

    def remove(self) -> None:
        """Delete the directory with the files that a spool makes, the lock last, and give it up."""
        if self.is_there():
            with contextlib.suppress(OSError):
                for name in os.listdir(self.path):
                    if name.endswith((".spool", ".position")) or name.startswith("status.json"):
                        os.unlink(os.path.join(self.path, name))
                os.unlink(os.path.join(self.path, LOCK_NAME))
                os.rmdir(self.path)
        self.release()

    def forget(self) -> None:
        """Close the descriptor: in the child of a fork, where it carries no lock."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)


def process_directories(root: str) -> list[str]:
    """Return the paths of all processes' directories, the oldest first.

    Raises:
        OSError: the root cannot be read.

    """
    found: list[tuple[int, str]] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(root) as entries:
        for entry in entries:
            if is_process_name(entry.name) and entry.is_dir(follow_symlinks=False):
                try:
                    # Written once, at the start of its process.
                    moment = os.stat(os.path.join(entry.path, LOCK_NAME), follow_symlinks=False).st_mtime_ns
                except OSError:
                    moment = 0
                found.append((moment, entry.path))
    return [path for _, path in sorted(found)]


def owner_of(path: str) -> int | None:
    """Return the id of the process that owns a directory, or None when nobody does. Takes no lock.

    Raises:
        OSError: the lock file must not be opened.

    """
    with _guard:
        try:
            status = os.stat(os.path.join(path, LOCK_NAME), follow_symlinks=False)
            if (status.st_dev, status.st_ino) in _owned:
                return os.getpid()  # opening and closing it would give the lock up
            descriptor = os.open(os.path.join(path, LOCK_NAME), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
        return None if kind == fcntl.F_UNLCK else int(pid)
    finally:
        os.close(descriptor)
