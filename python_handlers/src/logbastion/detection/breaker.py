"""Fails open: whatever the store does, a log-in and a request go on, soon, and it is counted that nobody looked."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from logbastion.metrics import count_unchecked

OPEN_SECONDS: Final = 5.0
_Result = TypeVar("_Result")


class Breaker:
    """Leaves a store alone for some seconds after it has failed, so that its time-out is not paid by every request.

    After that one call tries it again. Without a lock: two threads that both try do no harm, and a fork meets none.
    Failure and return are logged once each, on ``system.log_management``.

    Args:
        open_seconds: how long it is left alone.
        clock: seconds that only grow.
        name: whose store it is, for the events.
        meanwhile: what goes on without it, for the events.

    """

    def __init__(
        self,
        open_seconds: float = OPEN_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        *,
        name: str = "detection",
        meanwhile: str = "log-ins and requests go on unchecked",
    ) -> None:
        self._open_seconds, self._clock, self._name, self._meanwhile = open_seconds, clock, name, meanwhile
        self._failing = False
        self._try_again = 0.0

    def call(self, operation: str, step: Callable[[], _Result]) -> _Result | None:
        """Return what a step gives, or None when it fails or is not tried. Never raises.

        Args:
            operation: a value of the label of ``logbastion_detection_unchecked_total``.
            step: what to do.

        """
        now = self._clock()
        if self._failing:
            if now < self._try_again:
                count_unchecked(operation)
                return None
            self._try_again = now + self._open_seconds  # of others that come meanwhile, none waits
        try:
            result = step()
        except Exception as error:
            self._failed(error)
            count_unchecked(operation)
            return None
        if self._failing:
            self._failing = False
            _log(logging.INFO, f"The store of {self._name} answers again.", f"{self._name}_store_back")
        return result

    def _failed(self, error: Exception) -> None:
        before, self._failing = self._failing, True
        self._try_again = self._clock() + self._open_seconds
        if not before:
            # The type alone: an address of the store may hold its password.
            text = f"The store of {self._name} fails ({type(error).__name__}): {self._meanwhile}."
            _log(logging.ERROR, text, f"{self._name}_store_away")


def _log(level: int, text: str, event_type: str) -> None:
    try:
        logging.getLogger("system.log_management").log(level, text, extra={"event_type": event_type})
    except Exception:  # logging itself is broken, and the log-in goes on
        return
