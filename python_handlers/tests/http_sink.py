"""HTTPS servers in a thread that stand in for Logstash's http input and for Elasticsearch, and that misbehave."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from sink import Certificates, reset

Answer = Callable[[http.server.BaseHTTPRequestHandler, bytes], None]


def say(status: int, text: str = "", **headers: str) -> Answer:
    """Answer with a status whatever was asked."""

    def answer(request: http.server.BaseHTTPRequestHandler, _body: bytes) -> None:
        data = text.encode()
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    return answer


def break_off(request: http.server.BaseHTTPRequestHandler, _body: bytes) -> None:
    """Reset the connection instead of answering."""
    request.close_connection = True
    reset(request.connection)


def break_off_in_the_answer(request: http.server.BaseHTTPRequestHandler, _body: bytes) -> None:
    """Announce more than is sent, and close."""
    request.send_response(200)
    request.send_header("Content-Length", "1000")
    request.end_headers()
    request.wfile.write(b'{"errors":')
    request.close_connection = True


def stay_silent(request: http.server.BaseHTTPRequestHandler, _body: bytes) -> None:
    """Never answer: wait until the client has gone."""
    request.close_connection = True
    with contextlib.suppress(OSError):
        request.connection.recv(1)


def drip(request: http.server.BaseHTTPRequestHandler, _body: bytes) -> None:
    """Answer so slowly that the end is never reached."""
    request.close_connection = True
    with contextlib.suppress(OSError):
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            request.wfile.write(b"X: y\r\n")
            time.sleep(0.2)


def speak_another_protocol(request: http.server.BaseHTTPRequestHandler, _body: bytes) -> None:
    request.close_connection = True
    request.wfile.write(b"220 mail.example ESMTP\r\n")


class HttpsStandIn:
    """Accepts POST; ``script`` holds answers for the next requests, after them :meth:`behave` answers."""

    def __init__(self, certificates: Certificates, *, ask_client: bool = False, port: int = 0) -> None:
        self.script: deque[Answer] = deque()
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.connections = 0
        self.max_bytes = 100 * 1024 * 1024
        self.lingers = True
        """Whether it reads what it does not want to its end, as nginx does, or hangs up at once."""
        self.authorization: str | None = None
        self.lock = threading.Lock()
        self._open: set[socket.socket] = set()
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                self.request.do_handshake()
                with stand_in.lock:
                    stand_in.connections += 1
                    stand_in._open.add(self.request)
                super().setup()

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                if length > stand_in.max_bytes:  # said before the body is read
                    self.close_connection = True
                    say(413, "too large", Connection="close")(self, b"")
                    with contextlib.suppress(OSError):
                        self.rfile.read(length if stand_in.lingers else 1)
                    return
                body = self.rfile.read(length)
                with stand_in.lock:
                    stand_in.requests.append((self.path, dict(self.headers), body))
                    answer = stand_in.script.popleft() if stand_in.script else stand_in.behave
                if stand_in.authorization and self.headers["Authorization"] != stand_in.authorization:
                    answer = say(401, "who are you?")
                answer(self, body)

            def log_message(self, *_arguments: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_arguments: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificates.server.configure_cert(context)
        if ask_client:
            certificates.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self._server.server_address[1]
        self.address = f"localhost:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self) -> HttpsStandIn:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.drop()

    def drop(self) -> None:
        """Break all connections, as when the process ends."""
        with self.lock:
            connections, self._open = self._open, set()
        for connection in connections:
            reset(connection)

    def expect(self, user: str, password: str) -> None:
        self.authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def behave(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        raise NotImplementedError


class LogstashHttpStandIn(HttpsStandIn):
    """Takes JSON arrays as Logstash's http input does; ``bad`` says which numbers it calls a bad request."""

    def __init__(self, certificates: Certificates, **options: Any) -> None:
        self.bad: set[int] = set()
        self.numbers: list[int] = []
        super().__init__(certificates, **options)

    def behave(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        found = [event["extra"]["n"] for event in json.loads(body)]
        if self.bad & set(found):
            say(400, "bad request")(request, body)
            return
        with self.lock:
            self.numbers.extend(found)
        say(200, "ok", Content_Type="text/plain")(request, body)


class ElasticsearchBulkStandIn(HttpsStandIn):
    """Answers ``_bulk`` as Elasticsearch does for ``create``: 201, 409 for a known id, 400 for what a mapping refuses.

    ``bad`` are numbers that the mapping refuses; ``busy`` says how often the document with a number is answered 429;
    ``statuses`` answers documents with a number by a status of its own, always.
    """

    def __init__(self, certificates: Certificates, **options: Any) -> None:
        self.documents: dict[tuple[str, str], dict[str, Any]] = {}
        self.bad: set[int] = set()
        self.busy: dict[int, int] = {}
        self.statuses: dict[int, int] = {}
        self.created = 0
        self.known = 0
        super().__init__(certificates, **options)

    def numbers(self) -> list[int]:
        with self.lock:
            return sorted(document["extra"]["n"] for document in self.documents.values())

    def behave(self, request: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
        assert body.endswith(b"\n")
        lines = body.split(b"\n")[:-1]
        with self.lock:
            items = [self._create(lines[at], lines[at + 1]) for at in range(0, len(lines), 2)]
        errors = any("error" in item["create"] for item in items)
        say(200, json.dumps({"took": 1, "errors": errors, "items": items}), Content_Type="application/json")(
            request, b""
        )

    def _create(self, action: bytes, source: bytes) -> dict[str, Any]:
        where = json.loads(action)["create"]
        document = json.loads(source)
        number = document["extra"]["n"]
        key = (where["_index"], where.get("_id") or f"made-{len(self.documents)}")
        if self.busy.get(number):
            self.busy[number] -= 1
            return self._item(429, "es_rejected_execution_exception", "rejected execution of coordinating operation")
        if number in self.statuses:
            return self._item(self.statuses[number], "some_exception", "not now")
        if number in self.bad:
            return self._item(400, "document_parsing_exception", "[1:2] failed to parse field [user_id]")
        if key in self.documents:
            self.known += 1
            return self._item(409, "version_conflict_engine_exception", "document already exists")
        self.documents[key] = document
        self.created += 1
        return {"create": {"_index": key[0], "_id": key[1], "status": 201, "result": "created"}}

    @staticmethod
    def _item(status: int, kind: str, reason: str) -> dict[str, Any]:
        return {"create": {"status": status, "error": {"type": kind, "reason": reason}}}
