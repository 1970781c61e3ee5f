"""Generated secrets, the ways they get into a log, and ordinary lines; see README.md beside this file."""

from corpus.carriers import CARRIERS, Carrier
from corpus.items import Item, Kind
from corpus.leaks import leaks
from corpus.ordinary_lines import ordinary_lines
from corpus.secrets_by_kind import KINDS, all_items, items_of

__all__ = ["CARRIERS", "KINDS", "Carrier", "Item", "Kind", "all_items", "items_of", "leaks", "ordinary_lines"]
