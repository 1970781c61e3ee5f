"""What stands in a text where something was taken out: ``[redacted:email]``, ``[redacted:card:4242]``."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MARKER: Final = re.compile(
    r"\[redacted:[a-z][a-z_]{0,19}(?::(?:[0-9]{4}|[a-z][0-9]:[0-9a-z\-]{1,12}:[0-9a-z]{24,64}))?\]"
)
"""Strict, so that nothing hides from the redaction in brackets of this form."""
MARK: Final = "[redacted:"


class Finding(NamedTuple):
    """A piece of a text that must not be written."""

    start: int
    end: int
    kind: str
    """Name of a :class:`~logbastion.redaction.classification.Kind`."""


def marker(kind: str, shown: str = "") -> str:
    """Return the text that stands for something of this kind.

    Args:
        kind: its name.
        shown: what may be told of it: four digits, or a pseudonym of digits, small letters and colons.

    """
    text = f"{MARK}{kind}:{shown}]" if shown else f"{MARK}{kind}]"
    return text if MARKER.fullmatch(text) else f"{MARK}{kind}]"
