"""The Beats protocol, version 2 (Lumberjack), for Logstash's ``beats`` input: events in windows, each acknowledged.

A window is announced with the number of its events (``2W``); they follow as frames of JSON with a number each (``2J``),
if wished as one zlib-compressed frame (``2C``). The receiver answers with the number up to which it has taken the
window over (``2A``); answers before the last number, 0 for instance, say that it is alive and working. Numbers are
unsigned 32-bit integers in network byte order. Several windows may be under way; they are acknowledged in order.
"""

from __future__ import annotations

import json
import struct
import time
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logbastion.shipping.transports.base import Promise, Receipt, Refusal, TransportError
from logbastion.shipping.transports.connection import Connection
from logbastion.shipping.transports.connector import ConnectionOptions, Connector

if TYPE_CHECKING:
    from typing_extensions import Unpack

_WINDOW: Final = struct.Struct(">2sI")
_DATA: Final = struct.Struct(">2sII")
_BEST_COMPRESSION: Final = 9
_GOODBYE_SECONDS: Final = 1.0
_FAILURES: Final = (OSError, ValueError)


@dataclass
class _Window:
    """Events that were handed over together.

    ``sent`` are the indexes of those that were sent, ``settled`` is how many are settled, refused ones included.
    """

    size: int
    sent: list[int]
    refused: dict[int, str]
    acknowledged: int = 0
    settled: int = 0

    def settled_by(self, number: int) -> int:
        """Return how many of the events need not be sent again when ``number`` of those sent are acknowledged."""
        return self.size if number == len(self.sent) else self.sent[number]


