"""A second corpus, written without a look at the engine or at the first one's forms; see README.md beside this file."""

from red_team.kinds import KINDS, all_items
from red_team.ordinary import ordinary_lines
from red_team.pairs import carriers, some_carriers, some_texts
from red_team.reading import leaks

__all__ = ["KINDS", "all_items", "carriers", "leaks", "ordinary_lines", "some_carriers", "some_texts"]
