"""The ledger of erasures: proof that they were made, without holding whom; and what finds the person once more.

``ledger.jsonl`` holds no personal data. A person is there as a digest under a key of the ledger's own, and as a text
that is encrypted under a key of that one erasure. These keys are files beside the ledger, each in mode 0600. When no
backup from before an erasure can exist any more, its key is destroyed: then nobody can go back from the ledger to the
person, in no copy of it (GDPR, Art. 5(1)(e)). Until then the key is needed: a backup that is restored holds the person
again, and the erasure has to be made again (Art. 17(1); Art. 17(3)(b) for keeping what that takes).

While a key is there, ledger and keys together are personal data (recital 26): keep them apart from the logs.
"""

from __future__ import annotations

import contextlib
import fcntl
import hmac
import importlib
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

from logbastion.erasure.searched import Searched
from logbastion.erasure.subject import Subject
from logbastion.identifiers import uuid7
from logbastion.pseudonyms import Pseudonymizer
from logbastion.retention.facts import as_text
from logbastion.syncing import sync_directory

VARIABLE: Final = "LOGBASTION_ERASURE_LEDGER"
BACKUP_DAYS_VARIABLE: Final = "LOGBASTION_ERASURE_BACKUP_DAYS"
DEFAULT_BACKUP_DAYS: Final = 35
"""The longest expiry of a snapshot or backup in ``elk_templates/retention.yml`` (30 days), and some days to restore."""
BEGUN: Final = "begun"
COMPLETE: Final = "complete"
HELD: Final = "held"
FAILED: Final = "failed"
OUTCOMES: Final = (BEGUN, COMPLETE, HELD, FAILED)
"""``begun`` is what a run leaves that was killed; ``held``: all but what a legal hold keeps; ``failed``: something is
left. All three are to be run again."""
_LEDGER: Final = "ledger.jsonl"
_DIGEST_KEY: Final = "digest.key"
_KEYS: Final = "keys"
_SEARCHED: Final = "searched"
_ID: Final = re.compile(r"[0-9a-f-]{36}")
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class LedgerError(Exception):
    """The ledger cannot be used. The text says what to do."""


@dataclass(frozen=True)
class Erasure:
    """What the ledger says of one erasure.

    Args:
        erasure_id: UUIDv7.
        subject: digest of the person, hexadecimal; the same for each erasure of the person.
        begun: when it began, RFC 3339, UTC.
        outcome: one of :data:`OUTCOMES`.
        ended: when it was run last; empty when it never ended.
        runs: how often it ended.
        replay_until: until when it can be made again; then its key is destroyed.
        can_be_replayed: whether its key is there.
        places: counts by place, of the last run.

    """

    erasure_id: str
    subject: str
    begun: str
    outcome: str
    ended: str = ""
    runs: int = 0
    replay_until: str = ""
    can_be_replayed: bool = False
    places: Mapping[str, Mapping[str, int]] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return asdict(self)


