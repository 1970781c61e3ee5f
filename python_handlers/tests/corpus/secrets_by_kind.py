"""All kinds of secrets, and the items that are made of them.

The same seed gives the same items on every machine. Each item has a random generator of its own, so a new kind, or a
change of one kind, leaves the items of the others as they are.
"""

from __future__ import annotations

import random
from typing import Final

from corpus import kinds_login, kinds_payment, kinds_people, kinds_tokens
from corpus.items import Item, Kind

DEFAULT_SEED: Final = 20240915
DEFAULT_PER_KIND: Final = 108
"""Enough for every pair of a card's length and separator."""

KINDS: Final[dict[str, Kind]] = {
    kind.name: kind for part in (kinds_payment, kinds_people, kinds_tokens, kinds_login) for kind in part.KINDS
}


def items_of(kind: str, seed: int = DEFAULT_SEED, count: int = DEFAULT_PER_KIND) -> list[Item]:
    """Return that many items of one kind, no two of which have a secret in common.

    Raises:
        RuntimeError: the generator cannot make so many different ones.

    """
    made: list[Item] = []
    known: set[str] = set()
    for number in range(count):
        for attempt in range(100):
            item = KINDS[kind].generate(random.Random(f"{seed}:{kind}:{number}:{attempt}"), number)
            if known.isdisjoint(item.secret):
                break
        else:
            raise RuntimeError(f"{kind} has no {count} different secrets")
        known.update(item.secret)
        made.append(item)
    return made


def all_items(seed: int = DEFAULT_SEED, per_kind: int = DEFAULT_PER_KIND) -> list[Item]:
    """Return the items of all kinds, kind by kind."""
    return [item for kind in KINDS for item in items_of(kind, seed, per_kind)]
