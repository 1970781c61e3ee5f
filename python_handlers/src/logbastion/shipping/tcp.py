"""JSON lines over TCP with TLS, for rsyslog's ``imtcp`` and Logstash's ``tcp`` input.

The receiver acknowledges nothing on this protocol. What makes it dependable all the same:

* The last events that were sent are kept and sent again over the next connection when one is lost, because bytes that
  this side has handed to the kernel may never have been read. ``event.id`` is the document's id, so doubles vanish.
* It reads. In TLS 1.3 the server sends session tickets after the handshake; a client that closes with these unread
  makes its own kernel answer with a reset, which destroys what the server had not read yet. Reading is also how a
  refused client certificate is noticed, since TLS 1.3 tells the client only after its handshake.
* It closes in order: close_notify, end of its direction, then it reads until the receiver closes too.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from logbastion.shipping.destinations import Destination, parse_destinations
from logbastion.shipping.transport import Transport, TransportError

_HANDSHAKE_VERDICT: Final = 0.2
"""Seconds to wait for the first bytes after a TLS 1.3 handshake: session tickets, or the refusal of the certificate."""


class TcpTlsTransport(Transport):
    """Sends lines to the first destination that answers; the others are tried in turn when it is lost.

    Host name and certification authority are always verified; there is no switch for it (OWASP ASVS 5.0, 12.3.2).

    Args:
        destinations: ``host:port``, several separated by commas, or a sequence of them; ``[address]:port`` for IPv6.
        ca_file: PEM file of the authorities that may have signed the receiver's certificate.
        certificate_file: PEM chain of the client certificate, when the receiver demands one.
        key_file: its key. Files are read for each connection: renewed certificates need no restart.
        connect_timeout: seconds for one destination, TLS handshake included.
        send_timeout: seconds that the receiver may take no byte before the connection counts as dead.
        keep_bytes: how much of what was sent last is kept for sending again.

    Raises:
        ValueError: a destination cannot be understood, or only one of certificate and key is given.

    """

    def __init__(
        self,
        destinations: str | Sequence[str],
        *,
        ca_file: str | Path,
        certificate_file: str | Path | None = None,
        key_file: str | Path | None = None,
        connect_timeout: float = 5.0,
        send_timeout: float = 10.0,
        keep_bytes: int = 8 * 1024 * 1024,
    ) -> None:
        if (certificate_file is None) != (key_file is None):
            raise ValueError("A client certificate needs its key and the key its certificate: give both or neither.")
        self.destinations = parse_destinations(destinations)
        self._ca_file = str(ca_file)
        self._client = (str(certificate_file), str(key_file)) if certificate_file else None
        self._connect_timeout = connect_timeout
        self._send_timeout = send_timeout
        self._keep_bytes = keep_bytes
        self._recent: deque[bytes] = deque()
        self._recent_bytes = 0
        self._next = 0
        self._socket: ssl.SSLSocket | None = None
        self.resent = 0

    def send(self, lines: Sequence[bytes]) -> None:
        """See :meth:`Transport.send`."""
        connection = self._connected()
        try:
            self._read(connection)
            connection.sendall(b"".join(lines))
        except (OSError, ssl.SSLError) as error:
            self._lost()
            raise TransportError(f"the connection was lost: {error}") from error
        self._keep(lines)

    def idle(self) -> None:
        """Read; when the receiver has gone, connect anew at once, so that the last events are not left half-way."""
        if self._socket is None:
            if self._recent:
                self._connected()
            return
        try:
            self._read(self._socket)
        except (OSError, ssl.SSLError):
            self._lost()
            self._connected()

    def close(self, timeout: float) -> None:
        """See :meth:`Transport.close`."""
        deadline = time.monotonic() + timeout
        connection, self._socket = self._socket, None
        if connection is None:
            return
        if not _end(connection, deadline) and time.monotonic() < deadline:
            # The receiver went away with the end unread. One more try, for the events that were sent last.
            with contextlib.suppress(TransportError):
                connection = self._connected(max(0.1, deadline - time.monotonic()))
                self._socket = None
                _end(connection, deadline)

    def forget(self) -> None:
        """See :meth:`Transport.forget`."""
        connection, self._socket = self._socket, None
        self._recent.clear()
        self._recent_bytes = 0
        if connection is not None:
            # Closes this process's descriptor only; nothing is written, so the parent's TLS session stays in order.
            with contextlib.suppress(OSError):
                connection.close()

    def _lost(self) -> None:
        connection, self._socket = self._socket, None
        self._next += 1
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()

    def _keep(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            self._recent.append(line)
            self._recent_bytes += len(line)
        while self._recent_bytes > self._keep_bytes:
            self._recent_bytes -= len(self._recent.popleft())

    def _connected(self, timeout: float | None = None) -> ssl.SSLSocket:
        if self._socket is not None:
            return self._socket
        problems: list[str] = []
        for offset in range(len(self.destinations)):
            destination = self.destinations[(self._next + offset) % len(self.destinations)]
            try:
                connection = self._connect(destination, timeout or self._connect_timeout)
            except (OSError, ssl.SSLError, ValueError) as error:
                problems.append(f"{destination}: {error}")
                continue
            try:
                if self._recent:
                    connection.sendall(b"".join(self._recent))
                    self.resent += len(self._recent)
            except (OSError, ssl.SSLError) as error:
                problems.append(f"{destination}: {error}")
                connection.close()
                continue
            self._next += offset
            self._socket = connection
            return connection
        self._next += 1
        raise TransportError("no destination answers: " + "; ".join(problems))

    def _connect(self, destination: Destination, timeout: float) -> ssl.SSLSocket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies authority and host name
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(self._ca_file)
        if self._client:
            context.load_cert_chain(*self._client)
        plain = socket.create_connection((destination.host, destination.port), timeout=timeout)
        try:
            _keep_alive(plain)
            connection = context.wrap_socket(plain, server_hostname=destination.host)
        except BaseException:
            plain.close()
            raise
        try:
            if connection.version() == "TLSv1.3":
                select.select([connection], [], [], _HANDSHAKE_VERDICT)
            connection.settimeout(self._send_timeout)
            self._read(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _read(self, connection: ssl.SSLSocket) -> None:
        """Take in what the receiver has sent, without waiting.

        Raises:
            OSError: the receiver has closed or broken the connection, or has refused the certificate.

        """
        connection.settimeout(0)
        try:
            while True:
                if not connection.recv(65536):
                    raise ConnectionResetError("the receiver has closed the connection")
        except (ssl.SSLWantReadError, BlockingIOError):
            return
        finally:
            connection.settimeout(self._send_timeout)


def _keep_alive(plain: socket.socket) -> None:
    """Have the kernel notice within about a minute that the receiver is gone without a word."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", 30),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", 60_000),
    ):
        option = getattr(socket, name, None)  # not every platform has all of them
        if option is not None:
            with contextlib.suppress(OSError):
                plain.setsockopt(socket.IPPROTO_TCP, option, value)


def _end(connection: ssl.SSLSocket, deadline: float) -> bool:
    """End a connection in order; True when the receiver has closed its side too, so it has read everything."""
    try:
        connection.settimeout(0)
        # Sends close_notify. The answer is not waited for: Logstash's input never gives one.
        with contextlib.suppress(ssl.SSLError, OSError):
            connection.unwrap()
        socket.socket.shutdown(connection, socket.SHUT_WR)
        while True:
            wait = deadline - time.monotonic()
            if wait <= 0 or not select.select([connection], [], [], wait)[0]:
                return False
            # The plain socket's read: only the end is of interest, not what the TLS records say.
            if not socket.socket.recv(connection, 65536):
                return True
    except (OSError, ValueError):
        return False
    finally:
        connection.close()
