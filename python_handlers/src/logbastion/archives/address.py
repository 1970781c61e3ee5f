"""The archive that a setting names: ``LOGBASTION_ARCHIVE``."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from logbastion.archives.directory import DirectoryStore
from logbastion.archives.s3 import S3Store
from logbastion.archives.store import ArchiveError, ArchiveStore, checked_name

VARIABLE: Final = "LOGBASTION_ARCHIVE"
HOST_VARIABLE: Final = "LOGBASTION_ARCHIVE_HOST"
_ARGUMENTS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "endpoint": ("endpoint", str),
    "region": ("region", str),
    "ca_file": ("ca_file", str),
    "profile": ("profile", str),
    "sse": ("encryption", str),
    "kms_key": ("kms_key", str),
    "lock": ("lock", str),
}
_SHAPES: Final = (
    "an absolute path, or s3://BUCKET/PREFIX with any of " + ", ".join(_ARGUMENTS) + " after a question mark"
)


def archive_at(address: str) -> ArchiveStore:
    """Return the archive of an address.

    Args:
        address: ``/path``, or ``s3://bucket/prefix?endpoint=https://...&region=...`` with the arguments of
            :class:`~logbastion.archives.s3.S3Store`; ``encryption`` is called ``sse``.

    Raises:
        ArchiveError: it cannot be understood, or the archive cannot be used.

    """
    if address.startswith("/"):
        return DirectoryStore(address)
    parts = urlsplit(address)
    if parts.scheme != "s3" or not parts.netloc:
        raise ArchiveError(f"{VARIABLE} must be {_SHAPES}")
    if "@" in parts.netloc:
        raise ArchiveError(f"{VARIABLE} holds credentials; give them to boto in its own files or variables")
    found = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _ARGUMENTS:
            raise ArchiveError(f"{VARIABLE} has an argument {name!r} that nobody knows; it must be {_SHAPES}")
        argument, convert = _ARGUMENTS[name]
        found[argument] = convert(value)
    return S3Store(parts.netloc, parts.path.strip("/"), **found)


def archive_from_environment() -> ArchiveStore | None:
    """Return the archive of ``LOGBASTION_ARCHIVE``, None when the variable is not set or empty.

    Raises:
        ArchiveError: it cannot be understood, or the archive cannot be used.

    """
    address = os.environ.get(VARIABLE)
    return archive_at(address) if address else None


def host_in_archive() -> str:
    """Return the name under which this host's files are archived: ``LOGBASTION_ARCHIVE_HOST``, else the host's own.

    Raises:
        ArchiveError: it is no name of one part in an archive.

    """
    name = os.environ.get(HOST_VARIABLE) or socket.gethostname()
    if "/" in name:
        raise ArchiveError(f"{HOST_VARIABLE} is {name!r}, but must be one word without a slash")
    return checked_name(name)
