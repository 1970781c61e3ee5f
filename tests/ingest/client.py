"""An ingest as its clients see it, and the Elasticsearch behind it; nothing here knows which program it is or who started it."""

import json
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.ingest.waiting import wait_for

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


@dataclass(frozen=True)
class Credentials:
    """What a client trusts and shows: files in PEM format."""

    authority: Path
    certificate: Path | None = None
    key: Path | None = None


class IngestClient:
    """One ingest, by its address, verified by its name."""

    def __init__(
        self,
        name: str,
        credentials: Credentials,
        *,
        address: str = "",
        port: int = PORT,
        read_dead_letters: Callable[[], str] = lambda: "",
    ) -> None:
        self.name = name
        self.credentials = credentials
        self.address = address or name
        self.port = port
        self._read_dead_letters = read_dead_letters

    def context(self, credentials: Credentials | None = None) -> ssl.SSLContext:
        """Return what a client with these credentials, or the right ones, connects with."""
        chosen = credentials or self.credentials
        context = ssl.create_default_context(cafile=chosen.authority)
        if chosen.certificate:
            context.load_cert_chain(chosen.certificate, chosen.key)
        return context

    def connect(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Open a connection."""
        return context.wrap_socket(
            socket.create_connection((self.address, self.port), timeout=30), server_hostname=self.name
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
        """Send events, each as a line."""
        self.send(json.dumps(each).encode() for each in events)

    def dead_letters(self) -> list[dict[str, str]]:
        """Return what could not be stored, oldest first."""
        return [json.loads(line) for line in self._read_dead_letters().splitlines()]

    def wait_for_dead_letter(self, mark: str) -> dict[str, str]:
        """Return the first dead letter with `mark` in its line."""
        found: dict[str, str] = wait_for(
            lambda: [each for each in self.dead_letters() if mark in each.get("raw", each.get("raw_base64", ""))], 60
        )[0]
        return found

    def wait_until_listening(self) -> None:
        """Wait until it takes connections."""
        wait_for(lambda: self.connect(self.context()).close() is None, 60)


class Store:
    """The real Elasticsearch behind an ingest."""

    def __init__(self, url: str, authority: Path | str, auth: tuple[str, str] | None, environment: str = "scenario"):
        self.url = url
        self.authority = str(authority)
        self.environment = environment
        self.session = requests.Session()
        self.session.auth = auth

    def documents(self, run: str) -> list[dict[str, Any]]:
        """Return the documents of this run, with their index and id."""
        answer = self.session.get(
            f"{self.url}/logs-django.*-{self.environment}/_search",
            json={"size": 10000, "query": {"prefix": {"event.id": f"{run}-"}}},
            params={"ignore_unavailable": "true", "allow_no_indices": "true"},
            # Here and not in the session, where an environment variable would go before it.
            verify=self.authority,
            timeout=30,
        )
        answer.raise_for_status()
        hits: list[dict[str, Any]] = answer.json()["hits"]["hits"]
        return hits

    def ids(self, run: str) -> Counter[str]:
        """Return how often each id of this run is stored."""
        return Counter(hit["_source"]["event"]["id"] for hit in self.documents(run))

    def wait_for_all(self, run: str, count: int, seconds: float = 120) -> None:
        """Wait until the events 0 to `count` - 1 of a run are stored, each once."""
        expected = {f"{run}-{number:06}" for number in range(count)}
        wait_for(lambda: self.ids(run).keys() >= expected, seconds)
        assert self.ids(run) == Counter(expected)
