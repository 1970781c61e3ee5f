"""Finds values in bodies and queries as forms encode them, before anything is decoded.

Decoded, a value may hold what ends one elsewhere: a comma, a quote, a ``<``. Encoded it ends with the pair.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from logbastion.redaction.classification import Classification
from logbastion.redaction.markers import MARK, Finding

_VALUE: Final = re.compile(r"=([^\s&\"'<>;#=]{1,4096})")
_NAME_SIGNS: Final = "_.-%[]"
_LONGEST_NAME: Final = 96


def find_encoded(text: str, classification: Classification) -> Iterator[Finding]:
    """Yield encoded values of classified names (URL Standard, application/x-www-form-urlencoded)."""
    for match in _VALUE.finditer(text):
        if "%" not in match.group(1) and "+" not in match.group(1):
            continue
        end = match.start()
        start, floor = end, max(0, end - _LONGEST_NAME)
        while start > floor and (text[start - 1].isalnum() or text[start - 1] in _NAME_SIGNS):
            start -= 1
        if start == end or match.group(1).startswith(MARK):
            continue
        kind = classification.kind_of(unquote(text[start:end]))
        # What is kept in part is kept by the finder that knows which part.
        if kind is None or not kind.in_text or kind.treatment == "keep":
            continue
        if kind.treatment == "drop" or kind.value == "phrase" or (kind.value == "digits" and "%" not in match.group(1)):
            yield Finding(match.start(1), match.end(1), kind.kind)
