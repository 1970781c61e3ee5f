"""Makes verified TLS connections to one of several destinations.

Authority and host name are always verified; there is no switch for it (OWASP ASVS 5.0, 12.3.2). TLS 1.2 is the oldest.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypedDict

from logbastion.processes import not_in_fork
from logbastion.shipping.destinations import Destination, Route, parse_destinations
from logbastion.shipping.transports.base import TransportError
from logbastion.shipping.transports.connection import Connection

_HANDSHAKE_VERDICT: Final = 0.2
"""Seconds to wait for the first bytes after a TLS 1.3 handshake: session tickets, or the refusal of the certificate."""
_FAILURES: Final = (OSError, ValueError)  # ssl.SSLError and socket.gaierror are OSErrors; ValueError: host name, fd


class ConnectionOptions(TypedDict, total=False):
    """Keyword arguments that all transports over TLS share.

    Args:
        ca_file: PEM file of the authorities that may have signed the receiver's certificate; by default those of the
            system.
        certificate_file: PEM chain of the client certificate, when the receiver demands one.
        key_file: its key. Files are read for each connection: renewed certificates need no restart.
        connect_timeout: seconds for one destination, TLS handshake included, name resolution not. Default 5.
        send_timeout: seconds without any progress after which a connection counts as dead. Default 10.
        return_after: seconds after which the destinations before the one in use are tried again. Default 300.

    """

    ca_file: str | Path | None
    certificate_file: str | Path | None
    key_file: str | Path | None
    connect_timeout: float
    send_timeout: float
    return_after: float


class Connector:
    """Makes connections to the first destination that answers.

    Args:
        destinations: ``host:port``, several separated by commas, or a sequence of them; ``[address]:port`` for IPv6.
        ca_file: for this and the rest see :class:`ConnectionOptions`.

    Raises:
        ValueError: a destination cannot be understood, or only one of certificate and key is given.

    """

    def __init__(
        self,
        destinations: str | Sequence[str],
        *,
        ca_file: str | Path | None = None,
        certificate_file: str | Path | None = None,
        key_file: str | Path | None = None,
        connect_timeout: float = 5.0,
        send_timeout: float = 10.0,
        return_after: float = 300.0,
    ) -> None:
        if (certificate_file is None) != (key_file is None):
            raise ValueError("A client certificate needs its key and the key its certificate: give both or neither.")
        self.route = Route(parse_destinations(destinations))
        self.send_timeout = send_timeout
        self._ca_file = ca_file
        self._client = (certificate_file, key_file) if certificate_file and key_file else None
        self._connect_timeout = connect_timeout
        self._return_after = return_after

    @property
    def destinations(self) -> tuple[Destination, ...]:
        """Where to, in the order of preference."""
        return self.route.destinations

    def connect(self) -> Connection:
        """Return a connection to the first destination that answers.

        Raises:
            TransportError: none does; the text says why for each.

        """
        context = self._context()
        problems: list[str] = []
        for index in self.route.order():
            try:
                return self._open(context, index, self._connect_timeout)
            except _FAILURES as error:
                self.route.failed(index)
                problems.append(f"{self.destinations[index]}: {error}")
        raise TransportError("no destination answers: " + "; ".join(problems))

    def better(self, connection: Connection) -> Connection | None:
        """Return a connection to a destination that is preferred to that of the one in use, when it is time to ask."""
        if not connection.index or time.monotonic() - connection.since < self._return_after:
            return None
        connection.since = time.monotonic()
        for index in range(connection.index):
            try:
                found = self._open(self._context(), index, min(2.0, self._connect_timeout))
            except (*_FAILURES, TransportError):
                self.route.failed(index)
            else:
                self.route.worked(index)
                return found
        return None

    def lost(self, connection: Connection) -> None:
        """Break a connection that has failed, and prefer other destinations for a while."""
        connection.abort()
        self.route.failed(connection.index)

    def _context(self) -> ssl.SSLContext:
        with not_in_fork():
            return self._new_context()

    def _new_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies authority and host name
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if self._ca_file is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(self._ca_file)
            if self._client:
                # An encrypted key would ask for its password on the terminal; this makes it fail instead.
                context.load_cert_chain(*self._client, password=b"")
        except _FAILURES as error:
            files = [str(name) for name in (self._ca_file, *(self._client or ())) if name]
            raise TransportError(f"the certificates cannot be read ({', '.join(files)}): {error}") from error
        return context

    def _open(self, context: ssl.SSLContext, index: int, timeout: float) -> Connection:
        deadline = time.monotonic() + timeout
        destination = self.destinations[index]
        with not_in_fork():
            addresses = socket.getaddrinfo(destination.host, destination.port, type=socket.SOCK_STREAM)
        failure: Exception | None = None
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            # Each address gets its share of the time, so that a black hole does not keep the others from being tried.
            share = (deadline - time.monotonic()) / (len(addresses) - number)
            plain = socket.socket(family, kind, protocol)
            try:
                tls = self._handshake(plain, context, destination, address, time.monotonic() + max(0.05, share))
                connection = Connection(tls, index, destination, self.send_timeout)
            except _FAILURES as error:
                plain.close()
                failure = error
                continue
            try:
                if tls.version() == "TLSv1.3":
                    connection.wait_for_records(_HANDSHAKE_VERDICT)
                with not_in_fork():
                    connection.read_now()
            except _FAILURES as error:
                connection.close()
                failure = error
                continue
            return connection
        raise failure or OSError("the name has no address")

    def _handshake(
        self, plain: socket.socket, context: ssl.SSLContext, destination: Destination, address: Any, deadline: float
    ) -> ssl.SSLSocket:
        _keep_alive(plain, self.send_timeout)
        plain.settimeout(max(0.01, deadline - time.monotonic()))
        plain.connect(address)
        with not_in_fork():
            tls = context.wrap_socket(plain, server_hostname=destination.host, do_handshake_on_connect=False)
        try:
            tls.settimeout(0)
            while (event := _shake_hands(tls)) is not None:
                poller = select.poll()
                poller.register(tls, event)
                if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    raise TimeoutError("the TLS handshake timed out")
        except BaseException:
            tls.close()
            raise
        return tls


def _shake_hands(tls: ssl.SSLSocket) -> int | None:
    """Go on with the handshake; return what has to be waited for, or None when it is done."""
    with not_in_fork():
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            return select.POLLIN
        except ssl.SSLWantWriteError:
            return select.POLLOUT
    return None


def _keep_alive(plain: socket.socket, send_timeout: float) -> None:
    """Have the kernel notice within about a minute that an idle receiver is gone, and a busy one sooner."""
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_NODELAY", 1),  # a batch is written at once; its end must not wait for an acknowledgement
        ("TCP_KEEPIDLE", 30),
        ("TCP_KEEPINTVL", 10),
        ("TCP_KEEPCNT", 3),
        ("TCP_USER_TIMEOUT", int(max(1.0, 2 * send_timeout) * 1000)),
    ):
        option = getattr(socket, name, None)  # not every platform has all of them
        if option is not None:
            with contextlib.suppress(OSError):
                plain.setsockopt(socket.IPPROTO_TCP, option, value)
