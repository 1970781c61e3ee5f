"""Archives of log files outside the log directory: an interface, directories, and S3-compatible stores."""

from logbastion.archives.address import archive_at, archive_from_environment, host_in_archive
from logbastion.archives.directory import DirectoryStore
from logbastion.archives.s3 import S3Store
from logbastion.archives.store import (
    Archived,
    ArchiveError,
    ArchiveExistsError,
    ArchiveStore,
    ChecksumError,
    LockedError,
    NotArchivedError,
    OlderVersion,
)

__all__ = [
    "ArchiveError",
    "ArchiveExistsError",
    "ArchiveStore",
    "Archived",
    "ChecksumError",
    "DirectoryStore",
    "LockedError",
    "NotArchivedError",
    "OlderVersion",
    "S3Store",
    "archive_at",
    "archive_from_environment",
    "host_in_archive",
]
