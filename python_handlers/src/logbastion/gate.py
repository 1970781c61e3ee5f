"""The gate: the one place that every event passes before a byte of it is written anywhere.

A gate takes the finished event and returns the event that may be written. :class:`logbastion.EventFormatter` calls it
for every output, and replaces the event by a notice when the gate raises: it fails closed. The one that is used when
nothing else is said is a :class:`logbastion.redaction.Redactor` with the standard table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Gate = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes an event that it may change, returns what may be written.

What it is given, and what it returns, is made of dict with text keys, list, str, int below 64 bits, finite float, bool
and None. Nothing of it is shared with other events.
"""

Judge = Callable[[dict[str, Any], str], dict[str, Any]]
"""Takes the content of an event, which it may change, and the event's stream; returns the content that may be written.

The content is the event without ``@timestamp``, ``timestamp``, ``level``, ``event``, ``service``, ``host``, ``process``
and ``ecs``, which the formatter makes of what is no input, and without ``logger``, if the gate has left that name as it
is in an event before. ``message`` stays a text.
"""


class PieceJudge(Protocol):
    """Judges an ordinary event of one stream piece by piece, with the result that the gate's ``judge`` would have.

    Its sets say what need not be asked again. They change, and may become empty at any time.
    """

    names: set[str]
    """Names of fields of ``extra`` that are written as they are. Only events with no others may be judged in pieces."""
    texts: set[str]
    """Texts, all valid Unicode and of at most 256 characters, that pass as they are in every place."""
    identifiers: set[str]
    """Values that pass as they are as ``correlation_id``."""
    numbers: range
    """Integers that pass as they are under any of :attr:`names`."""

    def text(self, text: str) -> str:
        """Return a text as it may be written, the very same object when that is how it is."""

    def value(self, value: Any, name: str) -> Any:
        """Return any value as it may be written under one of :attr:`names`."""


def judge_of(gate: Gate) -> Judge | None:
    """Return the gate's method ``judge``, or None where it has none or the gate's class does more than to call it.

    A gate whose ``__call__`` does nothing but to replace an event's content by what its ``judge`` returns may have one.
    The formatter then spares itself building the rest of the event.
    """
    judge: Judge | None = _method_before(gate, "judge", "__call__")
    return judge


def piece_judge_of(gate: Gate, stream: str) -> PieceJudge | None:
    """Return what the gate's method ``judge_pieces`` returns for the stream, or None where another one may do more."""
    judge_pieces: Callable[[str], PieceJudge] | None = _method_before(gate, "judge_pieces", "judge", "__call__")
    return None if judge_pieces is None else judge_pieces(stream)


def _method_before(gate: Gate, name: str, *others: str) -> Any:
    """Return a method of the gate, or None where it has none or a subclass has changed one of the others alone."""
    for kind in type(gate).__mro__:
        methods = vars(kind)
        if name in methods:
            return getattr(gate, name)
        if not methods.keys().isdisjoint(others):
            return None
    return None
