"""The ingest as its clients see it, and Elasticsearch behind it, from the control node."""

import json
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families
from service_over_tls import ServiceOverTls, wait_for

from lab import hosts

ELASTICSEARCH = "rsyslog-ingest-bookworm"
SHIPPER = "rsyslog-ingest-trixie.log-shipper"
PORT = 5959


def event(run: str, number: int, **changes: Any) -> dict[str, Any]:
    """Return an event of the contract; `run` and `number` are in its id."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime())
    return {
        "@timestamp": now,
        "timestamp": now,
        "level": "INFO",
        "logger": "business",
        "message": f"event {number}",
        "event": {"id": f"{run}-{number:06}", "dataset": "django.application"},
        "service": {"name": "scenario", "environment": "scenario"},
        **changes,
    }


class Ingest:
    """One ingest, by its address, verified by its name."""

    def __init__(self, host: Any, name: str, certificates: Path) -> None:
        self.host = host
        self.name = name
        self.address = hosts.address(name)
        self.certificates = certificates

    def context(self, client: str | None = SHIPPER) -> ssl.SSLContext:
        """Return what a client with this certificate connects with."""
        context = ssl.create_default_context(cafile=self.certificates / "ca/ca.crt")
        if client:
            context.load_cert_chain(
                self.certificates / f"clients/{client}.crt", self.certificates / f"clients/{client}.key"
            )
        return context

    def connect(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        return context.wrap_socket(
            socket.create_connection((self.address, PORT), timeout=30), server_hostname=self.name
        )

    def send(self, lines: Iterable[bytes], context: ssl.SSLContext | None = None) -> None:
        """Send lines and wait until the ingest has taken all of them in and closes.

        Raises:
            OSError: when it cuts the connection.
        """
        with self.connect(context or self.context()) as connection:
            connection.sendall(b"".join(line + b"\n" for line in lines))
            # Below TLS, so that the end is seen by the other side while this side still reads.
            socket.socket.shutdown(connection, socket.SHUT_WR)
            try:
                while connection.recv(4096):
                    pass
            except BrokenPipeError:
                # Newer versions of Python want to answer TLS's farewell on the closed half; it has been read by then.
                pass

    def send_events(self, events: Iterable[dict[str, Any]]) -> None:
        self.send(json.dumps(each).encode() for each in events)

    def dead_letters(self) -> list[dict[str, str]]:
        text = self.host.run("cat /var/log/logbastion-ingest/dead-letters.jsonl 2>/dev/null || true").stdout
        return [json.loads(line) for line in text.splitlines()]

    def wait_for_dead_letter(self, mark: str) -> dict[str, str]:
        return wait_for(
            lambda: [each for each in self.dead_letters() if mark in each.get("raw", each.get("raw_base64", ""))], 60
        )[0]

    def wait_until_listening(self) -> None:
        wait_for(lambda: self.connect(self.context()).close() is None, 60)

    def systemctl(self, *words: str) -> None:
        self.host.check_output("systemctl " + " ".join(words))


class Metrics(ServiceOverTls):
    """What the ingest tells Prometheus."""

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels."""
        answer = self.get("/metrics")
        answer.raise_for_status()
        samples = [each for family in text_string_to_metric_families(answer.text) for each in family.samples]
        found = [each.value for each in samples if each.name == name and each.labels.items() >= labels.items()]
        assert found, f"no {name} {labels}"
        return sum(found)


class Store:
    """The real Elasticsearch behind both ingests."""

    def __init__(self, authority: Path, password: str) -> None:
        self.url = f"https://{hosts.address(ELASTICSEARCH)}:9200"
        self.authority = str(authority)
        self.session = requests.Session()
        self.session.auth = ("log_reader", password)

    def ids(self, run: str) -> Counter[str]:
        """Return how often each id of this run is stored."""
        answer = self.session.get(
            f"{self.url}/logs-django.*-scenario/_search",
            json={"size": 10000, "_source": ["event.id"], "query": {"prefix": {"event.id": f"{run}-"}}},
            params={"ignore_unavailable": "true", "allow_no_indices": "true"},
            # Here and not in the session, where an environment variable would go before it.
            verify=self.authority,
            timeout=30,
        )
        answer.raise_for_status()
        return Counter(hit["_source"]["event"]["id"] for hit in answer.json()["hits"]["hits"])

    def wait_for_all(self, run: str, count: int, seconds: float = 120) -> None:
        """Wait until the events 0 to `count` - 1 of a run are stored, each once."""
        expected = {f"{run}-{number:06}" for number in range(count)}
        wait_for(lambda: self.ids(run).keys() >= expected, seconds)
        assert self.ids(run) == Counter(expected)
