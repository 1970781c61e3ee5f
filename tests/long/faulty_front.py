"""A TLS front before the real Elasticsearch that misbehaves as networks, proxies and overloaded nodes do."""

import contextlib
import http.client
import random
import ssl
import threading
import time
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme


class Fault(Enum):
    """What happens to a request instead of being passed on."""

    TOO_MANY = "answers 429"
    UNAVAILABLE = "answers 503"
    CUT_BEFORE = "closes the connection; nothing is passed on"
    CUT_AFTER = "passes on, and closes the connection without the answer"
    STALL = "reads nothing more and keeps the connection open"


class FaultyFront(ThreadingHTTPServer):
    """Passes requests on to Elasticsearch; a share of them meets a fault, and it can be away altogether.

    Args:
        directory: where the authority's certificate is written.
        upstream: host and port of Elasticsearch.
        upstream_authority: PEM file.
        share: probability of a fault, for each request.
        seed: of the faults.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, directory: Path, upstream: tuple[str, int], upstream_authority: Path, *, share: float, seed: int
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        authority = trustme.CA()
        self.ca_file = directory / "front-ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self.tls = context
        self.upstream = upstream
        self.upstream_context = ssl.create_default_context(cafile=upstream_authority)
        self.share = share
        self.chance = random.Random(seed)
        self.away = threading.Event()
        self.seen: dict[str, int] = {fault.name: 0 for fault in Fault} | {"passed": 0, "away": 0}
        self._counting = threading.Lock()

    @property
    def address(self) -> str:
        return f"localhost:{self.server_address[1]}"

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address) -> None:
        with contextlib.suppress(OSError):
            super().finish_request(self.tls.wrap_socket(request, server_side=True), client_address)

    def handle_error(self, request, client_address) -> None:
        """Say nothing: clients that are killed in mid-request are the purpose."""

    def count(self, what: str) -> None:
        with self._counting:
            self.seen[what] += 1

    def fault(self) -> Fault | None:
        with self._counting:
            return self.chance.choice(list(Fault)) if self.chance.random() < self.share else None


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyFront

    def log_message(self, *_) -> None:
        """Nothing to the terminal."""

    def setup(self) -> None:
        super().setup()
        self._upstream: http.client.HTTPSConnection | None = None

    def finish(self) -> None:
        if self._upstream:
            self._upstream.close()
        super().finish()

    def do_GET(self) -> None:
        self.do_POST()

    def do_HEAD(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        if self.server.away.is_set():
            self.server.count("away")
            self.close_connection = True
            return
        fault = self.server.fault()
        if fault is Fault.STALL:
            self.server.count(fault.name)
            time.sleep(12)  # longer than the time without progress after which the sender must give up
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if fault:
            self.server.count(fault.name)
        if fault in (Fault.TOO_MANY, Fault.UNAVAILABLE):
            self.answer(429 if fault is Fault.TOO_MANY else 503, b'{"error":{"type":"test"},"status":0}')
        elif fault is Fault.CUT_BEFORE:
            self.close_connection = True
        else:
            status, answer = self.pass_on(body)
            if fault is Fault.CUT_AFTER:
                self.close_connection = True
                return
            self.server.count("passed")
            self.answer(status, answer)

    def pass_on(self, body: bytes) -> tuple[int, bytes]:
        if self._upstream is None:
            self._upstream = http.client.HTTPSConnection(
                *self.server.upstream, timeout=60, context=self.server.upstream_context
            )
        kept = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in {"host", "content-length", "connection"}
        }
        self._upstream.request(self.command, self.path, body, kept)
        response = self._upstream.getresponse()
        return response.status, response.read()

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