class BeatsTransport:
    """Sends windows, several under way at a time, and settles what is acknowledged.

    Args:
        destinations: ``host:port``, several separated by commas, or a sequence of them; ``[address]:port`` for IPv6.
        compression_level: of zlib, 1 (fast) to 9 (small); 0 sends without compression.
        windows: how many may be under way; with 1 each :meth:`send` waits for its acknowledgement.
        acknowledge_timeout: seconds without any answer after which a receiver that owes one counts as dead.
        connection: see :class:`~logbastion.shipping.transports.connector.ConnectionOptions`.

    Raises:
        ValueError: a destination cannot be understood, only one of certificate and key is given, or a number is out of
            its range.

    """

    promise: Final = Promise.ACKNOWLEDGED

    def __init__(
        self,
        destinations: str | Sequence[str],
        *,
        compression_level: int = 0,
        windows: int = 4,
        acknowledge_timeout: float = 30.0,
        **connection: Unpack[ConnectionOptions],
    ) -> None:
        if not 0 <= compression_level <= _BEST_COMPRESSION or windows < 1:
            raise ValueError("compression_level must be 0 to 9 and windows 1 or more.")
        self._connector = Connector(destinations, **connection)
        self._compression_level = compression_level
        self._max_windows = windows
        self._acknowledge_timeout = acknowledge_timeout
        self._connection: Connection | None = None
        self._to_check = 0
        self._begin()

    def _begin(self) -> None:
        """Know of nothing under way: at first, and whenever a connection has ended."""
        self._windows: deque[_Window] = deque()
        self._received = b""
        self._alive = time.monotonic()
        self._settled = 0
        self._refused: list[Refusal] = []

    def send(self, events: Sequence[bytes]) -> Receipt:
        """See :meth:`Transport.send`."""
        self._return_to_preferred()
        if self._connection is None:
            self._connection = self._connector.connect()
        connection = self._connection
        try:
            self._take_in(connection)
            if events:
                self._write(connection, events)
            while len(self._windows) >= self._max_windows:
                self._await(connection, self._alive + self._acknowledge_timeout)
        except _FAILURES as error:
            raise self._lost(connection, error) from error
        return self._receipt()

    def poll(self) -> Receipt:
        """See :meth:`Transport.poll`."""
        self._return_to_preferred()
        connection = self._connection
        if connection is not None:
            try:
                self._take_in(connection)
            except _FAILURES as error:
                raise self._lost(connection, error) from error
        return self._receipt()

    def finish(self, timeout: float) -> Receipt:
        """See :meth:`Transport.finish`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._end(connection, time.monotonic() + timeout)
        receipt = self._receipt()
        self._begin()
        return receipt

    def forget(self) -> None:
        """See :meth:`Transport.forget`."""
        connection, self._connection = self._connection, None
        self._begin()
        if connection is not None:
            connection.close()

    def _receipt(self) -> Receipt:
        receipt = Receipt(self._settled, tuple(self._refused))
        self._settled, self._refused = 0, []
        return receipt

    def _lost(self, connection: Connection, error: Exception) -> TransportError:
        # An event that the receiver cannot read makes it hang up, and would do so for ever: see _write.
        self._to_check = sum(window.size for window in self._windows)
        self._connector.lost(connection)
        self._connection = None
        receipt = self._receipt()
        self._begin()
        return TransportError(f"the connection to {connection.destination} was lost: {error}", receipt=receipt)

    def _end(self, connection: Connection, deadline: float) -> bool:
        """Wait for what is owed, and end the connection; True when nothing is owed."""
        try:
            while self._windows:
                self._await(connection, deadline)
        except _FAILURES:
            connection.abort()
            return False
        connection.finish(min(deadline, time.monotonic() + _GOODBYE_SECONDS))
        return True

    def _return_to_preferred(self) -> None:
        old = self._connection
        new = self._connector.better(old) if old else None
        if old is None or new is None:
            return
        self._connection = new
        if not self._end(old, time.monotonic() + self._connector.send_timeout):
            receipt = self._receipt()
            self._begin()
            raise TransportError(f"the connection to {old.destination} could not be ended in order", receipt=receipt)
        self._received = b""

    def _write(self, connection: Connection, events: Sequence[bytes]) -> None:
        refused: dict[int, str] = {}
        if self._to_check > 0:
            self._to_check -= len(events)
            refused = {index: problem for index, event in enumerate(events) if (problem := _problem(event))}
        sent = [index for index in range(len(events)) if index not in refused]
        if not self._windows:
            self._alive = time.monotonic()
        self._windows.append(_Window(len(events), sent, refused))
        if not sent:
            self._acknowledge(0)
            return
        parts: list[bytes] = []
        for number, index in enumerate(sent, 1):
            parts.append(_DATA.pack(b"2J", number, len(events[index])))
            parts.append(events[index])
        data = b"".join(parts)
        if self._compression_level:
            packed = zlib.compress(data, self._compression_level)
            data = _WINDOW.pack(b"2C", len(packed)) + packed
        connection.sendall(_WINDOW.pack(b"2W", len(sent)) + data)

    def _await(self, connection: Connection, deadline: float) -> None:
        """Wait for the next bytes of an answer.

        Raises:
            OSError: the deadline has come, or the connection is lost.

        """
        connection.deadline = deadline
        try:
            data = connection.receive()
        finally:
            connection.deadline = None
        if not data:
            raise ConnectionResetError("the receiver has closed the connection")
        self._understand(data)

    def _take_in(self, connection: Connection) -> None:
        """Understand the answers that have come, without waiting."""
        if connection.has_arrived():
            self._await(connection, time.monotonic() + self._connector.send_timeout)
        elif self._windows and time.monotonic() - self._alive >= self._acknowledge_timeout:
            raise TimeoutError("the receiver does not acknowledge")

    def _understand(self, data: bytes) -> None:
        self._alive = time.monotonic()
        self._received += data
        while len(self._received) >= _WINDOW.size:
            kind, number = _WINDOW.unpack_from(self._received)
            self._received = self._received[_WINDOW.size :]
            if kind != b"2A":
                raise ValueError(f"the receiver does not speak the Beats protocol: it sent {kind!r}")
            self._acknowledge(number)

    def _acknowledge(self, number: int) -> None:
        """Settle the events up to ``number`` of the oldest window, and those of windows behind it without any."""
        if not self._windows:
            if number:
                raise ValueError(f"the receiver acknowledged {number} events, none were under way")
            return
        window = self._windows[0]
        if number > len(window.sent):
            raise ValueError(f"the receiver acknowledged {number} of {len(window.sent)} events")
        window.acknowledged = max(window.acknowledged, number)
        while self._windows:
            window = self._windows[0]
            if not window.acknowledged and window.sent:
                break
            self._settle(window)
            if window.settled < window.size:
                break
            self._windows.popleft()

    def _settle(self, window: _Window) -> None:
        """Add to the receipt what is settled of a window now."""
        until = window.settled_by(window.acknowledged)
        for index in range(window.settled, until):
            if index in window.refused:
                self._refused.append(Refusal(self._settled + index - window.settled, window.refused[index]))
        self._settled += until - window.settled
        window.settled = until


def _problem(event: bytes) -> str | None:
    try:
        found = json.loads(event)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON: {type(error).__name__}"
    return None if isinstance(found, dict) else "it is not a JSON object"
