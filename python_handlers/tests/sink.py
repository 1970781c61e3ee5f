"""A real TLS receiver of lines, in a thread, with the misbehaviours that networks have."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import ssl
import struct
import threading
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

import trustme

from logbastion.processes import not_in_fork
from logbastion.shipping.transports import Receipt, Transport, TransportError


class Certificates:
    """A certification authority with a server for localhost and a client, as PEM files."""

    def __init__(self, directory: Path, authority: trustme.CA) -> None:
        self.authority = authority
        self.server = authority.issue_cert("localhost", "127.0.0.1", "::1")
        client = authority.issue_cert("app.log-shipper")
        self.ca, self.certificate, self.key = (directory / name for name in ("ca.pem", "client.pem", "client.key"))
        authority.cert_pem.write_to_path(str(self.ca))
        client.cert_chain_pems[0].write_to_path(str(self.certificate))
        client.private_key_pem.write_to_path(str(self.key))
        self.other_ca = directory / "other-ca.pem"
        trustme.CA().cert_pem.write_to_path(str(self.other_ca))

    @property
    def client(self) -> dict[str, str]:
        return {"ca_file": str(self.ca), "certificate_file": str(self.certificate), "key_file": str(self.key)}


def reset(connection: socket.socket) -> None:
    """Break a connection as the end of a process with unread bytes does."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RD)
    connection.close()


def numbered(first: int, last: int, size: int = 0) -> list[bytes]:
    """Make events as the formatter does: one JSON object each, without a line break."""
    return [
        json.dumps(
            {
                "message": "number" + "x" * size,
                "event": {"id": f"id-{n}", "dataset": "django.application"},
                "service": {"name": "school", "environment": "lab"},
                "extra": {"n": n},
            },
            separators=(",", ":"),
        ).encode()
        for n in range(first, last)
    ]


class Feeder:
    """Does for a transport what spool and worker do: keeps what is not settled, and begins there again on failure."""

    def __init__(self, transport: Transport, events: Iterable[bytes] = (), batch: int = 100) -> None:
        self.transport = transport
        self.events = list(events)
        self.batch = batch
        self.settled = 0
        self.handed = 0
        self.refused: list[tuple[bytes, str]] = []
        self.errors: list[TransportError] = []
        self.calls = 0

    def _apply(self, receipt: Receipt) -> None:
        assert 0 <= receipt.settled <= self.handed - self.settled
        for refusal in receipt.refused:
            assert 0 <= refusal.index < receipt.settled
            self.refused.append((self.events[self.settled + refusal.index], refusal.reason))
        self.settled += receipt.settled

    def step(self) -> bool:
        """One call of the transport; False when it failed."""
        self.calls += 1
        batch = self.events[self.handed : self.handed + self.batch]
        self.handed += len(batch)
        try:
            self._apply(self.transport.send(batch) if batch else self.transport.poll())
        except TransportError as error:
            self._apply(error.receipt)
            self.errors.append(error)
            self.handed = self.settled
            return False
        return True

    def run(self, seconds: float = 30, pause: float = 0.02) -> None:
        """Go on until everything is settled."""
        deadline = time.monotonic() + seconds
        while self.settled < len(self.events):
            assert time.monotonic() < deadline, f"{self.settled} of {len(self.events)} settled, {self.errors[-3:]}"
            if not self.step() or self.handed == len(self.events):
                time.sleep(pause)

    def hand_over(self) -> None:
        """Hand everything over once, whatever is settled by it."""
        while self.handed < len(self.events):
            assert self.step(), self.errors

    def run_to_the_end(self) -> None:
        """Hand everything over and end the connection, again and again until everything is settled."""
        deadline = time.monotonic() + 30
        while self.settled < len(self.events):
            assert time.monotonic() < deadline, self.errors
            self.step()
            if self.handed == len(self.events):
                self.finish()

    def finish(self, seconds: float = 10) -> None:
        self._apply(self.transport.finish(seconds))
        self.handed = self.settled


