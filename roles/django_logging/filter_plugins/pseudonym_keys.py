"""What a rotation of the key of pseudonyms has to do: which keys there are, whether a new one is due, what to write.

A file of keys has ``<key id> <64 hexadecimal digits>`` a line, the newest last (``logbastion.pseudonym_keys``). Nothing
here raises while it handles keys, and no sentence holds one: Ansible shows both.
"""

from __future__ import annotations

import datetime
import re
import secrets
from typing import Any

_KEY_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?")
_KEY = re.compile(r"[0-9a-fA-F]{64}")
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

    Its own lines, comments too, stay as they are, but for that newest one if it stands elsewhere.
    """
    wanted = [line for line in others.splitlines() if _is_key(line)]
    if not wanted:
        return text
    newest = wanted[-1].split()[0]
    own = set(key_ids(text))
    lines = [line for line in text.splitlines() if not _is_key(line) or line.split()[0] != newest]
    lines += [line for line in wanted[:-1] if line.split()[0] not in own]
    return "\n".join([*lines, wanted[-1]]) + "\n"


def keys_together(kept: str, text: str) -> str:
    """Return the control node's keys with those that only a host has.

    Where the host has all of them and more, its order stands: a key was added there. Otherwise its own come first, since
    the newest of the control node is on other hosts.
    """
    known = set(key_ids(kept))
    there = [line for line in text.splitlines() if _is_key(line)]
    only_there = [line for line in there if line.split()[0] not in known]
    own = [line for line in kept.splitlines() if _is_key(line)]
    together = there if known <= set(key_ids(text)) else [*only_there, *own]
    return "".join(f"{line}\n" for line in together)


def keys_with_new(text: str, today: str) -> str:
    """Return a file of keys with a new random one, whose id is the date."""
    taken = set(key_ids(text))
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
        }
