"""JSON lines over TCP with TLS, for rsyslog's ``imtcp`` and Logstash's ``tcp`` input.

The receiver acknowledges nothing on this protocol: what its kernel has acknowledged may never have been read. So an
event is settled late, when more has been acknowledged after it than a receiver's socket buffer holds, or when the
connection has gone on for a while, or when the receiver has closed after reading to the end. When a connection is lost,
everything since then is sent again; ``event.id`` is the document's id, so doubles vanish in the store.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from logbastion.shipping.transports.base import Promise, Receipt, TransportError
from logbastion.shipping.transports.connection import Connection
from logbastion.shipping.transports.connector import ConnectionOptions, Connector

if TYPE_CHECKING:
    from typing_extensions import Unpack


class TcpTransport:
    """Sends lines to the first destination that answers; the others are tried in turn when it is lost.

    Args:
        destinations: ``host:port``, several separated by commas, or a sequence of them; ``[address]:port`` for IPv6.
        settle_bytes: an event is settled when the receiver's kernel has acknowledged it and as many bytes after it.
            Linux lets a receiver's buffer grow to 6 MiB (``net.ipv4.tcp_rmem``).
        settle_seconds: or when its kernel has acknowledged it and the connection has held for so long after.
        connection: see :class:`~logbastion.shipping.transports.connector.ConnectionOptions`.

    Raises:
        ValueError: a destination cannot be understood, or only one of certificate and key is given.

    """

    promise: Final = Promise.SENT

    def __init__(
        self,
        destinations: str | Sequence[str],
        *,
        settle_bytes: int = 8 * 1024 * 1024,
        settle_seconds: float = 10.0,
        **connection: Unpack[ConnectionOptions],
    ) -> None:
        self._connector = Connector(destinations, **connection)
        self._settle_bytes = settle_bytes
        self._settle_seconds = settle_seconds
        self._connection: Connection | None = None
        self._begin()

    def _begin(self) -> None:
        """Count from nothing: at first, and whenever a connection has ended."""
        self._sent = 0
        self._arrived = 0
        self._progress = time.monotonic()
        self._travelling: deque[tuple[int, int]] = deque()  # events, bytes sent up to their end
        self._held: deque[tuple[int, int, float]] = deque()  # the same, and when the peer's kernel had them

    def send(self, events: Sequence[bytes]) -> Receipt:
        """See :meth:`Transport.send`."""
        moved = self._return_to_preferred()
        if self._connection is None:
            self._connection = self._connector.connect()
        connection = self._connection
        try:
            # Before writing: what was lost with a connection that the receiver has closed is noticed here.
            settled = self._look(connection)
            if events:
                data = b"\n".join((*events, b""))
                connection.sendall(data)
                self._sent += len(data)
                self._travelling.append((len(events), self._sent))
        except (OSError, ValueError) as error:
            raise self._lost(connection, error, moved) from error
        return Receipt(moved + settled)

    def poll(self) -> Receipt:
        """See :meth:`Transport.poll`."""
        moved = self._return_to_preferred()
        connection = self._connection
        if connection is None:
            return Receipt(moved)
        try:
            return Receipt(moved + self._look(connection))
        except (OSError, ValueError) as error:
            raise self._lost(connection, error, moved) from error

    def finish(self, timeout: float) -> Receipt:
        """See :meth:`Transport.finish`."""
        deadline = time.monotonic() + timeout
        connection, self._connection = self._connection, None
        if connection is None:
            return Receipt()
        under_way = self._under_way()
        try:
            settled = self._look(connection)
        except (OSError, ValueError):
            settled = 0
        if connection.finish(deadline):
            settled = under_way
        self._begin()
        return Receipt(settled)

    def forget(self) -> None:
        """See :meth:`Transport.forget`."""
        connection, self._connection = self._connection, None
        self._begin()
        if connection is not None:
            connection.close()

    def _under_way(self) -> int:
        return sum(entry[0] for entry in self._held) + sum(entry[0] for entry in self._travelling)

    def _lost(self, connection: Connection, error: Exception, settled: int) -> TransportError:
        self._connector.lost(connection)
        self._connection = None
        self._begin()
        text = f"the connection to {connection.destination} was lost: {error}"
        return TransportError(text, receipt=Receipt(settled))

    def _return_to_preferred(self) -> int:
        """Go back to an earlier destination when it answers again; return how many events that settles."""
        old = self._connection
        new = self._connector.better(old) if old else None
        if old is None or new is None:
            return 0
        under_way = self._under_way()
        self._begin()
        self._connection = new
        if old.finish(time.monotonic() + self._connector.send_timeout):
            return under_way
        raise TransportError(f"the connection to {old.destination} could not be ended in order")

    def _look(self, connection: Connection) -> int:
        """Read what the receiver has to say, and return how many events are settled now."""
        connection.read_now()
        now = time.monotonic()
        waiting = connection.unacknowledged()
        # Bytes of TLS records hold at most as many bytes of events: this never takes too much for acknowledged.
        arrived = max(self._arrived, self._sent - (waiting or 0))
        if arrived > self._arrived or not waiting:
            self._arrived, self._progress = arrived, now
        elif now - self._progress >= self._connector.send_timeout:
            raise TimeoutError("the receiver takes no more bytes")
        while self._travelling and self._travelling[0][1] <= arrived:
            self._held.append((*self._travelling.popleft(), now))
        settled = 0
        while self._held:
            count, end, since = self._held[0]
            if arrived - end < self._settle_bytes and now - since < self._settle_seconds:
                break
            settled += count
            self._held.popleft()
        return settled
