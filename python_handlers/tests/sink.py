"""A real TLS receiver of lines, in a thread, with the misbehaviours that networks have."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from pathlib import Path

import trustme


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


class Sink:
    """Accepts TLS connections with a client certificate and keeps whole lines."""

    def __init__(
        self,
        certificates: Certificates,
        *,
        family: socket.AddressFamily = socket.AF_INET,
        server: trustme.LeafCert | None = None,
        version: ssl.TLSVersion | None = None,
    ) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        (server or certificates.server).configure_cert(self._context)
        certificates.authority.configure_trust(self._context)
        self._context.verify_mode = ssl.CERT_REQUIRED
        if version:
            self._context.maximum_version = version
        self._family = family
        self.lines: list[bytes] = []
        self.connections = 0
        self.clean_ends = 0
        self.versions: set[str | None] = set()
        self.reading = threading.Event()
        self.reading.set()
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self.port = 0

    @property
    def address(self) -> str:
        return f"[::1]:{self.port}" if self._family == socket.AF_INET6 else f"localhost:{self.port}"

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
        with self._lock:
            connections, self._open = self._open, []
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RD)
            connection.close()

    def _accept(self, listener: socket.socket, stopped: threading.Event) -> None:
        while not stopped.is_set():
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain, stopped), daemon=True).start()

    def _serve(self, plain: socket.socket, stopped: threading.Event) -> None:
        rest = b""
        try:
            connection = self._context.wrap_socket(plain, server_side=True)
            with self._lock:
                self.connections += 1
                self.versions.add(connection.version())
                self._open.append(connection)
            while not stopped.is_set():
                if not self.reading.wait(0.05):
                    continue
                data = connection.recv(65536)
                if not data:
                    with self._lock:
                        self.clean_ends += 1
                    break
                *whole, rest = (rest + data).split(b"\n")
                with self._lock:
                    self.lines.extend(whole)
            connection.close()
        except (OSError, ValueError):
            plain.close()
