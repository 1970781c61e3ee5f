"""Lines as rsyslog hands them over, and which of them are events of the event contract."""

import json
import re
from dataclasses import dataclass

from delivery.configuration import Configuration
from delivery.metrics import seconds_of

ENVIRONMENT = re.compile(r"[a-z0-9_]{1,100}")
# Elasticsearch refuses a longer _id (IndexRequest.validate).
MAXIMUM_ID_BYTES = 512


class RejectedError(Exception):
    """The event itself is wrong and would be refused for ever; the text says why."""


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
    """A line that may be stored: its data stream, its document id, and when it was made (Unix time; None: not readable)."""

    line: Line
    index: str
    id: str
    created: float | None

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
    return Event(line, f"logs-{dataset}-{environment}", identifier, seconds_of(document.get("@timestamp")))
