"""The manifest in the archive: each run puts its new entries there as an object of their own, never overwritten."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from logbastion.archives.store import ArchiveError, ArchiveStore, ChecksumError
from logbastion.files import FILE_MODE
from logbastion.retention.manifest import Manifest

SEGMENT_FILE: Final = ".manifest-segment.partial"
MANIFEST_PREFIX: Final = "manifests/"
_SEGMENT: Final = re.compile(r".*/(\d{8})-(\d{8})\.jsonl")


class ManifestCopies:
    """Copies of one host's manifest in an archive. Methods raise :class:`~logbastion.archives.ArchiveError`.

    Args:
        store: the archive.
        host: its name there.
        manifest: in the log directory.

    """

    def __init__(self, store: ArchiveStore, host: str, manifest: Manifest) -> None:
        self._store, self._manifest = store, manifest
        self.prefix = f"{MANIFEST_PREFIX}{host}/"

    def last_number(self) -> int:
        """Return how many entries the archive has; 0 when it has none."""
        return max((last for _, last, _ in self._segments()), default=0)

    def lines(self) -> list[bytes]:
        """Return all entries that the archive has, each as the line that it was.

        Raises:
            ChecksumError: one of the objects was altered, or one is missing between the others.

        """
        found: list[bytes] = []
        for first, last, name in self._segments():
            if first != len(found) + 1:
                raise ChecksumError(f"the archive lacks the entries {len(found) + 1} to {first - 1} of the manifest")
            found += self._read(name)
            if len(found) != last:
                raise ChecksumError(f"{name} in the archive has not as many entries as its name says")
        return found

    def bring_up_to_date(self) -> None:
        """Put what was appended to the manifest since the last copy into the archive.

        Raises:
            ChecksumError: the manifest does not go on from what the archive has: one of the two was altered.

        """
        segments, lines = self._segments(), self._manifest.lines()
        last = 0
        if segments:
            first, last, name = segments[-1]
            if self._read(name) != lines[first - 1 : last]:
                raise ChecksumError(
                    f"the manifest here does not go on from entry {last} in the archive: one of the two was altered or "
                    "cut; `logbastion verify` says more"
                )
        if len(lines) > last:
            self._put(lines[last:], last + 1)

    def _put(self, lines: list[bytes], first: int) -> None:
        path = self._manifest.path.with_name(SEGMENT_FILE)
        path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, FILE_MODE), "wb") as file:
            file.writelines(line + b"\n" for line in lines)
        try:
            self._store.put(f"{self.prefix}{first:08}-{first + len(lines) - 1:08}.jsonl", path)
        finally:
            path.unlink(missing_ok=True)

    def _segments(self) -> list[tuple[int, int, str]]:
        found = ((_SEGMENT.fullmatch(name), name) for name in self._store.names(self.prefix))
        return sorted((int(match[1]), int(match[2]), name) for match, name in found if match)

    def _read(self, name: str) -> list[bytes]:
        self._store.verify(name)
        with self._store.open(name) as stream:
            return stream.read().splitlines()


def restore_manifest(path: Path, lines: list[bytes]) -> None:
    """Write a manifest that the archive has to where none is.

    Raises:
        ArchiveError: there is one already.
        OSError: it cannot be written.

    """
    partial = path.with_name(SEGMENT_FILE)
    partial.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(partial, flags, FILE_MODE), "wb") as file:
        file.writelines(line + b"\n" for line in lines)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(partial, path, follow_symlinks=False)
    except FileExistsError:
        raise ArchiveError(f"there is a manifest in {path.parent} already; it is not overwritten") from None
    finally:
        partial.unlink(missing_ok=True)
