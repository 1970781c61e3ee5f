"""What an auditor asks: was a log altered, cut, put in or taken away? The files are compared with their manifest.

What it proves: nothing that the manifest knows was changed, cut or removed since it was entered, and nothing stands
beside it that it does not know. What it cannot prove: what happened to a file before it was rotated; that a file which
other hands had rotated is what the application wrote; and, by itself, that the manifest was not cut at its end or made
anew as a whole by somebody who may write to the directory. Against the last two there are anchors: each run writes the
head of the chain into the stream audit, which is shipped to another host, and new entries go to the archive.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from logbastion.archives.store import ArchiveError, ArchiveStore, NotArchivedError, Progress, no_progress
from logbastion.retention.codecs import DAMAGED, SUFFIXES, CodecError, read_from
from logbastion.retention.facts import facts_of_stream, stored_digest
from logbastion.retention.leftovers import leftovers
from logbastion.retention.manifest import MANIFEST_FILE, Entry, Head, LogState, Manifest, as_sha256
from logbastion.retention.manifest_copies import ManifestCopies
from logbastion.retention.upkeep import grew_after_rotation

HEAD_EVENT_TYPE: Final = "log_manifest_head"
"""``event_type`` of the event that names the head of the chain in its fields ``entries`` and ``head``."""

ALTERED: Final = "altered"
MISSING: Final = "missing"
UNKNOWN: Final = "unknown"
MANIFEST: Final = "manifest"
HEAD: Final = "head"
UNREADABLE: Final = "unreadable"
_UNREADABLE: Final[tuple[type[Exception], ...]] = (OSError, CodecError, *DAMAGED)


@dataclass(frozen=True)
class Problem:
    """One thing that is not as the manifest says.

    Args:
        kind: ``altered``, ``missing``, ``unknown`` (a log file that the manifest does not have), ``manifest`` (its
            chain is broken), ``head`` (its end is not the one that an anchor names) or ``unreadable``.
        name: of a file, of a copy in the archive, or of the manifest.
        message: a sentence.

    """

    kind: str
    name: str
    message: str


@dataclass
class VerificationReport:
    """What was compared, and what was found."""

    directory: str
    entries: int = 0
    head: str = ""
    files: int = 0
    """Files of the directory that were read and compared."""
    copies: int = 0
    """Copies in the archive that were read back and compared."""
    anchors: int = 0
    """Heads that the stream audit names, and that the chain has."""
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be looked at, or is unusual and no breach."""

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"version": 1, "intact": not self.problems, **asdict(self)}


def verify(
    directory: Path,
    *,
    archive: ArchiveStore | None = None,
    host: str = "",
    expected_head: str = "",
    clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    progress: Progress = no_progress,
) -> VerificationReport:
    """Compare the log files of a directory, and their copies in the archive, with the manifest.

    Args:
        directory: of the log files.
        archive: whose copies are read back, too; without one they are not looked at.
        host: under whose name they are there.
        expected_head: a head that the chain must have, from another place: the field ``head`` of an event, or SHA-256
            as hexadecimal digits.
        clock: returns the time, with a time zone.
        progress: is called with numbers of bytes that came from the archive.

    Raises:
        OSError: the manifest or the directory cannot be read.

    """
    return _Verification(directory, archive, host, clock, progress).run(expected_head)


