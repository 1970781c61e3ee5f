"""What a rotation of the key of pseudonyms has to do: which keys there are, whether a new one is due, what to write.

A file of keys has ``<key id> <64 hexadecimal digits>`` a line, the newest last (``logbastion.pseudonym_keys``), and notes
of what is known of keys: ``# <key id>: not used since 2026-12-01``, ``# <key id>: destroyed 2029-12-02``
(``logbastion.pseudonym_key_notes``). Nothing here raises while it handles keys, and no sentence holds one: Ansible shows
both.
"""

from __future__ import annotations

import datetime
import re
import secrets
from typing import Any

import yaml

_KEY_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?")
_KEY = re.compile(r"[0-9a-fA-F]{64}")
_NOTE = re.compile(r"#\s*([a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?):\s+(not used since|destroyed)\s+(\d{4}-\d\d-\d\d)\s*")
_UNUSED, _DESTROYED = "not used since", "destroyed"
_DATED = re.compile(r"([0-9]{8})(?:-[0-9]{1,3})?")


def _is_key(line: str) -> bool:
    words = line.split()
    return bool(words) and not words[0].startswith("#")


def key_problem(text: str, where: str) -> str:
    """Return the sentence that says why a file of keys cannot be used, or nothing."""
    ids: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not _is_key(line):
            continue
        if len(words) != 2 or not _KEY_ID.fullmatch(words[0]) or not _KEY.fullmatch(words[1]):
            return f"Line {number} of {where} is no key id with a key of 64 hexadecimal digits. Nothing was changed."
        if words[0] in ids:
            return f"{where} has the key id {words[0]} twice. Nothing was changed."
        ids.add(words[0])
    return "" if ids else f"{where} has no key. Run playbooks/site.yml, which makes the first one. Nothing was changed."


def key_conflict(text: str, kept: str, where: str) -> str:
    """Return the sentence that says which id stands for two different keys, or nothing."""
    known = {line.split()[0]: line.split()[1].lower() for line in kept.splitlines() if _is_key(line)}
    for line in text.splitlines():
        if _is_key(line):
            key_id, key = line.split()[:2]
            if known.get(key_id, key.lower()) != key.lower():
                return (
                    f"The key id {key_id} stands for another key in {where} than on the control node, so one of the two was made "
                    "by hand. Give one of them another id. Nothing was changed."
                )
    return ""


def key_ids(text: str) -> list[str]:
    """Return the ids of a file of keys, the newest last; they are public."""
    return [line.split()[0] for line in text.splitlines() if _is_key(line)]


def _notes(text: str, kind: str) -> dict[str, str]:
    """Return the days of one kind of notes, by key id; of two on one key the later stands."""
    days: dict[str, str] = {}
    for line in text.splitlines():
        found = _NOTE.fullmatch(line)
        if found and found[2] == kind:
            days[found[1]] = max(found[3], days.get(found[1], ""))
    return days


def _noted(text: str, *others: str) -> str:
    """Return a file of keys without destroyed ones, and with the notes of all files behind it, each once.

    Of two days since which a key is not used the later one stands: it was used longer somewhere.
    """
    everything = "\n".join([text, *others])
    destroyed, unused = _notes(everything, _DESTROYED), _notes(everything, _UNUSED)
    lines = [
        line
        for line in text.splitlines()
        if not _NOTE.fullmatch(line) and not (_is_key(line) and line.split()[0] in destroyed)
    ]
    here = set(key_ids("\n".join(lines)))
    lines += [f"# {key_id}: {_UNUSED} {day}" for key_id, day in sorted(unused.items()) if key_id in here]
    lines += [f"# {key_id}: {_DESTROYED} {day}" for key_id, day in sorted(destroyed.items())]
    return "".join(f"{line}\n" for line in lines)


def keys_with_notes(text: str, today: str) -> str:
    """Return a file of keys with the note that all but the newest are not used since today, where there is none yet.

    To be asked for when all hosts have the newest.
    """
    noted, older = _notes(text, _UNUSED), key_ids(text)[:-1]
    return _noted(text, *(f"# {key_id}: {_UNUSED} {today}" for key_id in older if key_id not in noted))


def keys_over(text: str, today: str, days: int) -> list[str]:
    """Return the ids of keys to be destroyed: not used since more days than their identifiers are kept. Never the newest."""
    noted, ids = _notes(text, _UNUSED), key_ids(text)
    latest = datetime.date.fromisoformat(today) - datetime.timedelta(days=days + 1)
    return [key_id for key_id in ids[:-1] if noted.get(key_id, today) <= latest.isoformat()]


