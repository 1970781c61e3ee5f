"""The gate: the one place that every event passes before a byte of it is written anywhere.

A gate takes the finished event and returns the event that may be written. :class:`logbastion.EventFormatter` calls it
for every output, and replaces the event by a notice when the gate raises: it fails closed. The one that is used when
nothing else is said is a :class:`logbastion.redaction.Redactor` with the standard table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


def judge_of(gate: Gate) -> Judge | None:
    """Return the gate's method ``judge``, or None where it has none or the gate's class does more than to call it.

    A gate whose ``__call__`` does nothing but to replace an event's content by what its ``judge`` returns may have one.
    The formatter then spares itself building the rest of the event.
    """
    for kind in type(gate).__mro__:
        if "judge" in vars(kind):
            judge: Judge = gate.judge  # type: ignore[attr-defined]
            return judge
        if "__call__" in vars(kind):  # of a subclass, which may do more
            return None
    return None