class _Verification:
    def __init__(
        self,
        directory: Path,
        archive: ArchiveStore | None,
        host: str,
        clock: Callable[[], datetime],
        progress: Progress,
    ) -> None:
        self._directory, self._archive, self._host = directory, archive, host
        self._clock, self._progress = clock, progress
        self._manifest = Manifest(directory / MANIFEST_FILE)
        self._report = VerificationReport(str(directory))

    def run(self, expected_head: str) -> VerificationReport:
        report, manifest = self._report, self._manifest
        report.entries, report.head = manifest.head
        self._check_chain()
        for state in manifest.logs.values():
            self._check_state(state)
        self._look_for_unknown()
        self._check_heads(expected_head)
        if self._archive is not None:
            self._check_copies_of_manifest(self._archive)
        elif copies := sum(1 for state in manifest.logs.values() if state.archived or state.backup):
            report.notes.append(f"copies of {copies} files are in the archive and were not looked at")
        if sealed := sum(1 for state in manifest.logs.values() if state.sealed):
            report.notes.append(f"{sealed} files got events after their rotation, within two days")
        if late := sum(1 for state in manifest.logs.values() if state.found):
            report.notes.append(f"{late} files had been rotated by something else; what was before is not known")
        return report

    def _problem(self, kind: str, name: str, message: str) -> None:
        self._report.problems.append(Problem(kind, name, message))

    def _check_chain(self) -> None:
        for complaint in self._manifest.complaints:
            self._problem(MANIFEST, MANIFEST_FILE, complaint)
        if self._manifest.torn:
            self._problem(
                MANIFEST,
                MANIFEST_FILE,
                "its last line is not complete: a run broke off in it, or it was cut. Run `logbastion retention`, then "
                "verify again",
            )

    def _check_state(self, state: LogState) -> None:
        if state.local is not None:
            self._check_local(state, state.local)
        for entry in (state.archived, state.backup):
            if entry is not None and self._archive is not None:
                self._check_copy(self._archive, entry)

    def _check_local(self, state: LogState, entry: Entry) -> None:
        path = self._directory / entry.file
        try:
            digest, size = stored_digest(path)
            if (digest, size) == (entry.stored_sha256, entry.stored_bytes):
                with path.open("rb") as file:
                    content, events = facts_of_stream(file, entry.file)
                if (content, events) != (entry.content_sha256, entry.events):
                    self._problem(ALTERED, entry.file, "its compressed content is not what the manifest says")
                self._report.files += 1
                return
            if size > entry.stored_bytes and grew_after_rotation(path, state, entry, self._clock()):
                self._report.files += 1
                self._report.notes.append(
                    f"{entry.file} got {size - entry.stored_bytes} bytes after its rotation, which a writer may do "
                    "that still had it open; the next run enters them"
                )
                return
        except FileNotFoundError:
            self._problem(MISSING, entry.file, f"the manifest has it, {entry.action} on {entry.time[:10]}")
            return
        except _UNREADABLE as error:
            self._problem(UNREADABLE, entry.file, str(error))
            return
        difference = size - entry.stored_bytes
        what = f"{abs(difference)} bytes {'more' if difference > 0 else 'fewer'}" if difference else "other bytes"
        self._problem(ALTERED, entry.file, f"it has {what} than were entered on {entry.time[:10]}")

    def _check_copy(self, archive: ArchiveStore, entry: Entry) -> None:
        try:
            archive.verify(entry.archive, entry.stored_sha256, progress=self._progress)
            self._report.copies += 1
        except NotArchivedError:
            self._problem(MISSING, entry.archive, f"the archive must have it since {entry.time[:10]}")
        except ArchiveError as error:
            self._problem(ALTERED, entry.archive, str(error))

    def _look_for_unknown(self) -> None:
        suffixes = "|".join(map(re.escape, SUFFIXES))
        rotated = re.compile(rf"[a-z]+\.log[.-].+?(?:{suffixes})?")
        for path in sorted(self._directory.iterdir()):
            if not rotated.fullmatch(path.name) or path.name.endswith(".partial"):
                continue
            state = self._manifest.state_of(path.name)
            if state is None:
                self._problem(
                    UNKNOWN,
                    path.name,
                    "the manifest does not have it: it was put in, or rotated by something else since the last run",
                )
            elif state.local is None:
                self._report.notes.append(f"{path.name} was {state.last.action} already; the next run removes it")
            elif state.local.file != path.name:
                self._problem(UNKNOWN, path.name, f"the manifest has it as {state.local.file}, which is another file")

    def _check_heads(self, expected_head: str) -> None:
        hashes = [head.sha256 for head in self._manifest.heads()]
        for head, where in self._anchors():
            if head.number > len(hashes):
                self._problem(
                    HEAD,
                    MANIFEST_FILE,
                    f"{where} names a head of {head.number} entries, but there are {len(hashes)}: its end was cut off",
                )
            elif hashes[head.number - 1] != head.sha256:
                self._problem(HEAD, MANIFEST_FILE, f"entry {head.number} is not the one that {where} names")
            else:
                self._report.anchors += 1
        if expected_head and as_sha256(expected_head) not in hashes:
            self._problem(HEAD, MANIFEST_FILE, f"no entry has the hash {expected_head}: its end was cut off")
        if not self._report.anchors and not expected_head and hashes:
            self._report.notes.append(
                "audit.log names no head of the chain, so a manifest without its end looks whole: give --expected-head "
                f"from the events with event_type {HEAD_EVENT_TYPE} that were shipped"
            )

    def _anchors(self) -> Iterator[tuple[Head, str]]:
        for path in sorted(self._directory.glob("audit.log*")):
            try:
                with read_from(path) as file:
                    for line in file:
                        head = _head_in(line)
                        if head is not None:
                            yield head, path.name
            except _UNREADABLE:
                continue  # that it cannot be read is a problem of its own

    def _check_copies_of_manifest(self, archive: ArchiveStore) -> None:
        try:
            there = ManifestCopies(archive, self._host, self._manifest).lines()
        except ArchiveError as error:
            self._problem(MANIFEST, f"manifest of {self._host} in the archive", str(error))
            return
        for found in leftovers(archive, self._host, self._manifest):
            if found.is_ours:
                self._report.notes.append(f"{found.name} was left in the archive; the next run removes it")
            else:
                self._problem(UNKNOWN, found.name, "the manifest does not have it: it was put into the archive")
        here = self._manifest.lines()
        if there != here[: len(there)]:
            same = next((n for n, (a, b) in enumerate(zip(there, here, strict=False)) if a != b), len(here))
            self._problem(
                MANIFEST,
                MANIFEST_FILE,
                f"the archive has {len(there)} entries, and from entry {same + 1} on they are not those that are here",
            )


def _head_in(line: bytes) -> Head | None:
    if HEAD_EVENT_TYPE.encode() not in line:
        return None
    try:
        event = json.loads(line)
        extra = event.get("extra", {})
        if HEAD_EVENT_TYPE not in (event.get("event_type"), extra.get("event_type")):
            return None
        number, digest = int(extra["entries"]), as_sha256(str(extra["head"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return Head(number, digest) if number > 0 else None
