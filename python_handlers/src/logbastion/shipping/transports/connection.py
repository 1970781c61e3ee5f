"""Verified TLS connections to one of several destinations, and how a dead one is noticed.

Authority and host name are always verified; there is no switch for it (OWASP ASVS 5.0, 12.3.2). TLS 1.2 is the oldest.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import select
import socket
import ssl
import struct
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TypedDict

from logbastion.processes import not_in_fork
from logbastion.shipping.destinations import Destination, Route, parse_destinations
from logbastion.shipping.transports.base import TransportError

_HANDSHAKE_VERDICT: Final = 0.2
"""Seconds to wait for the first bytes after a TLS 1.3 handshake: session tickets, or the refusal of the certificate."""
_CHUNK: Final = 65536
_PIECE: Final = 256 * 1024
"""Bytes that TLS is given at once, while other threads have the interpreter."""
_LONG: Final = 86400.0
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


class Connection:
    """A TLS connection that is up.

    Writing waits at most ``send_timeout`` for progress, and reading does so when no :attr:`deadline` is set. Nothing
    goes on beyond the deadline.
    """

    def __init__(self, tls: ssl.SSLSocket, index: int, destination: Destination, send_timeout: float) -> None:
        self._tls = tls
        self.index = index
        self.destination = destination
        self.send_timeout = send_timeout
        self.since = time.monotonic()
        self.deadline: float | None = None
        """``time.monotonic()`` at which whatever is going on fails, or None."""
        self._ahead = b""

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._tls.fileno()

    def _allowed(self, seconds: float) -> float:
        """Return how many of these seconds the deadline leaves."""
        if self.deadline is not None:
            seconds = min(seconds, self.deadline - time.monotonic())
            if seconds <= 0:
                raise TimeoutError("the receiver did not answer in time")
        return seconds

    def _set_timeout(self, seconds: float) -> None:
        if self._tls.gettimeout() != seconds:  # a system call, for which a thread has to win the interpreter back
            self._tls.settimeout(seconds)

    def sendall(self, data: bytes) -> None:
        """Write everything.

        Raises:
            OSError: the connection is broken, or the receiver takes no more bytes.

        """
        view = memoryview(data)
        self._set_timeout(0)
        while view:
            wait = self._allowed(self.send_timeout)
            try:
                view = view[self._tls.send(view[:_PIECE]) :]
            except ssl.SSLWantWriteError:  # the piece goes on from where it is when it is sent again
                self._wait_for(select.POLLOUT, wait)
            except ssl.SSLWantReadError:
                self._wait_for(select.POLLIN, wait)

    def _wait_for(self, event: int, seconds: float) -> None:
        poller = select.poll()  # select.select() cannot take descriptors above 1023
        poller.register(self._tls, event)
        if not poller.poll(seconds * 1000):
            raise TimeoutError("the receiver takes no more bytes")

    def receive(self) -> bytes:
        """Wait for bytes; none means that the receiver has closed."""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return data
        self._set_timeout(self._allowed(_LONG if self.deadline is not None else self.send_timeout))
        return self._tls.recv(_CHUNK)

    def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes; 0 means that the receiver has closed."""
        if self._ahead:
            count = min(len(buffer), len(self._ahead))
            buffer[:count], self._ahead = self._ahead[:count], self._ahead[count:]
            return count
        self._set_timeout(self._allowed(_LONG if self.deadline is not None else self.send_timeout))
        return self._tls.recv_into(buffer)

    def read_now(self) -> bytes:
        """Return what has arrived, without waiting. This also takes in what TLS has to say: tickets, refusals.

        Raises:
            OSError: the receiver has closed or broken the connection, or has refused the certificate.

        """
        self._set_timeout(0)
        found, self._ahead = [self._ahead], b""
        while True:
            try:
                data = self._tls.recv(_CHUNK)
            except (ssl.SSLWantReadError, BlockingIOError):
                return b"".join(found)
            if not data:
                raise ConnectionResetError("the receiver has closed the connection")
            found.append(data)

    def has_arrived(self) -> bool:
        """Say, without waiting, whether there are bytes to be received, or the end; session tickets do not count."""
        if not self._ahead:
            self._set_timeout(0)
            try:
                self._ahead = self._tls.recv(_CHUNK)
            except (ssl.SSLWantReadError, BlockingIOError):
                return False
            except OSError:
                return True  # it will be raised again
        return True

    def wait_for_records(self, seconds: float) -> None:
        """Wait until TLS records have arrived, whatever is in them."""
        with contextlib.suppress(TimeoutError):
            self._wait_for(select.POLLIN, seconds)

    def unacknowledged(self) -> int | None:
        """Return how many bytes the peer's kernel has not acknowledged, or None where that cannot be asked (Linux can).

        They are bytes of TLS records, so at most as many bytes of events.
        """
        try:
            answer = fcntl.ioctl(self._tls, termios.TIOCOUTQ, b"\0\0\0\0")  # SIOCOUTQ, tcp(7)
        except (OSError, ValueError, AttributeError):
            return None
        return int(struct.unpack("i", answer)[0])

    def reader(self) -> io.BufferedReader:
        """Return a file to read from; closing it leaves the connection as it is."""
        return io.BufferedReader(_Reader(self), _CHUNK)

    def close(self) -> None:
        """Give up this process's descriptor without a word: nothing is written, a parent's TLS session stays whole."""
        with contextlib.suppress(OSError):
            self._tls.close()

    def abort(self) -> None:
        """Break the connection. A receiver that does not read is not left with a half-open one, nor is this kernel."""
        with contextlib.suppress(OSError):
            self._tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def finish(self, deadline: float) -> bool:
        """End the connection in order; True when the receiver has read everything and closed its side too.

        That is: close_notify, end of this direction, then reading until the receiver closes. In TLS 1.3 a client that
        closes with unread session tickets makes its own kernel answer with a reset, which destroys what the receiver
        had not read yet.
        """
        try:
            self.read_now()
            self._tls.settimeout(0)
            # Sends close_notify. The answer is not waited for: Logstash's tcp input never gives one.
            with contextlib.suppress(OSError):
                self._tls.unwrap()
            socket.socket.shutdown(self._tls, socket.SHUT_WR)
            poller = select.poll()
            poller.register(self._tls, select.POLLIN)
            # The plain socket's read: only the end is of interest, not what the TLS records say.
            while True:
                wait = deadline - time.monotonic()
                if wait <= 0 or not poller.poll(wait * 1000):
                    return False
                if not socket.socket.recv(self._tls, _CHUNK):
                    break
            # A receiver that had closed its side before has proved nothing: is the last byte acknowledged?
            while self.unacknowledged():
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.002)
            return True
        except _FAILURES:
            return False
        finally:
            self.close()


class _Reader(io.RawIOBase):
    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.receive_into(memoryview(buffer))


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
