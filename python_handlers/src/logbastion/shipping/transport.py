"""What every way of sending events has in common."""

from __future__ import annotations

import abc
import random
from collections.abc import Sequence
from typing import Final


class TransportError(Exception):
    """The events were not handed over; the same ones are to be sent again later."""


class Transport(abc.ABC):
    """Hands lines of JSON to a receiver. Used by one thread at a time."""

    acknowledges: bool = False
    """True when :meth:`send` returns only after the receiver has said that it keeps the events."""

    @abc.abstractmethod
    def send(self, lines: Sequence[bytes]) -> None:
        """Hand over lines, each ended by a line break, in their order; connect first when that is needed.

        Raises:
            TransportError: not all were handed over. The caller sends all of them again: the receiver tells doubles
                by ``event.id``.

        """

    @abc.abstractmethod
    def idle(self) -> None:
        """Look after the connection while there is nothing to send; called about twice a second.

        Raises:
            TransportError: the connection is lost and could not be made again.

        """

    @abc.abstractmethod
    def close(self, timeout: float) -> None:
        """Hand over what is under way and end the connection within ``timeout`` seconds. Does not raise."""

    @abc.abstractmethod
    def forget(self) -> None:
        """Drop the connection without a word to the receiver: called in a child process, the parent goes on using it.

        Does not raise.
        """


class Backoff:
    """Waiting times between attempts: doubling, capped, with full jitter so that many senders do not come at once.

    Args:
        first: upper bound of the first wait, seconds.
        cap: upper bound of every wait, seconds.

    """

    def __init__(self, first: float = 0.5, cap: float = 15.0) -> None:
        self._first: Final = first
        self._cap: Final = cap
        self._attempts = 0

    def next(self) -> float:
        """Return the seconds to wait now."""
        bound = min(self._cap, self._first * 2 ** min(self._attempts, 16))
        self._attempts += 1
        return random.uniform(bound / 4, bound)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        """Begin again with the first wait."""
        self._attempts = 0