class Ledger:
    """The ledger in a directory of its own.

    Args:
        directory: made with mode 0700 when it is not there.
        backup_days: how long a backup or snapshot can live: until then an erasure can be replayed.
        clock: returns the time, with a time zone.

    Raises:
        LedgerError: the directory is open to others, or the library for encryption is not installed.

    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        backup_days: int = DEFAULT_BACKUP_DAYS,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        if backup_days < 1:
            raise LedgerError("a backup lives one day or longer")
        self.directory = Path(directory).absolute()
        self._backup_days, self._clock = backup_days, clock
        self._fernet = _fernet()
        try:
            for path in (self.directory, self.directory / _KEYS, self.directory / _SEARCHED):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                if path.stat().st_mode & 0o077:
                    raise LedgerError(f"{path} is open to others than its owner: run chmod 0700 on it")
            self._digest_key = self._read_or_make(self.directory / _DIGEST_KEY, secrets.token_bytes(32))
        except OSError as error:
            raise LedgerError(f"the ledger {self.directory} cannot be used: {error}") from error

    def begin(self, subject: Subject, id_fields: tuple[str, ...] = ()) -> str:
        """Enter that an erasure begins, and return its id. One of the same person that did not end is gone on with.

        Args:
            subject: whom.
            id_fields: names of fields that hold the id, besides those of the table.

        Raises:
            LedgerError: nothing can be written.

        """
        digest = self.digest_of(subject.user_id)
        with self._locked():
            unfinished = [
                one
                for one in self._entries()
                if one.subject == digest and one.outcome != COMPLETE and one.can_be_replayed
            ]
            for one in unfinished:
                if self._opened(one.erasure_id) == _told(subject, id_fields):
                    return one.erasure_id
            now = self._clock()
            erasure_id = uuid7(int(now.timestamp() * 1_000_000))
            key = self._fernet.generate_key()
            self._read_or_make(self._key_path(erasure_id), key)
            sealed = self._fernet(key).encrypt(json.dumps(_told(subject, id_fields)).encode()).decode("ascii")
            until = as_text(now + timedelta(days=self._backup_days))
            self._append(
                {
                    "version": 1,
                    "id": erasure_id,
                    "time": as_text(now),
                    "what": BEGUN,
                    "subject": digest,
                    "replay_until": until,
                    "sealed": sealed,
                }
            )
        return erasure_id

    def end(self, erasure_id: str, outcome: str, places: Mapping[str, Mapping[str, int]]) -> None:
        """Enter how a run of an erasure ended.

        Raises:
            LedgerError: nothing can be written.

        """
        with self._locked():
            self._append(
                {
                    "version": 1,
                    "id": erasure_id,
                    "time": as_text(self._clock()),
                    "what": outcome,
                    "places": {name: dict(counts) for name, counts in places.items()},
                }
            )

    def erasures(self, user_id: str | None = None) -> list[Erasure]:
        """Return the erasures, the oldest first.

        Args:
            user_id: only those of this user.

        Raises:
            LedgerError: the ledger cannot be read.

        """
        found = self._entries()
        digest = None if user_id is None else self.digest_of(user_id)
        return [one for one in found if digest in (None, one.subject)]

    def subject_of(self, erasure_id: str, keys: Pseudonymizer | None) -> tuple[Subject, tuple[str, ...]]:
        """Return whom an erasure was about, and the names of fields that it looked at, to make it again.

        Args:
            erasure_id: of an erasure that can be replayed.
            keys: of pseudonyms that are there now; those of the time of the erasure are known besides.

        Raises:
            LedgerError: its key was destroyed.

        """
        told = self._opened(erasure_id)
        subject = Subject.of(told["user_id"], told["emails"], told["identifiers"], keys)
        pseudonyms = subject.pseudonyms | frozenset(told["pseudonyms"])
        return replace(subject, pseudonyms=pseudonyms), tuple(told["id_fields"])

    def searched(self, erasure_id: str) -> Searched:
        """Return what earlier runs of an erasure have searched and found nothing in.

        Raises:
            LedgerError: it is no id.

        """
        return Searched(self.directory / _SEARCHED / _checked_id(erasure_id))

    def forget(self) -> int:
        """Destroy the keys of the erasures that no backup can undo any more; return how many.

        Raises:
            LedgerError: a key cannot be removed.

        """
        now, count = as_text(self._clock()), 0
        with self._locked():
            for one in self._entries():
                if one.can_be_replayed and one.replay_until <= now and one.outcome == COMPLETE:
                    self._key_path(one.erasure_id).unlink()
                    count += 1
            if count:
                sync_directory(self.directory / _KEYS)
        return count

    def digest_of(self, user_id: str) -> str:
        """Return the digest under which a user is in this ledger (HMAC-SHA-256)."""
        return hmac.new(self._digest_key, f"logbastion erasure\0{user_id}".encode(), "sha256").hexdigest()

    def _entries(self) -> list[Erasure]:
        found: dict[str, Erasure] = {}
        for line in self._lines():
            erasure_id, time = str(line["id"]), str(line["time"])
            if line["what"] == BEGUN:
                found[erasure_id] = Erasure(
                    erasure_id,
                    str(line["subject"]),
                    time,
                    BEGUN,
                    replay_until=str(line["replay_until"]),
                    can_be_replayed=self._key_path(erasure_id).exists(),
                )
            elif erasure_id in found:
                before = found[erasure_id]
                found[erasure_id] = replace(
                    before, outcome=str(line["what"]), ended=time, runs=before.runs + 1, places=line["places"]
                )
        return list(found.values())

    def _lines(self) -> Iterator[dict[str, Any]]:
        path = self.directory / _LEDGER
        try:
            with path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    if not line.endswith(b"\n"):
                        return  # a crash left it; the next line that is written takes its place
                    yield _checked(line, number, path)
        except FileNotFoundError:
            return
        except OSError as error:
            raise LedgerError(f"{path} cannot be read: {error}") from error

    def _opened(self, erasure_id: str) -> dict[str, Any]:
        sealed = next(
            (line["sealed"] for line in self._lines() if line["id"] == erasure_id and line["what"] == BEGUN), None
        )
        if sealed is None:
            raise LedgerError(f"the ledger has no erasure {erasure_id}")
        try:
            key = self._key_path(erasure_id).read_bytes()
        except FileNotFoundError:
            raise LedgerError(f"the key of the erasure {erasure_id} was destroyed: it cannot be replayed") from None
        except OSError as error:
            raise LedgerError(f"the key of the erasure {erasure_id} cannot be read: {error}") from error
        try:
            told: dict[str, Any] = json.loads(self._fernet(key).decrypt(sealed.encode("ascii")))
        except Exception:  # InvalidToken and whatever a damaged key raises; its text would help nobody
            raise LedgerError(
                f"the erasure {erasure_id} cannot be decrypted: its key or its line was altered"
            ) from None
        return told

    def _append(self, entry: Mapping[str, Any]) -> None:
        path = self.directory / _LEDGER
        try:
            descriptor = os.open(path, _APPEND, 0o600)
            try:
                content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
                os.ftruncate(descriptor, content.rfind(b"\n") + 1)
                line = json.dumps(entry, separators=(",", ":")).encode("ascii") + b"\n"
                if os.write(descriptor, line) != len(line):
                    raise LedgerError(f"{path} could not be written to: is the disk full?")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_directory(self.directory)
        except OSError as error:
            raise LedgerError(f"{path} cannot be written: {error}") from error

    def _key_path(self, erasure_id: str) -> Path:
        return self.directory / _KEYS / _checked_id(erasure_id)

    def _read_or_make(self, path: Path, content: bytes) -> bytes:
        with contextlib.suppress(FileNotFoundError):
            return path.read_bytes()
        partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
        try:
            with os.fdopen(os.open(partial, _NEW, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        sync_directory(path.parent)
        return path.read_bytes()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        except OSError as error:
            raise LedgerError(f"the ledger {self.directory} cannot be used: {error}") from error
        finally:
            os.close(descriptor)


def _checked_id(erasure_id: str) -> str:
    if not _ID.fullmatch(erasure_id):
        raise LedgerError(f"{erasure_id!r} is no id of an erasure; `logbastion erasures list` shows them")
    return erasure_id


def _told(subject: Subject, id_fields: tuple[str, ...]) -> dict[str, Any]:
    return {
        "user_id": subject.user_id,
        "emails": list(subject.emails),
        "identifiers": list(subject.identifiers),
        "pseudonyms": sorted(subject.pseudonyms),
        "id_fields": list(id_fields),
    }


def _checked(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        entry = json.loads(line)
        if entry["version"] == 1 and entry["what"] in OUTCOMES and entry["id"] and entry["time"]:
            checked: dict[str, Any] = entry
            return checked
    except (ValueError, KeyError, TypeError):
        pass
    raise LedgerError(f"line {number} of {path} is no entry as it was written: it was altered")


def _fernet() -> Any:
    try:
        return importlib.import_module("cryptography.fernet").Fernet
    except ImportError:
        raise LedgerError(
            "the ledger encrypts with a library that is not installed: pip install 'logbastion[erasure]' (on Debian: "
            "python3-cryptography)"
        ) from None
