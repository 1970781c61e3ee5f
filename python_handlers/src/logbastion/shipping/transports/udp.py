"""One event in a datagram, for Logstash's ``udp`` input and agents on the same host. It promises nothing.

Datagrams are neither encrypted nor acknowledged: whoever is on the way reads them and can forge them, and a receiver
that is busy loses them silently. So only loopback addresses are accepted, unless it is written out that plain text is
wanted. Personal data, security and audit events do not belong on it.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence
from typing import Any, Final

from logbastion.shipping.destinations import Destination, Route, parse_destinations
from logbastion.shipping.transports.base import Promise, Receipt, Refusal, TransportError

MAX_DATAGRAM_BYTES: Final = 65_507
"""What fits into a datagram over IPv4: 65 535 less the headers of IP and UDP."""

_FAILURES: Final = (OSError, ValueError)


class UdpTransport:
    """Sends datagrams to the first destination that does not refuse them.

    Args:
        destinations: ``host:port``, several separated by commas, or a sequence of them; ``[address]:port`` for IPv6.
        plaintext: True allows other destinations than loopback addresses, to which everything goes in plain text.
        max_bytes: events above it are refused, never cut.
        send_timeout: seconds that the kernel may take no datagram.

    Raises:
        ValueError: a destination cannot be understood, or it is not on this host and ``plaintext`` is not True.

    """

    promise: Final = Promise.NOTHING

    def __init__(
        self,
        destinations: str | Sequence[str],
        *,
        plaintext: bool = False,
        max_bytes: int = MAX_DATAGRAM_BYTES,
        send_timeout: float = 10.0,
    ) -> None:
        self._route = Route(parse_destinations(destinations))
        self._plaintext = plaintext
        self._max_bytes = max_bytes
        self._send_timeout = send_timeout
        self._socket: socket.socket | None = None
        self._index = 0
        for destination in self._route.destinations:
            if not plaintext and destination.host != "localhost" and not _is_loopback(destination.host):
                raise ValueError(
                    f"UDP to {destination} would carry every event in plain text and unacknowledged: use a transport "
                    "over TLS, or write plaintext=True."
                )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of the destinations."""
        return tuple(destination.host for destination in self._route.destinations)

    def send(self, events: Sequence[bytes]) -> Receipt:
        """See :meth:`Transport.send`. Everything that the kernel took is settled."""
        connection = self._connected()
        settled = 0
        refused: list[Refusal] = []
        try:
            # A refusal of an earlier datagram (ICMP) is told by the next call.
            for index, event in enumerate(events):
                if not self._sent(connection, event):
                    reason = f"its {len(event)} bytes do not fit into a datagram"
                    refused.append(Refusal(index, reason))
                settled = index + 1
        except _FAILURES as error:
            raise self._failure(error, Receipt(settled, tuple(refused))) from error
        return Receipt(settled, tuple(refused))

    def poll(self) -> Receipt:
        """See :meth:`Transport.poll`. This notices that nobody listens."""
        if self._socket is not None:
            # With a time-out, Python waits for an answer also where `MSG_DONTWAIT` is asked for.
            self._socket.settimeout(0)
            try:
                self._socket.recv(1)
            except BlockingIOError:
                self._socket.settimeout(self._send_timeout)
            except _FAILURES as error:
                raise self._failure(error, Receipt()) from error
            else:
                self._socket.settimeout(self._send_timeout)
        return Receipt()

    def finish(self, timeout: float) -> Receipt:
        """See :meth:`Transport.finish`."""
        self.forget()
        return Receipt()

    def forget(self) -> None:
        """See :meth:`Transport.forget`."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _sent(self, connection: socket.socket, event: bytes) -> bool:
        """Send a datagram; False when it is too large."""
        if len(event) > self._max_bytes:
            return False
        try:
            connection.send(event)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            return False
        return True

    def _failure(self, error: Exception, receipt: Receipt) -> TransportError:
        self.forget()
        self._route.failed(self._index)
        return TransportError(f"{self._route.destinations[self._index]}: {error}", receipt=receipt)

    def _connected(self) -> socket.socket:
        if self._socket is not None and self._route.order()[0] == self._index:
            return self._socket
        self.forget()
        problems: list[str] = []
        for index in self._route.order():
            destination = self._route.destinations[index]
            try:
                self._socket = self._open(destination)
            except _FAILURES as error:
                self._route.failed(index)
                problems.append(f"{destination}: {error}")
            else:
                self._index = index
                return self._socket
        raise TransportError("no destination can be used: " + "; ".join(problems))

    def _open(self, destination: Destination) -> socket.socket:
        failure: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(
            destination.host, destination.port, type=socket.SOCK_DGRAM
        ):
            if not self._plaintext and not _is_loopback(address[0]):
                continue
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(self._send_timeout)
                made.connect(address)
            except OSError as error:
                made.close()
                failure = error
            else:
                return made
        raise failure or OSError("the name has no loopback address")


def _is_loopback(host: Any) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
