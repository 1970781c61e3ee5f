"""Replaces the file of keys of pseudonyms in one step, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from typing import Final

MAX_FILE_BYTES: Final = 65_536
_LEFT_OVER: Final = re.compile(r"\.[0-9a-f]{16}\.new")


@contextlib.contextmanager
def alone_with(target: str) -> Iterator[None]:
    """Wait for others who change the file, and remove what a killed one has left: it holds keys.

    Raises:
        OSError: the directory cannot be opened or written.

    """
    directory, name = os.path.split(target)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for entry in os.listdir(directory):
            if entry.startswith(name) and _LEFT_OVER.fullmatch(entry[len(name) :]):
                os.unlink(os.path.join(directory, entry))
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rewritten(target: str, exists: bool, change: Callable[[bytes], bytes]) -> OSError | None:
    """Write a new file and give it the old one's name; return what went wrong instead of raising it.

    The keys are in this frame and in that of ``change``, which must not raise either. The new file has mode 0600 until
    it is complete and on the disk, and then owner, group and mode of the old one.

    Args:
        target: the file; no link.
        exists: whether it is there.
        change: takes the old content, empty when there is none, and returns the new one.

    """
    copy = f"{target}.{secrets.token_hex(8)}.new"
    descriptor = -1
    try:
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.fchmod(descriptor, 0o600)
        content = b""
        if exists:
            with open(target, "rb", buffering=0) as old:
                content = old.read(MAX_FILE_BYTES + 1)
                before = os.fstat(old.fileno())
        if content and not content.endswith(b"\n"):
            content += b"\n"
        content = change(content)
        if len(content) > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, "The file of keys would become too large", target)
        while content:
            content = content[os.write(descriptor, content) :]
        os.fsync(descriptor)
        if exists:
            now = os.fstat(descriptor)
            if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
        os.rename(copy, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(copy)
        return OSError(error.errno, error.strerror, target)  # a new one: the old one's traceback holds this frame
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return None
