"""What a generated secret is, and the small helpers that all generators share."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

NEUTRAL_FIELD: Final = "detail"
"""The key of structured carriers for kinds that need no context: it says nothing about the value."""

ALNUM: Final = string.ascii_letters + string.digits
BASE64: Final = ALNUM + "+/"
URLSAFE: Final = ALNUM + "-_"
LOWER_ALNUM: Final = string.ascii_lowercase + string.digits
HEX: Final = "0123456789abcdef"


@dataclass(frozen=True)
class Item:
    """One generated secret.

    Attributes:
        kind: a key of ``KINDS``.
        text: what a developer would write into the log; with its context where the kind is only known by context.
        value: the bare value, for carriers with fields of their own (dicts, JSON, forms, headers, SQL).
        secret: the pieces of text of which none may be in any output byte.
        known_field: the field under which the value would be stored; None where the value speaks for itself.

    """

    kind: str
    text: str
    value: str
    secret: tuple[str, ...]
    known_field: str | None = None

    @property
    def field(self) -> str:
        """The key for structured carriers: the known field, or one that says nothing."""
        return self.known_field or NEUTRAL_FIELD

    def emptied(self, mark: str = "~") -> Item:
        """Return the same item with a mark in place of each secret: what is left is not secret."""
        text, value = self.text, self.value
        for piece in sorted(self.secret, key=len, reverse=True):
            escaped = piece.replace("\\", "\\\\")
            for form in (escaped, escaped.replace('"', '\\"'), escaped.replace("'", "\\'"), piece):
                text = text.replace(form, mark)
            value = value.replace(piece, mark)
        return Item(self.kind, text, value, self.secret, self.known_field)


Generate = Callable[[random.Random, int], Item]
"""Makes one item from a generator of its own and its number, which generators use to go through their variants."""


@dataclass(frozen=True)
class Kind:
    """A sort of secret: how to make one, and whether it can be known without the words or the field around it."""

    name: str
    generate: Generate
    context_needed: bool
    describes: str


def some(rng: random.Random, alphabet: str, length: int) -> str:
    """Return that many characters of the alphabet."""
    return "".join(rng.choice(alphabet) for _ in range(length))


def digits(rng: random.Random, length: int) -> str:
    """Return that many decimal digits, the first of which may be 0."""
    return some(rng, string.digits, length)


def turn(variants: Sequence[str], number: int) -> str:
    """Return the variants one after another, so that each is used."""
    return variants[number % len(variants)]


def plain(kind: str, value: str, texts: Sequence[str], number: int, secret: tuple[str, ...] = ()) -> Item:
    """Return an item of a kind that needs no context; every ``{}`` in the texts is the value."""
    return Item(kind, turn(texts, number).replace("{}", value), value, secret or (value,))


def labelled(kind: str, value: str, texts: Sequence[str], number: int, field: str) -> Item:
    """Return an item of a kind that needs its context: ``{}`` in the texts is the value, ``{f}`` the field."""
    text = turn(texts, number).replace("{f}", field).replace("{}", value)
    return Item(kind, text, value, (value,), field)
