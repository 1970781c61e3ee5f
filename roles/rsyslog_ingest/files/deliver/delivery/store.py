"""Storing events in Elasticsearch, and what its answers mean."""

import base64
import http.client
import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from delivery.configuration import Configuration
from delivery.events import Event, Line

MAXIMUM_REQUEST_BYTES = 8 * 1024 * 1024
MAXIMUM_REASON_CHARACTERS = 1000

CREATED = frozenset({200, 201})
ALREADY_STORED = 409
TOO_LARGE = 413
BAD_REQUEST = 400


class NotDeliveredError(Exception):
    """Elasticsearch cannot be reached or does not take events now; to be tried again later."""


class Elasticsearch:
    """One of several nodes, over verified TLS; the next one is taken when a node does not answer."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._context = ssl.create_default_context(cafile=configuration.ca_file)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._urls = list(configuration.elasticsearch_urls)
        self._connection: http.client.HTTPSConnection | None = None
        self._authorization = ""

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        """Return status and JSON body of the first node that answers.

        Raises:
            NotDeliveredError: when no node answers with JSON.
        """
        trouble = ""
        # One more than there are nodes: a kept connection may have been closed by the other side meanwhile.
        for _ in range(len(self._urls) + 1):
            try:
                status, content = self._exchange(method, path, body)
                answer = json.loads(content) if content else {}
                if isinstance(answer, dict):
                    return status, answer
                trouble = f"{self._urls[0]} answered {status} without a JSON object"
            except (OSError, http.client.HTTPException, ValueError) as error:
                trouble = f"{self._urls[0]}: {type(error).__name__}: {error}"
            self.close()
            self._urls.append(self._urls.pop(0))
        raise NotDeliveredError(trouble)

    def log_in(self) -> str:
        """Return the name of the user that the password is for.

        Raises:
            NotDeliveredError: when no node answers, or it refuses the password.
        """
        status, answer = self.request("GET", "/_security/_authenticate")
        if status not in CREATED:
            raise NotDeliveredError(f"Elasticsearch answered {status}: {describe(answer.get('error'))}")
        return str(answer["username"])

    def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self._connection is None:
            # Read at every connection, so that a changed password needs no restart.
            with open(self._configuration.password_file, encoding="utf-8") as file:
                credential = f"{self._configuration.username}:{file.read().strip()}"
            self._authorization = "Basic " + base64.b64encode(credential.encode("utf-8")).decode("ascii")
            url = urlsplit(self._urls[0])
            self._connection = http.client.HTTPSConnection(
                str(url.hostname),
                url.port or 443,
                timeout=self._configuration.request_timeout_seconds,
                context=self._context,
            )
        headers = {"Authorization": self._authorization, "Content-Type": "application/x-ndjson"}
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def close(self) -> None:
        """Close the connection; the next request opens one, to whichever node is next."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def chunks(events: list[Event]) -> Iterator[list[Event]]:
    """Cut a batch into requests of at most MAXIMUM_REQUEST_BYTES (or one event)."""
    chunk: list[Event] = []
    size = 0
    for event in events:
        if chunk and size + len(event.line.raw) > MAXIMUM_REQUEST_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(event)
        size += len(event.line.raw)
    if chunk:
        yield chunk


def describe(error: object) -> str:
    """Return type and reason of an error of Elasticsearch in one line."""
    if not isinstance(error, dict):
        return str(error)[:MAXIMUM_REASON_CHARACTERS]
    cause = error.get("caused_by")
    text = f"{error.get('type')}: {error.get('reason')}" + (
        f" ({cause.get('reason')})" if isinstance(cause, dict) else ""
    )
    return text[:MAXIMUM_REASON_CHARACTERS]


def store(events: list[Event], elasticsearch: Elasticsearch) -> list[tuple[Line, str]]:
    """Store events and return those that Elasticsearch refuses for ever, each with the reason.

    Raises:
        NotDeliveredError: when Elasticsearch does not take all of them now. What it took is recognised when it is sent again.
    """
    status, answer = elasticsearch.request(
        "POST",
        "/_bulk?filter_path=items.*.status,items.*.error,error,status",
        b"".join(event.bulk() for event in events),
    )
    if status in (BAD_REQUEST, TOO_LARGE):
        # One event may spoil the request for all: halve it until the one is alone.
        if len(events) == 1:
            return [(events[0].line, f"Elasticsearch: {status} {describe(answer.get('error'))}")]
        middle = len(events) // 2
        return store(events[:middle], elasticsearch) + store(events[middle:], elasticsearch)
    items = answer.get("items")
    if status not in CREATED or not isinstance(items, list) or len(items) != len(events):
        # 401 and 403, too: the password may be about to change, and losing events does not make it right.
        elasticsearch.close()
        raise NotDeliveredError(f"Elasticsearch answered {status}: {describe(answer.get('error'))}")
    refused = []
    for event, item in zip(events, items, strict=True):
        result = item.get("create", {})
        status, error = result.get("status"), result.get("error", {})
        if status == BAD_REQUEST:
            refused.append((event.line, f"Elasticsearch: {status} {describe(error)}"))
        elif status not in CREATED and status != ALREADY_STORED:
            # No reason in the message: it could quote the event, and this goes to the journal.
            raise NotDeliveredError(
                f"Elasticsearch answered {status} for an event in {event.index}: {error.get('type')}"
            )
    return refused
