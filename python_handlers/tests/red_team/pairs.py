"""Which secret goes into which carrier, when not each can go into all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial

from corpus.items import Item

from red_team import calls
from red_team.kinds import all_items, is_wild
from red_team.syntaxes import SYNTAXES

Log = Callable[[logging.Logger], None]
# Without quotes nobody can tell where such a value ends.
_BARE: tuple[str, ...] = ("name_and_value_are_arguments",)


def _log_text(text: str, logger: logging.Logger) -> None:
    logger.warning(text)


def _log_item(name: str, item: Item, logger: logging.Logger) -> None:
    calls.log(name, logger, item)


def carriers(item: Item) -> Iterator[tuple[str, Log]]:
    """Yield names and logging calls of all carriers that an item can stand in."""
    for name, syntax in SYNTAXES.items():
        if syntax.suits(item):
            yield name, partial(_log_text, "form refused: " + syntax(item) + " (again)")
    for name in calls.CALLS:
        if name not in _BARE or not is_wild(item):
            yield name, partial(_log_item, name, item)


def some_carriers(item: Item, number: int, count: int) -> list[tuple[str, Log]]:
    """Return that many carriers of an item; the items of a kind, numbered, go through all of them in turn."""
    known = list(carriers(item))
    return [known[(number * count + place) % len(known)] for place in range(min(count, len(known)))]


def some_texts(per_kind: int) -> list[str]:
    """Return texts in which all syntaxes are used in turn."""
    texts = []
    for number, item in enumerate(all_items(per_kind=per_kind)):
        known = [syntax for syntax in SYNTAXES.values() if syntax.suits(item)]
        texts.append(known[number % len(known)](item))
    return texts