class Silent:
    """Accepts connections and never says or reads a word."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.address = f"localhost:{self.port}"

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.close()


class Sink:
    """Accepts TLS connections with a client certificate and keeps whole lines."""

    def __init__(
        self,
        certificates: Certificates,
        *,
        family: socket.AddressFamily = socket.AF_INET,
        server: trustme.LeafCert | None = None,
        version: ssl.TLSVersion | None = None,
        ask_client: bool = True,
    ) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (server or certificates.server).configure_cert(self.context)
        certificates.authority.configure_trust(self.context)
        self.context.verify_mode = ssl.CERT_REQUIRED if ask_client else ssl.CERT_NONE
        if version:
            if version < ssl.TLSVersion.TLSv1_2:
                self.context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL 3 speaks no old version otherwise
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", DeprecationWarning)
                    self.context.minimum_version = version
                    self.context.maximum_version = version
            else:
                self.context.maximum_version = version
        self._family = family
        self.lines: list[bytes] = []
        self.connections = 0
        self.clean_ends = 0
        self.versions: set[str | None] = set()
        self.close_after: int | None = None
        """Bytes after which the next connection is reset, in the middle of whatever is being sent."""
        self.reading = threading.Event()
        self.reading.set()
        self.slowness = 0.0
        """Seconds that it takes for each of the pieces that it reads, of 16 KiB at most."""
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.port = 0

    @property
    def address(self) -> str:
        return f"[::1]:{self.port}" if self._family == socket.AF_INET6 else f"localhost:{self.port}"

    def half_close(self) -> None:
        """End this side of all connections, without having read the other side."""
        with self._lock:
            for connection in self._open:
                socket.socket.shutdown(connection, socket.SHUT_WR)

    def numbers(self) -> list[int]:
        with self._lock:
            return [json.loads(line)["extra"]["n"] for line in self.lines if b'"n":' in line]

    def messages(self) -> list[str]:
        with self._lock:
            return [json.loads(line)["message"] for line in self.lines]

    def start(self) -> None:
        host = "::1" if self._family == socket.AF_INET6 else "127.0.0.1"
        self._listener = socket.create_server((host, self.port), family=self._family)
        self.port = self._listener.getsockname()[1]
        self._stopped = threading.Event()
        threading.Thread(target=self._accept, args=(self._listener, self._stopped), daemon=True).start()

    def stop(self) -> None:
        """Be gone as a killed process is: connections reset, what was not read is lost."""
        self._stopped.set()
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.break_connections()

    def break_connections(self) -> None:
        """Reset them all; what was not read is lost. New ones are accepted."""
        with self._lock:
            connections, self._open = self._open, []
        for connection in connections:
            reset(connection)

    def _accept(self, listener: socket.socket, stopped: threading.Event) -> None:
        while not stopped.is_set():
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain, stopped), daemon=True).start()

    def _handshake(self, plain: socket.socket) -> ssl.SSLSocket:
        """Do what the transport does: a test that forks must not do so while this thread holds a lock of OpenSSL."""
        with not_in_fork():
            connection = self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        connection.settimeout(0)
        while True:
            try:
                with not_in_fork():
                    connection.do_handshake()
                break
            except ssl.SSLWantReadError:
                select.select([connection], [], [])
            except ssl.SSLWantWriteError:
                select.select([], [connection], [])
        connection.settimeout(None)
        return connection

    def _serve(self, plain: socket.socket, stopped: threading.Event) -> None:
        rest = b""
        try:
            connection = self._handshake(plain)
            with self._lock:
                self.connections += 1
                self.versions.add(connection.version())
                self._open.append(connection)
            while not stopped.is_set():
                if not self.reading.wait(0.05):
                    continue
                data = connection.recv(65536 if not self.slowness else 16384)
                time.sleep(self.slowness)
                if not data:
                    with self._lock:
                        self.clean_ends += 1
                    break
                *whole, rest = (rest + data).split(b"\n")
                with self._lock:
                    self.lines.extend(whole)
                    if self.close_after is not None:
                        self.close_after -= len(data)
                        if self.close_after <= 0:
                            self.close_after = None
                            reset(connection)
                            return
            connection.close()
        except (OSError, ValueError):
            plain.close()
