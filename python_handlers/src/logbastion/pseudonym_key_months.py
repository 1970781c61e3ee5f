"""Keys of pseudonyms that are made each month and destroyed when the identifiers under them have had their time.

A pseudonym says whose an event is only to somebody who has the key (:mod:`logbastion.pseudonyms`). With the key goes
the last way from the pseudonym to a person, in every copy at once: files, archives, backups, indices, snapshots. That
is why keys are made each month: each is destroyed for itself, and no event keeps its pseudonym's meaning for more than
about a month longer than it must (storage limitation, GDPR, Article 5(1)(e)).

A key is due :data:`IDENTIFIER_DAYS` after the last event that could be made with it. When that was, a note in the file
says (:mod:`logbastion.pseudonym_key_notes`), which is written when the next key takes its place, and never guessed: a
key without a note gets one with today's date, so it lives longer rather than too short.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from logbastion.pseudonym_keys import (
    KeyChanges,
    KeyFile,
    PseudonymKeyError,
    change_keys,
    checked_key_id,
    free_key_id,
    read_key_file,
)
from logbastion.retention.policies import RETENTION_POLICIES

IDENTIFIER_DAYS: Final = max(policy.identifiers_kept_days for policy in RETENTION_POLICIES.values())
"""The longest ``identifiers_days`` of ``elk_templates/retention.yml``, where the reasons are; one key is for all."""

CURRENT: Final = "current"
KEPT: Final = "kept"
DUE: Final = "due"
DESTROYED: Final = "destroyed"
_DATED: Final = re.compile(r"(\d{8})(?:-\d{1,3})?")


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.timezone.utc).date()


@dataclass(frozen=True)
class ListedKey:
    """What is known of one key. Days are UTC; None is not known, or not yet.

    Args:
        key_id: part of each pseudonym that was made with it.
        made: by its id, where that is a day.
        used_from: when it became the one that is used.
        used_until: the day on which another took its place.
        destroys_on: the day on which it is due to be destroyed; of a destroyed one, that on which it was.
        state: ``current`` (makes pseudonyms), ``kept`` (finds older ones), ``due`` (to be destroyed) or ``destroyed``.

    """

    key_id: str
    made: datetime.date | None
    used_from: datetime.date | None
    used_until: datetime.date | None
    destroys_on: datetime.date | None
    state: str

    def as_json(self) -> dict[str, Any]:
        """Return it for programs, days as ``2026-12-01``."""
        return {key: str(value) if isinstance(value, datetime.date) else value for key, value in asdict(self).items()}


class PseudonymKeyMonths:
    """The keys of one file, by month.

    Args:
        path: of the file of keys; need not exist before :meth:`make` or :meth:`keep`.
        keep_days: for how long identifiers shall be found after their event, in days.
        today: returns the day, UTC.

    Methods raise :class:`~logbastion.pseudonym_keys.PseudonymKeyError` when the file cannot be used, and ``OSError``
    when it cannot be replaced; the file is then as it was.

    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep_days: int = IDENTIFIER_DAYS,
        today: Callable[[], datetime.date] = _today,
    ) -> None:
        self.path = os.fspath(path)
        self.keep_days = keep_days
        self.today = today

    def listed(self) -> list[ListedKey]:
        """Return what is known of each key: destroyed ones first, then those of the file, the current one last."""
        found, today = read_key_file(self.path), self.today()
        gone = [
            ListedKey(key_id, _made(key_id), None, None, day, DESTROYED)
            for key_id, day in sorted(found.notes.destroyed.items(), key=lambda item: (item[1], item[0]))
        ]
        keys, before = [], None
        for key_id in found.key_ids:
            current = key_id == found.key_ids[-1]
            until = None if current else found.notes.unused_since.get(key_id)
            due = self._due(until)
            state = CURRENT if current else DUE if due is not None and due <= today else KEPT
            keys.append(ListedKey(key_id, _made(key_id), before or _made(key_id), until, due, state))
            before = until
        return [*gone, *keys]

    def make(self, *, another: bool = False) -> str:
        """Add this month's key, which becomes the current one, and return its id; empty when it is there already.

        Args:
            another: make one whatever the current one is; for a key that others may have seen.

        """
        today = self.today()

        def decide(found: KeyFile | None) -> KeyChanges:
            is_due = another or found is None or _is_of_earlier_month(found.key_ids[-1], today)
            return KeyChanges(add=free_key_id(found, today)) if is_due else KeyChanges()

        return change_keys(self.path, decide, today).add

    def destroy(self, key_id: str) -> None:
        """Destroy a key, due or not. For good: nobody can make it again.

        Raises:
            PseudonymKeyError: it is the current one, or there is none of this id.

        """
        checked_key_id(key_id)
        change_keys(self.path, lambda found: KeyChanges(destroy=(key_id,)), self.today())

    def keep(self, *, held: bool) -> KeyChanges:
        """Do what is due today, in one step: make this month's key, and destroy those whose time is over.

        Args:
            held: whether a legal hold stops destruction.

        Returns:
            What was done; ``unused`` are keys whose time begins to run today because nothing was known of them.

        """
        today = self.today()
        return change_keys(self.path, lambda found: self._due_changes(found, today, held), today)

    def due(self) -> list[ListedKey]:
        """Return the keys that are due to be destroyed."""
        return [key for key in self.listed() if key.state == DUE]

    def _due_changes(self, found: KeyFile | None, today: datetime.date, held: bool) -> KeyChanges:
        if found is None:
            return KeyChanges(add=free_key_id(None, today))
        add = free_key_id(found, today) if _is_of_earlier_month(found.key_ids[-1], today) else ""
        older = found.key_ids[:-1]
        unused = tuple(key_id for key_id in older if key_id not in found.notes.unused_since)
        ends = ((key_id, self._due(found.notes.unused_since.get(key_id))) for key_id in older)
        over = tuple(key_id for key_id, day in ends if day is not None and day <= today and not held)
        return KeyChanges(add, unused, over)

    def _due(self, unused_since: datetime.date | None) -> datetime.date | None:
        if unused_since is None:
            return None
        # The key may have made a pseudonym in the last minute of that day.
        return unused_since + datetime.timedelta(days=self.keep_days + 1)


def key_of(listed: list[ListedKey], key_id: str) -> ListedKey:
    """Return the key of an id.

    Raises:
        PseudonymKeyError: there is none.

    """
    for key in listed:
        if key.key_id == key_id:
            return key
    raise PseudonymKeyError(f"There is no key {checked_key_id(key_id)}: `logbastion keys list` names those that are.")


def _made(key_id: str) -> datetime.date | None:
    found = _DATED.fullmatch(key_id)
    try:
        return datetime.datetime.strptime(found[1], "%Y%m%d").date() if found else None
    except ValueError:
        return None


def _is_of_earlier_month(key_id: str, today: datetime.date) -> bool:
    made = _made(key_id)
    return made is None or (made.year, made.month) < (today.year, today.month)
