"""Hand events from rsyslog's queue to Elasticsearch; rsyslog starts this program (omprog) and waits for its answers.

rsyslog keeps a batch in its queue on disk until this program has answered OK to its end. OK is answered only when every event of
the batch is either stored (or was stored before) or in the dead-letter file, synced. In all other cases rsyslog sends the batch again.

Why not rsyslog's own output omelasticsearch: it looks at the refusal of a single document, but when Elasticsearch refuses a whole
request (401 after a changed password, 413, 429, 503 while it starts) it takes the batch out of the queue and writes it to a file.

Standard library only, since it runs on a fresh host.
"""

import argparse
import base64
import http.client
import json
import os
import re
import ssl
import sys
import syslog
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, BinaryIO
from urllib.parse import urlsplit

BEGIN = b"BEGIN TRANSACTION"
COMMIT = b"COMMIT TRANSACTION"

ENVIRONMENT = re.compile(r"[a-z0-9_]{1,100}")
# Elasticsearch refuses a longer _id (IndexRequest.validate).
MAXIMUM_ID_BYTES = 512
MAXIMUM_REQUEST_BYTES = 8 * 1024 * 1024
MAXIMUM_REASON_CHARACTERS = 1000

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
# omprog takes 4095 characters for one answer: more than a day of dots. After that it starts this program anew and loses nothing.
SECONDS_BETWEEN_DOTS = 30.0

CREATED = frozenset({200, 201})
ALREADY_STORED = 409
TOO_LARGE = 413
BAD_REQUEST = 400


class ConfigurationError(Exception):
    """The configuration file cannot be used; the text says why."""


class NotDeliveredError(Exception):
    """Elasticsearch cannot be reached or does not take events now; to be tried again later."""


class RejectedError(Exception):
    """The event itself is wrong and would be refused for ever; the text says why."""


@dataclass(frozen=True)
class Configuration:
    """What the role writes into deliver.json."""

    elasticsearch_urls: list[str]
    ca_file: str
    username: str
    password_file: str
    dead_letter_file: str
    datasets: list[str]
    environments: list[str]
    maximum_event_bytes: int
    request_timeout_seconds: int

    @classmethod
    def read(cls, path: str) -> "Configuration":
        """Read and check a configuration file.

        Raises:
            ConfigurationError: when it is not JSON, or a setting is missing, unknown or of another type.
        """
        try:
            with open(path, encoding="utf-8") as file:
                values = json.load(file)
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from error
        types = {field.name: field.type for field in fields(cls)}
        if not isinstance(values, dict) or values.keys() != types.keys():
            raise ConfigurationError(f"{path} must have exactly these settings: {', '.join(types)}.")
        for name, value in values.items():
            kind = {"int": int, "str": str}.get(str(getattr(types[name], "__name__", types[name])), list)
            if not isinstance(value, kind) or (kind is not list and not value):
                raise ConfigurationError(f"{name} in {path} must be a {kind.__name__} and not empty.")
        urls = [urlsplit(str(url)) for url in values["elasticsearch_urls"]]
        if not urls or any(url.scheme != "https" or not url.hostname for url in urls):
            raise ConfigurationError(f"elasticsearch_urls in {path} must be a list of https:// addresses.")
        if not values["datasets"]:
            raise ConfigurationError(f"datasets in {path} must name at least one dataset.")
        return cls(**values)


@dataclass(frozen=True)
class Line:
    """One line as rsyslog received it, without its end: when (RFC 3339), from which address, and the bytes."""

    received: str
    sender: str
    raw: bytes

    @classmethod
    def parse(cls, line: bytes) -> "Line":
        """Take apart what the template of rsyslog.conf has put together."""
        received, sender, raw = line.split(b" ", 2)
        return cls(received.decode("ascii", "replace"), sender.decode("ascii", "replace"), raw)


@dataclass(frozen=True)
class Event:
    """A line that may be stored: its data stream and its document id."""

    line: Line
    index: str
    id: str

    def bulk(self) -> bytes:
        """Return the two lines of a bulk request; the event goes in byte by byte as it came."""
        action = {"create": {"_index": self.index, "_id": self.id}}
        return json.dumps(action).encode("ascii") + b"\n" + self.line.raw + b"\n"


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def examine(line: Line, configuration: Configuration) -> Event:
    """Find out where a line belongs; nothing that a client wrote names an index without having been checked.

    Raises:
        RejectedError: when the line is not an event of the event contract.
    """
    if len(line.raw) > configuration.maximum_event_bytes:
        raise RejectedError(f"larger than {configuration.maximum_event_bytes} bytes ({len(line.raw)})")
    try:
        document = json.loads(line.raw.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RejectedError(f"not JSON in UTF-8 ({type(error).__name__})") from error
    if not isinstance(document, dict):
        raise RejectedError("not a JSON object")
    event = document.get("event")
    identifier = event.get("id") if isinstance(event, dict) else None
    if not isinstance(identifier, str) or not 0 < len(identifier.encode("utf-8", "replace")) <= MAXIMUM_ID_BYTES:
        raise RejectedError(f"event.id is not a text of 1 to {MAXIMUM_ID_BYTES} bytes")
    dataset = event.get("dataset") if isinstance(event, dict) else None
    if dataset not in configuration.datasets:
        raise RejectedError("event.dataset is none of " + ", ".join(configuration.datasets))
    service = document.get("service")
    environment = service.get("environment") if isinstance(service, dict) else None
    if not isinstance(environment, str) or not ENVIRONMENT.fullmatch(environment):
        raise RejectedError(f"service.environment does not match {ENVIRONMENT.pattern}")
    if configuration.environments and environment not in configuration.environments:
        raise RejectedError("service.environment is none of " + ", ".join(configuration.environments))
    return Event(line, f"logs-{dataset}-{environment}", identifier)


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


def keep_dead_letters(path: str, letters: list[tuple[Line, str]]) -> None:
    """Append lines that cannot be stored to the dead-letter file, one JSON object each, and sync it.

    Raises:
        OSError: when the file cannot be written; then it is as it was before.
    """
    content = b""
    for line, reason in letters:
        letter = {"received": line.received, "from": line.sender, "reason": reason}
        try:
            letter["raw"] = line.raw.decode("utf-8")
        except UnicodeDecodeError:
            letter["raw_base64"] = base64.b64encode(line.raw).decode("ascii")
        content += json.dumps(letter).encode("ascii") + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        before = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, content) != len(content):
                raise OSError(f"{path} could not be written completely")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)


