"""In the memory of one process: for a program that has one, and for all while their store is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

from logbastion.incidents.stores.base import Result


class MemoryIncidentStore:
    """Incidents of one process; threads may share it.

    Args:
        clock: seconds since 1970.

    """

    shared: Final = False

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock, self._lock = clock, threading.RLock()
        self._books: dict[str, dict[str, Any]] = {}

    def update(self, scope: str, change: Callable[[dict[str, Any], float], Result]) -> Result:
        """Change a book."""
        with self._lock:
            return change(self._books.setdefault(scope, {}), self._clock())
