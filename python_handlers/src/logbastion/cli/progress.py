"""A line on a terminal that says how far long work is."""

from __future__ import annotations

import sys
import time
from typing import Final

from logbastion.cli.common import size_text

_SECONDS: Final = 0.2


class ProgressLine:
    """Shows bytes that were moved on standard error, when that is a terminal and people are watching.

    Args:
        what: stands before the number.
        wanted: False shows nothing.

    """

    def __init__(self, what: str, *, wanted: bool = True) -> None:
        self._what, self._wanted = what, wanted and sys.stderr.isatty()
        self._bytes, self._shown = 0, 0.0

    def __call__(self, count: int) -> None:
        """Add a number of bytes."""
        self._bytes += count
        if self._wanted and time.monotonic() - self._shown >= _SECONDS:
            self._shown = time.monotonic()
            print(f"\r{self._what} {size_text(self._bytes)}\033[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the line away, for another one."""
        if self._wanted and self._shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self._shown = 0.0