def keys_without(text: str, ids: list[str], today: str) -> str:
    """Return a file of keys without some, with the note that they were destroyed."""
    return _noted(text, *(f"# {key_id}: {_DESTROYED} {today}" for key_id in ids))


def destroyed_keys(text: str) -> list[str]:
    """Return the ids of destroyed keys."""
    return sorted(_notes(text, _DESTROYED))


def identifier_days(retention: str) -> int:
    """Return for how long identifiers are kept: the longest of the classes of ``elk_templates/retention.yml``."""
    classes = yaml.safe_load(retention)["classes"].values()
    return max(one.get("identifiers_days", one["retention_days"]) for one in classes)


def is_held(text: str) -> bool:
    """Return whether a file ``legal-hold`` holds any stream."""
    return any(line.partition("#")[0].strip() for line in text.splitlines())


def is_of_earlier_month(text: str, today: str, made: float) -> bool:
    """Return whether the newest key is of an earlier month than this one; see :func:`key_age`."""
    since = datetime.date.fromisoformat(today) - datetime.timedelta(days=key_age(text, today, made))
    return since.isoformat()[:7] < today[:7]


def key_age(text: str, today: str, made: float) -> int:
    """Return how many days old the newest key is.

    Args:
        text: of a file of keys.
        today: as ``2026-12-01``, UTC.
        made: seconds since 1970 at which a key was made whose id tells no date.

    """
    now = datetime.date.fromisoformat(today)
    dated = _DATED.fullmatch(key_ids(text)[-1])
    try:
        since = datetime.datetime.strptime(dated[1], "%Y%m%d").date() if dated else None
    except ValueError:
        since = None
    since = since or datetime.datetime.fromtimestamp(made, datetime.UTC).date()
    return max(0, (now - since).days)


def keys_with(text: str, others: str) -> str:
    """Return a file of keys with those of another one that it lacks; the newest of the other one is last.

    Its own lines, comments too, stay as they are, but for that newest one if it stands elsewhere, and for keys of which
    the other one notes that they were destroyed. Notes stand at the end.
    """
    wanted = [line for line in others.splitlines() if _is_key(line)]
    if not wanted:
        return text
    newest = wanted[-1].split()[0]
    own = set(key_ids(text))
    lines = [line for line in text.splitlines() if not _is_key(line) or line.split()[0] != newest]
    lines += [line for line in wanted[:-1] if line.split()[0] not in own]
    return _noted("\n".join([*lines, wanted[-1]]), others)


def keys_together(kept: str, text: str) -> str:
    """Return the control node's keys with those that only a host has, without those that either notes as destroyed.

    Where the host has all of them and more, its order stands: a key was added there. Otherwise its own come first, since
    the newest of the control node is on other hosts.
    """
    known = set(key_ids(kept))
    there = [line for line in text.splitlines() if _is_key(line)]
    only_there = [line for line in there if line.split()[0] not in known]
    own = [line for line in kept.splitlines() if _is_key(line)]
    together = there if known <= set(key_ids(text)) else [*only_there, *own]
    return _noted("\n".join(together), kept, text)


def keys_with_new(text: str, today: str) -> str:
    """Return a file of keys with a new random one, whose id is the date."""
    taken = {*key_ids(text), *destroyed_keys(text)}
    date = today.replace("-", "")
    key_id = next(name for name in (date, *(f"{date}-{number}" for number in range(2, 1000))) if name not in taken)
    return f"{text}{key_id} {secrets.token_bytes(32).hex()}\n"


class FilterModule:
    """The filters, as Ansible looks for them."""

    def filters(self) -> dict[str, Any]:
        """Return them by the names that templates use."""
        return {
            "pseudonym_key_problem": key_problem,
            "pseudonym_key_conflict": key_conflict,
            "pseudonym_key_ids": key_ids,
            "pseudonym_key_age": key_age,
            "pseudonym_keys_with": keys_with,
            "pseudonym_keys_together": keys_together,
            "pseudonym_keys_with_new": keys_with_new,
            "pseudonym_keys_with_notes": keys_with_notes,
            "pseudonym_keys_over": keys_over,
            "pseudonym_keys_without": keys_without,
            "pseudonym_keys_destroyed": destroyed_keys,
            "pseudonym_identifier_days": identifier_days,
            "pseudonym_is_held": is_held,
            "pseudonym_key_is_of_earlier_month": is_of_earlier_month,
        }
