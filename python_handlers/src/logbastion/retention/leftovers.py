"""What is in the archive and should not be: what a run left that broke off, and what somebody else has put there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from logbastion.archives.store import ArchiveStore
from logbastion.retention.codecs import base_of
from logbastion.retention.manifest import ARCHIVE_PREFIX, BACKUP_PREFIX, Manifest


class Leftover(NamedTuple):
    """A copy that the manifest does not have.

    Args:
        name: in the archive.
        is_ours: whether the manifest knows the file and has its copies elsewhere, or has it as deleted.

    """

    name: str
    is_ours: bool


def leftovers(store: ArchiveStore, host: str, manifest: Manifest) -> Iterator[Leftover]:
    """Return the copies of a host in the archive that its manifest does not have, but those that are being made.

    Raises:
        ArchiveError: the archive cannot be listed.

    """
    states = manifest.logs.values()
    known = {entry.archive for state in states for entry in (state.archived, state.backup) if entry is not None}
    for prefix in (ARCHIVE_PREFIX, BACKUP_PREFIX):
        for name in store.names(f"{prefix}{host}/"):
            if name in known:
                continue
            state = manifest.logs.get(base_of(name.rpartition("/")[2]))
            if state is None:
                yield Leftover(name, False)
            elif state.local is None or (prefix == BACKUP_PREFIX and state.backup is not None):
                yield Leftover(name, True)
