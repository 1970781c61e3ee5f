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
