"""A TLS connection that is up, and how it is noticed that it is dead."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import select
import socket
import ssl
import struct
import termios
import time
from typing import Any, Final

from logbastion.shipping.destinations import Destination

_CHUNK: Final = 65536
_PIECE: Final = 256 * 1024
"""Bytes that TLS is given at once, while other threads have the interpreter."""
_LONG: Final = 86400.0


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
                if view:
                    os.sched_yield()  # to a thread that was woken on this processor, to have the interpreter
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
        except (OSError, ValueError):  # ssl.SSLError is an OSError; ValueError: the descriptor is gone
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
