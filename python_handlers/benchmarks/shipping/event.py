"""The event that every set-up ships: a message with two arguments and five extra fields, one of them its number."""

from __future__ import annotations

import re
from typing import Any, Final

LOGGER: Final = "business.search"
MESSAGE: Final = "Search for %s took %d ms"
ARGUMENTS: Final = ("maths", 12)
MARK: Final = re.compile(rb"#(\d{8})#")
"""How a receiver finds the number, whatever the event is wrapped in."""


def mark(number: int) -> str:
    """Return the text of an event's number; each event carries it once."""
    return f"#{number:08d}#"


def fields(marked: str) -> dict[str, Any]:
    """Return the five extra fields of an event."""
    return {
        "user_id": 12,
        "correlation_id": "0190c5f0-7e4e-7bbb-8d2c-3a5a6a9c0d11",
        "event_type": "user_search",
        "path": "/schools/3/search",
        "mark": marked,
    }
