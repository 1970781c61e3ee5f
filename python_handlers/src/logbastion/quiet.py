"""A thread that tells what is due in a process in which nobody logs any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

_LONGEST_SLEEP: Final = 1.0
"""Seconds. A filter with a shorter interval may begin to owe something meanwhile."""
_SHORTEST_SLEEP: Final = 0.02


class Owing(Protocol):
    """Somebody who has something to tell at a certain time."""

    def seconds_until_due(self) -> float:
        """Return in how many seconds."""

    def tell_due(self) -> None:
        """Tell it."""


class QuietTeller:
    """One daemon thread that lives while somebody owes something.

    Args:
        owing: returns who does, at this moment.

    """

    def __init__(self, owing: Callable[[], Sequence[Owing]]) -> None:
        self._owing = owing
        self.forget()

    def forget(self) -> None:
        """Know nothing of the parent's thread, in the child of a fork."""
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def start(self) -> None:
        """Start the thread if there is none. When the interpreter ends there are no new ones; the end tells then."""
        if self._thread is not None or not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="logbastion-rate-limit", daemon=True)
                self._thread = thread
                thread.start()
        except RuntimeError:
            self._thread = None
        finally:
            self._starting.release()

    def _run(self) -> None:
        me = threading.current_thread()
        pause = threading.Event()
        while self._thread is me:
            owing = self._owing()
            if not owing:
                self._thread = None
                if not self._owing():  # or somebody has begun to owe something just now, and has seen this thread
                    return
                self._thread = me
                continue
            for one in owing:
                if one.seconds_until_due() <= 0:
                    one.tell_due()
            wait = min((one.seconds_until_due() for one in owing), default=_LONGEST_SLEEP)
            pause.wait(min(max(wait, _SHORTEST_SLEEP), _LONGEST_SLEEP))
