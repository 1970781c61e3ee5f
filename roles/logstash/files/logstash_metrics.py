"""Logstash's own figures for Prometheus: logstash_metrics.py CONFIGURATION.

Logstash's API answers in JSON, on this host only. This program asks it at each scrape and answers over HTTPS with a password, under the names that the
other ingest uses, so that alerts and dashboards are the same for both.
"""

import base64
import hashlib
import hmac
import http.client
import http.server
import json
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECONDS = 10
Sample = tuple[str, str, str, float]


def samples(pipelines: dict[str, Any]) -> Iterator[Sample]:
    """Yield name, type, labels and value from the answer to /_node/stats/pipelines; what is not in it is left out."""
    ingest = pipelines.get("ingest") or {}
    outputs = {each.get("id"): each for each in (ingest.get("plugins") or {}).get("outputs") or []}
    documents = (outputs.get("elasticsearch") or {}).get("documents") or {}
    queue = ingest.get("queue") or {}
    letters = (outputs.get("to_dead_letters") or {}).get("events") or {}
    found = [
        ("logbastion_ingest_events_stored_total", "counter", "", documents.get("successes")),
        ("logbastion_ingest_dead_letters_total", "counter", '{reason="invalid"}', letters.get("in")),
        ("logbastion_ingest_dead_letters_total", "counter", '{reason="refused"}', documents.get("dlq_routed")),
        ("logbastion_ingest_queue_events", "gauge", "", queue.get("events_count")),
        ("logbastion_ingest_queue_bytes", "gauge", "", queue.get("queue_size_in_bytes")),
        ("logbastion_ingest_queue_maximum_bytes", "gauge", "", queue.get("max_queue_size_in_bytes")),
        (
            "logbastion_ingest_disk_available_bytes",
            "gauge",
            "",
            (queue.get("data") or {}).get("free_space_in_bytes"),
        ),
        (
            "logbastion_logstash_dead_letters_dropped_total",
            "counter",
            "",
            (ingest.get("dead_letter_queue") or {}).get("dropped_events"),
        ),
    ]
    for name, kind, labels, value in found:
        # Logstash counts a thing from its first time on: a counter that is not there yet is 0.
        if value is not None or (kind == "counter" and ingest):
            yield name, kind, labels, float(value or 0)
    for name, pipeline in pipelines.items():
        failures = (pipeline.get("reloads") or {}).get("failures")
        if failures is not None:
            escaped = name.replace("\\", "\\\\").replace('"', '\\"')
            yield "logbastion_logstash_reload_failures_total", "counter", f'{{pipeline="{escaped}"}}', float(failures)


def text(found: list[Sample]) -> str:
    """Return samples in Prometheus' text format."""
    lines = []
    for name in dict.fromkeys(sample[0] for sample in found):
        of_name = [sample for sample in found if sample[0] == name]
        lines += [f"# TYPE {name} {of_name[0][1]}", *(f"{name}{labels} {value!r}" for _, _, labels, value in of_name)]
    return "\n".join(lines) + "\n"


class Metrics:
    """What the configuration file says, and what it is for."""

    def __init__(self, path: str) -> None:
        """Read the file."""
        read = json.loads(Path(path).read_text(encoding="utf-8"))
        self.address: str = read["listen_address"]
        self.port: int = read["port"]
        self.certificate: str = read["certificate_file"]
        self.key: str = read["key_file"]
        self._api_port: int = read["api_port"]
        self._api_login = _basic(read["api_user"], read["api_password"])
        self._user: str = read["user"]
        self._password_sha256: str = read["password_sha256"]

    def permits(self, header: str | None) -> bool:
        """Tell whether an Authorization header has the user and the password."""
        try:
            given = base64.b64decode((header or "").removeprefix("Basic "), validate=True).decode()
        except ValueError:
            return False
        user, _, password = given.partition(":")
        digest = hashlib.sha256(password.encode()).hexdigest()
        return hmac.compare_digest(digest, self._password_sha256) and hmac.compare_digest(
            user.encode(), self._user.encode()
        )

    def scrape(self) -> str:
        """Ask Logstash; `logbastion_logstash_up` says whether it has answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self._api_port, timeout=SECONDS)
        try:
            connection.request("GET", "/_node/stats/pipelines", headers={"Authorization": self._api_login})
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                raise OSError(f"status {answer.status}")
            found = list(samples(json.load(answer)["pipelines"]))
        except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
            print(f"Logstash's API does not answer: {error}", file=sys.stderr, flush=True)
            return text([("logbastion_logstash_up", "gauge", "", 0.0)])
        finally:
            connection.close()
        return text([("logbastion_logstash_up", "gauge", "", 1.0), *found])


class Handler(http.server.BaseHTTPRequestHandler):
    """GET /metrics."""

    server: "Server"

    def do_GET(self) -> None:
        """Answer."""
        if not self.server.metrics.permits(self.headers["Authorization"]):
            self._answer(401, "")
        elif self.path != "/metrics":
            self._answer(404, "")
        else:
            self._answer(200, self.server.metrics.scrape())

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        if status == http.HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="metrics"')
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Keep scrapes out of the journal."""


class Server(http.server.ThreadingHTTPServer):
    """Each connection has a thread, which also makes the handshake: a client that says nothing holds up no other."""

    daemon_threads = True

    def __init__(self, metrics: Metrics) -> None:
        """Listen."""
        self.metrics = metrics
        super().__init__((metrics.address, metrics.port), Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Speak TLS with the certificate of now: a renewed one needs no restart."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.metrics.certificate, self.metrics.key)
        request.settimeout(SECONDS)
        try:
            with context.wrap_socket(request, server_side=True) as tls:
                super().finish_request(tls, client_address)
                tls.settimeout(SECONDS)
                tls.unwrap()
        except OSError:
            # Somebody without TLS, or one that has gone.
            return

    def shutdown_request(self, request: socket.socket | Any) -> None:
        """End it; TLS has taken the socket over."""
        self.close_request(request)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


if __name__ == "__main__":
    Server(Metrics(sys.argv[1])).serve_forever()
