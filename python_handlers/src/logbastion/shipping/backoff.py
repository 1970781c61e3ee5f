"""Waiting times between attempts."""

from __future__ import annotations

import random
from typing import Final

_MAX_DOUBLINGS: Final = 16


class Backoff:
    """Doubling, capped waits with jitter, so that many senders do not come back at one moment.

    Args:
        first: upper bound of the first wait, seconds.
        cap: upper bound of every wait, seconds.

    """

    def __init__(self, first: float = 0.5, cap: float = 15.0) -> None:
        self._first: Final = first
        self._cap: Final = cap
        self._attempts = 0

    def next(self) -> float:
        """Return the seconds to wait now: between a quarter of the bound and the bound."""
        bound = min(self._cap, self._first * 2 ** min(self._attempts, _MAX_DOUBLINGS))
        self._attempts += 1
        return random.uniform(bound / 4, bound)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        """Begin again with the first wait."""
        self._attempts = 0
