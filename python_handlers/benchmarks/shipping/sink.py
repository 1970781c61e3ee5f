"""The receiver: a process that counts numbered events and misbehaves when it is told to.

Commands come as JSON lines on standard input, each is answered by one on standard output; see :class:`.processes.Sink`.
"""

from __future__ import annotations

import bisect
import contextlib
import json
import os
import re
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from benchmarks.shipping.event import MARK

_NICENESS: Final = 10
"""The receiver stands for another host: it must not take the processor from a logging call."""

_MAX_EVENTS: Final = 4_000_000
_CHUNK: Final = 256 * 1024
_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"

Decoder = Callable[[bytes], tuple[bytes, bytes]]
"""Takes what has been received and not yet used; returns whole events in any wrapping, and the rest."""


def lines(data: bytes) -> tuple[bytes, bytes]:
    """Give whole lines; the end of a connection that is no whole line does not count."""
    end = data.rfind(b"\n") + 1
    return data[:end], data[end:]


def frames(data: bytes) -> tuple[bytes, bytes]:
    """Give SocketHandler's pickles behind four bytes of length."""
    at = 0
    while len(data) - at >= 4:  # noqa: PLR2004
        end = at + 4 + struct.unpack_from(">L", data, at)[0]
        if end > len(data):
            break
        at = end
    return data[:at], data[at:]


def http(data: bytes) -> tuple[bytes, bytes]:
    """Give the body of one whole request."""
    head, found, body = data.partition(b"\r\n\r\n")
    length = _LENGTH.search(head) if found else None
    if length is None or len(body) < int(length[1]):
        return b"", data
    return body[: int(length[1])], body[int(length[1]) :]


DECODERS: Final[dict[str, Decoder]] = {"lines": lines, "frames": frames, "http": http}


class Tally:
    """Which numbers have arrived, how often, and when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._seen = bytearray(_MAX_EVENTS)
            self.distinct = self.doubled = self.not_json = 0
            self._times: list[float] = []
            self._totals: list[int] = []

    def take(self, events: bytes, *, check: bool) -> None:
        """Count the events in it; with ``check`` the first of them has to be JSON."""
        numbers = [int(found) for found in MARK.findall(events)]
        if check and events:
            try:
                json.loads(events[: events.index(b"\n")])
            except ValueError:
                self.not_json += 1
        with self._lock:
            seen = self._seen
            for number in numbers:
                if seen[number]:
                    self.doubled += 1
                else:
                    seen[number] = 1
                    self.distinct += 1
            self._times.append(time.monotonic())
            self._totals.append(self.distinct)

    def report(self, first: int, end: int) -> dict[str, Any]:
        """Say what of the numbers in a range has arrived, and when 99 % and all of what came had."""
        with self._lock:
            arrived = self._seen.count(1, first, end)
            most = bisect.bisect_left(self._totals, self.distinct * 0.99)
            last = bisect.bisect_left(self._totals, self.distinct)
            return {
                "arrived": arrived,
                "lost": end - first - arrived,
                "distinct": self.distinct,
                "doubled": self.doubled,
                "not_json": self.not_json,
                "most_at": self._times[most] if self._totals else None,
                "last_at": self._times[last] if self._totals else None,
            }


class Server:
    """Accepts connections, each read by a thread of its own."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._listener: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._reading = threading.Event()
        self._reading.set()
        self.port = 0

    def open(self, wire: str, certificate: str | None, buffer: int) -> int:
        """Listen, at the port of the last time if there was one, and return the port."""
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        self._reading.set()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if buffer:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener, wire, context), daemon=True).start()
        return self.port

    def close(self) -> None:
        """Be gone as a killed process is: connections are reset, what was not read is lost."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                socket.socket.shutdown(connection, socket.SHUT_RD)
            with contextlib.suppress(OSError):
                connection.close()
        self._reading.set()

    def stall(self, stalled: bool) -> None:
        """Stop reading, or go on."""
        (self._reading.clear if stalled else self._reading.set)()

    def _accept(self, listener: socket.socket, wire: str, context: ssl.SSLContext | None) -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain, wire, context), daemon=True).start()

    def _serve(self, plain: socket.socket, wire: str, context: ssl.SSLContext | None) -> None:
        connection = plain
        try:
            if context is not None:
                connection = context.wrap_socket(plain, server_side=True)
            self._connections.add(connection)
            rest = b""
            for data in self._received(connection):
                events, rest = DECODERS[wire](rest + data)
                while events:
                    self._tally.take(events, check=wire == "lines")
                    if wire == "http":
                        connection.sendall(_OK)
                    events, rest = DECODERS[wire](rest) if wire == "http" else (b"", rest)
        except (OSError, ValueError):
            pass  # reset, or closed by close()
        finally:
            self._connections.discard(connection)
            with contextlib.suppress(OSError):
                connection.close()

    def _received(self, connection: socket.socket) -> Iterator[bytes]:
        while True:
            self._reading.wait()
            data = connection.recv(_CHUNK)
            if not data:
                return
            yield data


def main() -> None:
    """Do what standard input says, until it ends."""
    os.nice(_NICENESS)
    tally = Tally()
    server = Server(tally)
    for line in sys.stdin:
        command = json.loads(line)
        what = command.pop("do")
        answer: Any = None
        if what == "open":
            answer = server.open(**command)
        elif what == "close":
            server.close()
        elif what == "stall":
            server.stall(**command)
        elif what == "reset":
            tally.reset()
            server.port = 0
        elif what == "report":
            answer = tally.report(**command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
