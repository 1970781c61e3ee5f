"""Numbered events of users who take turns, and what is found of them afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

USER: Final = 12
EMAIL: Final = "maria.silva@escola.pt"
ENVIRONMENT: Final = "bench"
STREAMS: Final = ("application", "security")
"""Of the first the person's events are deleted, of the second they are anonymised."""
_LINE: Final = (
    b'{"@timestamp":"2026-01-01T%02d:%02d:%02d.%06dZ","level":"INFO","logger":"business","message":"%b opened page %d",'
    b'"event":{"id":"0192f0c1-7d2e-7a11-8c4b-%012d","dataset":"django.%b"},"service":{"name":"school",'
    b'"environment":"bench"},"host":{"name":"bench"},"process":{"pid":4312},"ecs":{"version":"8.17.0"},"user_id":%d,'
    b'"extra":{"number":%d,"path":"/courses/%d/","duration_ms":12.5}}'
)


def line_of(number: int, users: int, stream: str) -> bytes:
    """Return an event without its line break; each tenth event of the person has the address in its message."""
    user = number % users + 1
    second = number % 86_400
    who = b"User %d" % user
    if user == USER and number // users % 10 == 0:
        who = b"mail to %b: page" % EMAIL.encode()
    return _LINE % (
        second // 3600, second // 60 % 60, second % 60, number % 1_000_000, who, number, number, stream.encode(), user,
        number, number % 97,
    )  # fmt: skip


class Count:
    """How many events of others are there once and as they were, and how often the person still is.

    Args:
        events: their numbers are below this.
        users: take turns.

    """

    def __init__(self, events: int, users: int) -> None:
        self._users = users
        self._seen = bytearray(events)
        self.left = 0

    def add(self, lines: Iterable[bytes]) -> None:
        """Look at what a place has, byte for byte."""
        for line in lines:
            self.left += b'"user_id":%d,' % USER in line or EMAIL.encode() in line.lower()
            start = line.find(b'"number":')
            if start < 0:
                continue
            number = int(line[start + 9 : line.index(b",", start)])
            begin = line.index(b"django.") + 7
            stream = line[begin : line.index(b'"', begin)].decode()
            if number % self._users + 1 != USER and line == line_of(number, self._users, stream):
                self._seen[number] += 1

    @property
    def intact(self) -> int:
        """Return how many events of others are there exactly once."""
        return self._seen.count(1)
