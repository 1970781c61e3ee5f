"""Compressing a log file so that at every moment either the file or its complete copy is there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from logbastion.files import FILE_MODE
from logbastion.retention.codecs import DAMAGED, GZIP, SUFFIX_OF, reading, writing
from logbastion.syncing import sync_directory

PARTIAL_SUFFIX: Final = ".partial"
_CHUNK: Final = 1 << 18
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class CompressionError(Exception):
    """The file was left as it was; the message is a sentence."""


def compress(path: Path, youngest: datetime, codec: str = GZIP) -> Path:
    """Replace a file by its compressed copy, which has the same owner and at most its mode; return the copy's path.

    The copy is written beside the file under another name, synced, read back and compared, then renamed; only then is
    the file removed. After a crash the next call begins anew, or removes a file whose copy is complete.

    Args:
        path: a file that nobody writes to any more.
        youngest: the time of its last record; it goes into the header of a gzip copy (RFC 1952, MTIME).
        codec: ``gzip`` or ``zstd``.

    Raises:
        CompressionError: the copy is not the same, the file was written to meanwhile, or something else has its name.
        OSError: for example a full disk. The file is as it was, and the partial copy is removed.
        CodecError: the compression is not installed.

    """
    target = path.with_name(path.name + SUFFIX_OF[codec])
    before = os.stat(path, follow_symlinks=False)
    digest = _digest_of(path.open("rb"))
    if os.path.lexists(target):
        if _digest_of_copy(target, target.name) != digest:
            raise CompressionError(
                f"{target.name} is there already and holds something else; look at both, and remove one"
            )
    else:
        partial = target.with_name(target.name + PARTIAL_SUFFIX)
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        try:
            _write_copy(path, partial, before, youngest, codec)
            if _digest_of_copy(partial, target.name) != digest:
                raise CompressionError(f"the copy of {path.name} could not be read back as it was written")
            os.rename(partial, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                partial.unlink()
            raise
        sync_directory(path.parent)
    after = os.stat(path, follow_symlinks=False)
    if (after.st_ino, after.st_size, after.st_mtime_ns) != (before.st_ino, before.st_size, before.st_mtime_ns):
        target.unlink()
        raise CompressionError(f"{path.name} was written to while it was compressed; it is left for the next run")
    path.unlink()
    sync_directory(path.parent)
    return target


def _write_copy(path: Path, partial: Path, status: os.stat_result, youngest: datetime, codec: str) -> None:
    # Private from the first byte; the file's own mode and owner follow before anything is in it.
    descriptor = os.open(partial, _NEW, 0o600)
    with os.fdopen(descriptor, "wb") as raw:
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.fstat(descriptor).st_gid):
            os.fchown(descriptor, status.st_uid, status.st_gid)
        # Whoever made the file: nobody else may read a log (guide, "File System Permissions").
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & FILE_MODE)
        with writing(raw, codec, youngest) as packed:
            for chunk in _chunks_of(path.open("rb")):
                packed.write(chunk)
        raw.flush()
        os.fsync(descriptor)


def _digest_of_copy(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as raw:
            return _digest_of(reading(raw, name))
    except DAMAGED as error:
        raise CompressionError(f"{path.name} is not a complete compressed file: {error}") from error


def _digest_of(file: IO[bytes]) -> bytes:
    digest = hashlib.sha256()
    for chunk in _chunks_of(file):
        digest.update(chunk)
    return digest.digest()


def _chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk
