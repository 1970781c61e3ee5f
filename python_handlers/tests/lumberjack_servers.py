"""The reference implementation of the Beats protocol's server as a process, and what stands before or in for it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sink import Certificates, reset

SOURCE = Path(__file__).parent / "lumberjack"
REFERENCE_PROGRAM = "github.com/elastic/go-lumber/cmd/tst-lj"


def build(directory: Path) -> Path:
    """Build the reference's own program and our receiver around its server; go.sum says what they are made of."""
    environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    command = ["go", "build", "-o", f"{directory}/", ".", REFERENCE_PROGRAM]
    try:
        done = subprocess.run(
            command, check=False, cwd=SOURCE, env=environment, capture_output=True, text=True, timeout=600
        )
    except FileNotFoundError:
        raise RuntimeError("These tests need Go 1.19 or newer: apt-get install golang-go") from None
    if done.returncode:
        raise RuntimeError(f"The reference server could not be built: {done.stderr}")
    return directory


class Receiver:
    """The reference server with TLS and client certificates; keeps the events that it is about to acknowledge."""

    def __init__(self, binaries: Path, certificates: Certificates, directory: Path, *arguments: str) -> None:
        pem = certificates.server.private_key_and_cert_chain_pem.bytes()
        file = directory / "server.pem"
        file.write_bytes(pem)
        self._command = [
            str(binaries / "receiver"),
            *("-certificate", str(file), "-key", str(file), "-ca", str(certificates.ca)),
            *arguments,
        ]
        self._lock = threading.Lock()
        self.lines: list[bytes] = []
        self.port = 0

    @property
    def address(self) -> str:
        return f"localhost:{self.port}"

    def numbers(self) -> list[int]:
        with self._lock:
            return [json.loads(line)["extra"]["n"] for line in self.lines]

    def start(self) -> None:
        self._process = subprocess.Popen(
            [*self._command, "-port", str(self.port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        self.port = json.loads(self._process.stdout.readline())["port"]
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, lines: Any) -> None:
        for line in lines:
            with self._lock:
                self.lines.append(line)

    def kill(self) -> None:
        """SIGKILL, and keep what it had written."""
        self._process.kill()
        self._process.wait()
        self._reader.join(20)
        self._process.stdout.close()

    def __enter__(self) -> Receiver:
        self.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.kill()


class ReferenceProgram:
    """``tst-lj`` without TLS on a loopback port of this test, and a TLS server that hands connections through to it."""

    def __init__(self, binaries: Path, certificates: Certificates, *arguments: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._plain = probe.getsockname()[1]
        self._process = subprocess.Popen(
            [str(binaries / "tst-lj"), "-v2", "-bind", f"127.0.0.1:{self._plain}", *arguments],
            stderr=subprocess.PIPE,
        )
        self._log: list[bytes] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificates.server.configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"localhost:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        self._log.extend(self._process.stderr)

    def batches(self) -> list[int]:
        """Sizes of the batches that the program has logged."""
        return [int(size) for line in list(self._log) for size in re.findall(rb"Received batch of (\d+) events", line)]

    def is_up(self) -> bool:
        return any(b"tcp server up" in line for line in list(self._log))

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            outside = self._context.wrap_socket(plain, server_side=True)
            inside = socket.create_connection(("127.0.0.1", self._plain))
            back = threading.Thread(target=_copy, args=(inside, outside), daemon=True)
            back.start()
            _copy(outside, inside)
            back.join(20)
            outside.close()
            inside.close()

    def __enter__(self) -> ReferenceProgram:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.close()
        self._process.kill()
        self._process.wait()
        self._reader.join(20)
        self._process.stderr.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        socket.socket.shutdown(target, socket.SHUT_WR)


Reply = Callable[["ssl.SSLSocket", list[bytes]], None]


def acknowledge(number: int) -> bytes:
    return struct.pack(">2sI", b"2A", number)


class LumberjackStandIn:
    """Reads windows with TLS and replies by a function: for answers that the reference server never gives."""

    def __init__(self, certificates: Certificates, reply: Reply) -> None:
        self.reply = reply
        self.windows: list[list[bytes]] = []
        self.connections = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificates.server.configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"localhost:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> LumberjackStandIn:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            connection = self._context.wrap_socket(plain, server_side=True)
            self.connections += 1
            stream = connection.makefile("rb")
            while True:
                code, count = struct.unpack(">2sI", _exactly(stream, 6))
                assert code == b"2W"
                window: list[bytes] = []
                while len(window) < count:
                    self._frame(stream, window)
                self.windows.append(window)
                self.reply(connection, window)

    def _frame(self, stream: Any, window: list[bytes]) -> None:
        code, number = struct.unpack(">2sI", _exactly(stream, 6))
        if code == b"2C":
            data = zlib.decompress(_exactly(stream, number))
            while data:
                code, number, size = struct.unpack_from(">2sII", data)
                assert (code, number) == (b"2J", len(window) + 1)
                window.append(data[10 : 10 + size])
                data = data[10 + size :]
            return
        assert (code, number) == (b"2J", len(window) + 1)
        window.append(_exactly(stream, struct.unpack(">I", _exactly(stream, 4))[0]))


def _exactly(stream: Any, size: int) -> bytes:
    data: bytes = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def hang_up(connection: ssl.SSLSocket, _window: list[bytes]) -> None:
    connection.close()
    raise EOFError


def break_off(connection: ssl.SSLSocket, _window: list[bytes]) -> None:
    reset(connection)
    raise EOFError


def in_pieces(connection: ssl.SSLSocket, window: list[bytes]) -> None:
    """Keep-alives, then the acknowledgement byte by byte, with an earlier part of it before."""
    for byte in acknowledge(0) + acknowledge(0) + acknowledge(len(window) // 2) + acknowledge(len(window)):
        connection.sendall(bytes([byte]))
        time.sleep(0.001)
