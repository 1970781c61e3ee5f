"""The places where this host has copies of events, in the order in which a person is erased from them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from logbastion.archives.address import archive_from_environment, host_in_archive
from logbastion.archives.directory import DirectoryStore
from logbastion.archives.store import ArchiveStore
from logbastion.erasure.archives import Archives
from logbastion.erasure.files import LogFiles
from logbastion.erasure.place import Place
from logbastion.erasure.spool import DEFAULT_WAIT_SECONDS, places_of_spool

LOG_DIRECTORY_VARIABLE: Final = "LOGBASTION_LOG_DIRECTORY"
SPOOL_VARIABLE: Final = "LOGBASTION_SPOOL_DIRECTORY"


def places_from_environment() -> list[Place]:
    """Return the places that the environment names, with the variables that logging and retention use.

    They are ``LOGBASTION_LOG_DIRECTORY``, ``LOGBASTION_SPOOL_DIRECTORY``, ``LOGBASTION_ARCHIVE`` and
    ``LOGBASTION_ARCHIVE_HOST``.

    Raises:
        ArchiveError: the archive cannot be used.

    """
    archive = archive_from_environment()
    return local_places(
        log_directory=os.environ.get(LOG_DIRECTORY_VARIABLE) or None,
        spool=os.environ.get(SPOOL_VARIABLE) or None,
        archive=archive,
        host=host_in_archive() if archive is not None else "",
    )


def local_places(
    *,
    log_directory: str | os.PathLike[str] | None = None,
    spool: str | os.PathLike[str] | None = None,
    archive: ArchiveStore | None = None,
    host: str = "",
    dead_letters: Iterable[str | os.PathLike[str]] = (),
    spool_wait_seconds: float = DEFAULT_WAIT_SECONDS,
) -> list[Place]:
    """Return the places of this host. Where events go comes after where they come from.

    Args:
        log_directory: of the ``<stream>.log`` files.
        spool: of the application's processes, with its dead letters and quarantine.
        archive: of that directory's files.
        host: under whose name they are there.
        dead_letters: directories of an ingest's dead letters (rsyslog's and Logstash's), without a lock or manifest.
        spool_wait_seconds: see :class:`.spool.SpoolFiles`.

    """
    found: list[Place] = []
    inside = [spool, archive.root if isinstance(archive, DirectoryStore) else None]
    leave_out = [one for one in inside if one is not None]
    if spool is not None:
        found += places_of_spool(spool, spool_wait_seconds)
    names: dict[str, int] = {}
    for directory in dead_letters:
        base = Path(directory).name or "ingest"
        names[base] = names.get(base, 0) + 1
        number = f" {names[base]}" if names[base] > 1 else ""
        found.append(LogFiles(directory, name=f"ingest: {base}{number}", lock=False))
    if log_directory is not None:
        found.append(LogFiles(log_directory, leave_out=leave_out))
        if archive is not None:
            found.append(Archives(archive, host, log_directory))
    return found