class Courier:
    """Takes batches from rsyslog and answers for them."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._elasticsearch = Elasticsearch(configuration)

    def serve(self, source: BinaryIO, answers: BinaryIO) -> None:
        """Answer rsyslog line by line (omprog, confirmMessages and useTransactions) until its end."""
        batch: list[Line] = []
        self._answer(answers, "OK")
        for text in source:
            line = text.rstrip(b"\n")
            if line == BEGIN:
                batch = []
                self._answer(answers, "OK")
            elif line == COMMIT:
                self._commit(batch, answers)
                batch = []
            else:
                batch.append(Line.parse(line))
                self._answer(answers, "DEFER_COMMIT")

    @staticmethod
    def _answer(answers: BinaryIO, text: str) -> None:
        answers.write(text.encode("ascii", "replace") + b"\n")
        answers.flush()

    def _commit(self, batch: list[Line], answers: BinaryIO) -> None:
        """Deliver a batch, however long it takes.

        rsyslog is never told to try again: it would take the batch apart and send each event in a request of its own. A dot tells it
        that the answer is still to come (omprog's keep-alive).
        """
        pause = FIRST_PAUSE_SECONDS
        last_dot = time.monotonic()
        while True:
            try:
                dead = self.deliver(batch)
                break
            except (NotDeliveredError, OSError) as error:
                if pause == FIRST_PAUSE_SECONDS:
                    syslog.syslog(syslog.LOG_ERR, f"Events wait in the queue: {error}")
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            if time.monotonic() - last_dot > SECONDS_BETWEEN_DOTS:
                answers.write(b".")
                answers.flush()
                last_dot = time.monotonic()
        if pause != FIRST_PAUSE_SECONDS:
            syslog.syslog(syslog.LOG_NOTICE, "Events are delivered again.")
        if dead:
            syslog.syslog(syslog.LOG_WARNING, f"{dead} lines went to {self._configuration.dead_letter_file}.")
        self._answer(answers, "OK")

    def deliver(self, batch: list[Line]) -> int:
        """Store a batch; return how many lines went to the dead-letter file.

        Raises:
            NotDeliveredError: when Elasticsearch does not take all events now; nothing is in the dead-letter file then.
            OSError: when the dead-letter file cannot be written.
        """
        events: list[Event] = []
        dead: list[tuple[Line, str]] = []
        for line in batch:
            try:
                events.append(examine(line, self._configuration))
            except RejectedError as error:
                dead.append((line, str(error)))
        for chunk in chunks(events):
            dead += store(chunk, self._elasticsearch)
        # Last, so that a batch that is sent again has left no dead letter twice.
        if dead:
            keep_dead_letters(self._configuration.dead_letter_file, dead)
        return len(dead)


def main() -> int:
    """Serve rsyslog, or check a configuration (`--check`), or log in to Elasticsearch once (`--log-in`)."""
    parser = argparse.ArgumentParser(description="Hands events from rsyslog's queue to Elasticsearch.")
    parser.add_argument("configuration", help="path of deliver.json")
    parser.add_argument("--check", action="store_true", help="only check the configuration file")
    parser.add_argument("--log-in", action="store_true", help="only log in to Elasticsearch, and say who one is")
    arguments = parser.parse_args()
    try:
        configuration = Configuration.read(arguments.configuration)
        if arguments.check:
            return 0
        if arguments.log_in:
            status, answer = Elasticsearch(configuration).request("GET", "/_security/_authenticate")
            if status not in CREATED:
                raise NotDeliveredError(f"Elasticsearch answered {status}: {describe(answer.get('error'))}")
            print(answer["username"])
            return 0
    except (ConfigurationError, NotDeliveredError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    syslog.openlog("logbastion-ingest-deliver", syslog.LOG_PID, syslog.LOG_DAEMON)
    Courier(configuration).serve(sys.stdin.buffer, sys.stdout.buffer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
