"""What every way of sending events has in common: who promises what, and when an event need not be kept any more."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Promise(enum.Enum):
    """What it means that a transport has settled an event."""

    NOTHING = "nothing"
    """It was handed to the network; whether anybody received it is not known (UDP)."""
    SENT = "sent"
    """The receiver's kernel has acknowledged its bytes and the connection held for a while after (TCP lines)."""
    ACKNOWLEDGED = "acknowledged"
    """The receiver has said that it took the event over (HTTP, Beats)."""
    STORED = "stored"
    """The store has said, for this event, that it holds it (Elasticsearch)."""


@dataclass(frozen=True)
class Refusal:
    """An event that the receiver will never take, whatever is tried.

    Only transports that promise ACKNOWLEDGED or STORED know of such: of the others' events nothing is kept once sent.

    Args:
        index: which one of the events that were handed over and not yet settled by an earlier receipt; the oldest is 0.
            It is always below ``settled`` of the same receipt.
        reason: the receiver's words, shortened. They may quote the event: treat them as confidentially as the event.

    """

    index: int
    reason: str


@dataclass(frozen=True)
class Receipt:
    """What is done.

    Args:
        settled: how many of the oldest events that were handed over and not yet settled need never be sent again.
            Refused ones are among them.
        refused: those of them that the receiver did not take.

    """

    settled: int = 0
    refused: tuple[Refusal, ...] = ()


class TransportError(Exception):
    """The connection is gone; everything that is not settled is to be handed over again after a pause.

    Args:
        message: what happened, for people.
        receipt: what was settled in this call before it happened. Nothing beyond this and earlier receipts is settled.
        retry_after: seconds that the receiver has asked to be left alone (HTTP ``Retry-After``), or None. The caller
            waits at least that long.

    """

    def __init__(self, message: str, *, receipt: Receipt | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.receipt = receipt or Receipt()
        self.retry_after = retry_after


class Transport(Protocol):
    """Hands events to a receiver.

    All methods are called by one thread, never two at a time, and return or raise within their time-outs, except that
    a call goes on for as long as the receiver shows that it is working (it takes bytes, or it says so).

    Events that were handed over by :meth:`send` and are not yet settled by a receipt are *under way*. A receipt settles
    the oldest ones under way. After a :class:`TransportError` nothing is under way: the caller hands all that is
    unsettled over again. Receivers tell doubles by ``event.id``.
    """

    @property
    def promise(self) -> Promise:
        """What a settled event means."""
        ...

    def send(self, events: Sequence[bytes]) -> Receipt:
        """Hand over events, oldest first; connect first when that is needed.

        Args:
            events: JSON objects in UTF-8 without line breaks; a transport adds what its protocol needs.

        Returns:
            What is settled now; with SENT and ACKNOWLEDGED possibly nothing, or events of earlier calls.

        Raises:
            TransportError: see there.

        """
        ...

    def poll(self) -> Receipt:
        """Look after the connection while there is nothing to send, without waiting; called at least once a second.

        Raises:
            TransportError: the connection is lost.

        """
        ...

    def finish(self, timeout: float) -> Receipt:
        """End the connection in order within ``timeout`` seconds and return what that settles. Does not raise.

        Nothing is under way afterwards. :meth:`send` may be called again and connects anew.
        """
        ...

    def forget(self) -> None:
        """Drop the connection without a word to the receiver, in the child after a fork: the parent goes on using it.

        Does not raise. Nothing is under way afterwards.
        """
        ...
