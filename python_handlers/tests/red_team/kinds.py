"""What must not be found: values of many forms under the names that careless people give them.

Each kind has names for its field and a maker of values. Every second value of a kind that may hold anything holds
quotes, spaces and signs (``wild``); it is carried only where a syntax quotes or escapes it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from corpus.items import Item

from red_team import people_and_payment, tokens_and_logins

DEFAULT_SEED: Final = 61124
DEFAULT_PER_KIND: Final = 60


@dataclass(frozen=True)
class Kind:
    """One sort of secret.

    Attributes:
        names: names of the field it stands in; those of a kind that speaks for itself say nothing.
        make: a value of its own from a generator and a number; a tuple where only a part of the text is the secret.
        alone: the value can be known without its name.
        wild: every second value holds what would end it where nothing quotes it.

    """

    names: tuple[str, ...]
    make: Callable[[random.Random, int], str | tuple[str, tuple[str, ...]]]
    alone: bool
    wild: bool = False


def _kinds() -> dict[str, Kind]:
    found = {}
    for part in (people_and_payment, tokens_and_logins):
        for name, (names, make, *flags) in part.KINDS.items():
            found[name] = Kind(tuple(names.split()), make, "alone" in flags, "wild" in flags)
    return found


KINDS: Final = _kinds()


def is_wild(item: Item) -> bool:
    """Say whether the value needs a syntax that quotes or escapes it."""
    return any(char in " \t\n\"'\\<>(){}[],;&|`" for char in item.value)


def all_items(seed: int = DEFAULT_SEED, per_kind: int = DEFAULT_PER_KIND) -> list[Item]:
    """Return the items of all kinds; no two have a secret in common."""
    items, known = [], set()
    for kind, how in KINDS.items():
        for number in range(per_kind):
            for attempt in range(300):
                made = how.make(random.Random(f"{seed}:{kind}:{number}:{attempt}"), number)
                value, secret = made if isinstance(made, tuple) else (made, (made,))
                if known.isdisjoint(secret):
                    break
            else:
                raise RuntimeError(f"{kind} has no {per_kind} different values")
            known.update(secret)
            name = how.names[number % len(how.names)]
            items.append(Item(kind, f"{name}={value}", value, secret, name))
    return items
