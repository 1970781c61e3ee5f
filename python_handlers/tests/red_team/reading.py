"""Reads an output back: all that the first corpus undoes, then what entities and a second percent sign hide."""

from __future__ import annotations

import html
import urllib.parse

from corpus import leaks as plain_leaks
from corpus.items import Item


def leaks(item: Item, raw: bytes) -> list[str]:
    """Return the pieces of the item's secret that are in the output, as it is or behind an encoding."""
    found = set(plain_leaks(item, raw))
    text = raw.decode("utf-8", "replace")
    if "&" in text:
        found.update(plain_leaks(item, html.unescape(text).encode("utf-8", "replace")))
    if "%25" in text:
        found.update(plain_leaks(item, urllib.parse.unquote(text).encode("utf-8", "replace")))
    return sorted(found)
