"""Brings names to the disk: a file that was synced can still be missing after a power failure when its name was not."""

from __future__ import annotations

import os


def sync_directory(directory: str | os.PathLike[str]) -> None:
    """Bring new, renamed and removed names in a directory to the disk (``fsync(2)``).

    Raises:
        OSError: the directory cannot be opened or synced.

    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
