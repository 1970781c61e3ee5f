r"""Regular expressions that cannot be slow: those whose ways to match at one place can be counted, and are few.

A pattern is a row of pieces with gaps ``.*`` between them, as in ``payment.*failed``. Each piece is searched for after
the first place where the one before was found. A piece may have classes, groups, alternatives and repeats with an end
(``?``, ``{0,20}``); :data:`MAX_WAYS` bounds in how many ways it can be tried at one place. So the time grows with the
length of the text alone, whatever is in it. Back references, look-around and ``+`` or ``*`` other than a gap are
refused. Letters match without regard to case.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any, Final

if sys.version_info >= (3, 11):
    from re import _parser as parser  # the one that compiles: what it reads is what runs
else:
    import sre_parse as parser

MAX_WAYS: Final = 256
MAX_PATTERN: Final = 500
SHORTEST_LITERAL: Final = 5
"""Characters of the longest literal text that each pattern must have: it is what a line is looked at for first."""
_GAP: Final = ".*"
_FLAGS: Final = re.IGNORECASE
_ONE: Final = frozenset({"LITERAL", "NOT_LITERAL", "ANY", "IN", "AT", "CATEGORY"})


@dataclass(frozen=True)
class LinearPattern:
    """One pattern, checked.

    Args:
        text: as it was written.
        pieces: searched for one after the other.
        literal: the longest text, in small letters, without which nothing matches.

    """

    text: str
    pieces: tuple[re.Pattern[str], ...]
    literal: str

    def search(self, text: str) -> tuple[int, int] | None:
        """Return where it matches, from the first piece's begin to the last one's end; None when it does not."""
        begin, position = -1, 0
        for piece in self.pieces:
            found = piece.search(text, position)
            if found is None:
                return None
            begin = found.start() if begin < 0 else begin
            position = found.end()
        return begin, position


def linear_pattern(text: str) -> LinearPattern:
    """Check a pattern.

    Raises:
        ValueError: with half a sentence, when it is none, could be slow, or has no literal text to look for first.

    """
    if not isinstance(text, str) or not 0 < len(text) <= MAX_PATTERN:
        raise ValueError(f"must be a text of 1 to {MAX_PATTERN} characters")
    pieces: list[re.Pattern[str]] = []
    literals: list[str] = []
    for part in _parts(text):
        try:
            tree = parser.parse(part, _FLAGS)
            ways = _ways(tree)
            pieces.append(re.compile(part, _FLAGS))
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"{part!r} is no regular expression: {error}") from None
        if ways > MAX_WAYS:
            raise ValueError(f"{part!r} can be tried in more than {MAX_WAYS} ways at one place, so it could be slow")
        literals += _literals(tree)
    literal = max(literals, key=len, default="").lower()
    if len(literal) < SHORTEST_LITERAL or not literal.isascii():
        raise ValueError(f"needs {SHORTEST_LITERAL} or more ASCII characters in a row that are always there")
    return LinearPattern(text, tuple(pieces), literal)


def _parts(text: str) -> list[str]:
    """Split at the gaps that stand outside of groups and classes and are not escaped."""
    parts, current, depth, in_class, index = [], "", 0, False, 0
    while index < len(text):
        character = text[index]
        if character == "\\":
            current += text[index : index + 2]
            index += 2
            continue
        if not in_class and depth == 0 and text.startswith(_GAP, index):
            parts.append(current)
            current = ""
            index += len(_GAP)
            continue
        if in_class:
            in_class = character != "]" or current.endswith(("[", "[^"))
        elif character == "[":
            in_class = True
        else:
            depth += (character == "(") - (character == ")")
            if character == "|" and depth == 0:
                raise ValueError("has alternatives outside of a group: write several patterns, or (?:one|other)")
        current += character
        index += 1
    parts.append(current)
    if not all(parts):
        raise ValueError("has a gap '.*' at its begin, its end, or beside another one, where it says nothing")
    return parts


def _ways(tree: Any) -> int:
    """Return an upper bound of the ways in which a piece can be tried at one place."""
    ways = 1
    for operation, argument in tree:
        ways *= _ways_of(str(operation), argument)
        if ways > MAX_WAYS:
            return MAX_WAYS + 1
    return ways


def _ways_of(name: str, argument: Any) -> int:
    if name in _ONE:
        return 1
    if name == "SUBPATTERN":
        return _ways(argument[-1])
    if name == "BRANCH":
        return sum(_ways(branch) for branch in argument[1])
    if name in {"MAX_REPEAT", "MIN_REPEAT"}:
        least, most, repeated = argument
        if int(most) > MAX_WAYS:
            raise ValueError("has a repeat without an end that is no gap: write '.*' between pieces, or {0,20}")
        inner, total = _ways(repeated), 0
        for times in range(int(least), int(most) + 1):
            total += inner**times
            if total > MAX_WAYS:
                return MAX_WAYS + 1
        return total
    raise ValueError(f"uses what could be slow or look around ({name.lower()})")


def _literals(tree: Any) -> list[str]:
    """Return the texts that are in every match."""
    found = [""]
    for operation, argument in tree:
        name = str(operation)
        if name == "LITERAL":
            found[-1] += chr(argument)
        elif name == "SUBPATTERN":
            found += [*_literals(argument[-1]), ""]
        elif name != "AT":
            found.append("")
    return found
