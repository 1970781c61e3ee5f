"""Documents to Elasticsearch by ``_bulk``, each answered for by itself.

Every event is created in the data stream ``logs-<event.dataset>-<service.environment>`` under its ``event.id``: one
that is there already is answered 409, which is as good as stored.
"""

from __future__ import annotations

import json
import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from logbastion.shipping.backoff import Backoff
from logbastion.shipping.transports.base import Promise, Receipt, Refusal, TransportError
from logbastion.shipping.transports.connector import ConnectionOptions, Connector
from logbastion.shipping.transports.exchange import MAX_REASON, Credentials, Exchange, Response

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Unpack

_PATH: Final = (
    "/_bulk?filter_path=errors,items.create.status,items.create.error.type,items.create.error.reason,"
    "items.create.error.caused_by.reason"
)
_OK: Final = 200
_TOO_MUCH_OR_BAD: Final = frozenset({400, 413})
_STORED: Final = frozenset({200, 201, 409})
_NEVER: Final = frozenset({400, 413})
"""Statuses of a document that no repetition changes. 403, 404, 429 and 5xx are about the store and its settings."""

_EVENT: Final = b'"event":{"id":"'
_FIELDS: Final = re.compile(
    rb'"event":\{"id":"([\w.:-]+)","dataset":"([\w.-]+)"\},"service":\{"name":"(?:[^"\\]|\\.)*","environment":"(\w+)"',
    re.ASCII,
)
_DEFAULT_DATASET: Final = "django.application"
_DEFAULT_ENVIRONMENT: Final = "default"


def action_for(event: bytes) -> bytes | None:
    """Return the action line of an event, or None when the event is not one JSON object in one line.

    The fields are found in the bytes where our formatter writes them; an event of another shape is parsed.
    """
    at = event.find(_EVENT)
    # A quote inside a JSON string is always written \", so this is a key; and it is one of the outermost object when no
    # other object or array begins before it.
    if at > 0 and event.startswith(b"{") and event.find(b'":{', 0, at) < 0 and event.find(b'":[', 0, at) < 0:
        match = _FIELDS.match(event, at)
        if match and b"\n" not in event:
            identifier, dataset, environment = match.groups()
            return b'{"create":{"_index":"logs-%b-%b","_id":"%b"}}\n' % (dataset, environment, identifier)
    return _parsed_action(event)


def _parsed_action(event: bytes) -> bytes | None:
    try:
        document = json.loads(event)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or b"\n" in event:
        return None
    dataset = _text(document, "event", "dataset") or _DEFAULT_DATASET
    environment = _text(document, "service", "environment") or _DEFAULT_ENVIRONMENT
    target = {"_index": f"logs-{dataset}-{environment}"}
    identifier = _text(document, "event", "id")
    if identifier:
        target["_id"] = identifier
    return json.dumps({"create": target}).encode() + b"\n"


def _text(document: dict[str, Any], outer: str, inner: str) -> str | None:
    found = document.get(outer)
    value = found.get(inner) if isinstance(found, dict) else None
    return value if isinstance(value, str) and value else None


@dataclass
class _Bulk:
    """Events that were handed over together, and what has become of each: False, True, or why it was refused."""

    exchange: Exchange
    lines: list[bytes]
    fate: list[bool | str]
    deadline: float
    asked: list[int] = field(default_factory=list)
    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.2, cap=5.0))

    def body(self) -> bytes:
        return b"".join([self.lines[index] for index in self.asked])


class ElasticsearchTransport:
    """Creates documents, with several requests under way at a time on connections of their own.

    A document that the mapping does not take is refused with the store's reason, the rest are stored. Documents that
    the store cannot take now (429, 5xx, a missing right, a blocked index) are sent again, until the time is up.

    Args:
        destinations: ``host:port``, several separated by commas, or a sequence of them; ``[address]:port`` for IPv6.
        path: before ``/_bulk``, when the cluster is behind a proxy.
        username: for this and the next four see :class:`~logbastion.shipping.transports.exchange.Credentials`.
        password: see there.
        password_file: see there.
        api_key: see there.
        api_key_file: see there.
        parallel: requests under way; with 1 each :meth:`send` waits for its own answer.
        response_timeout: seconds for a batch, repetitions included.
        connection: see :class:`~logbastion.shipping.transports.connector.ConnectionOptions`.

    Raises:
        ValueError: a destination cannot be understood, or certificate or credentials are half given.

    """

    promise: Final = Promise.STORED

    def __init__(
        self,
        destinations: str | Sequence[str],
        *,
        path: str = "",
        username: str | None = None,
        password: str | None = None,
        password_file: str | Path | None = None,
        api_key: str | None = None,
        api_key_file: str | Path | None = None,
        parallel: int = 4,
        response_timeout: float = 30.0,
        **connection: Unpack[ConnectionOptions],
    ) -> None:
        if parallel < 1:
            raise ValueError("At least one request has to be under way: parallel must be 1 or more.")
        credentials = Credentials(username, password, password_file, api_key, api_key_file)
        connector = Connector(destinations, **connection)
        self._response_timeout = response_timeout
        self._exchanges = [
            Exchange(connector, path.rstrip("/") + _PATH, "application/x-ndjson", credentials) for _ in range(parallel)
        ]
        self._under_way: deque[_Bulk] = deque()

    def send(self, events: Sequence[bytes]) -> Receipt:
        """See :meth:`Transport.send`."""
        return self._settle(events, lambda: len(self._under_way) >= len(self._exchanges))

    def poll(self) -> Receipt:
        """See :meth:`Transport.poll`."""
        return self._settle((), lambda: False)

    def finish(self, timeout: float) -> Receipt:
        """See :meth:`Transport.finish`."""
        deadline = time.monotonic() + timeout
        for bulk in self._under_way:
            bulk.deadline = min(bulk.deadline, deadline)
            bulk.exchange.hurry(deadline)
        try:
            receipt = self._settle((), lambda: bool(self._under_way))
        except TransportError as error:
            receipt = error.receipt
        for exchange in self._exchanges:
            exchange.finish(deadline)
        return receipt

    def forget(self) -> None:
        """See :meth:`Transport.forget`."""
        self._under_way.clear()
        for exchange in self._exchanges:
            exchange.close()

    def _settle(self, events: Sequence[bytes], must_wait: Callable[[], bool]) -> Receipt:
        """Start a request for events, if there are any, and take in answers; the oldest first, as receipts demand."""
        settled, refused = 0, list[Refusal]()
        try:
            if events:
                self._start(events)
            while self._under_way:
                bulk = self._under_way[0]
                if not must_wait() and bulk.asked and not bulk.exchange.ready():
                    break
                try:
                    self._finish_bulk(bulk)
                finally:
                    # The oldest events of a batch that failed may be settled all the same.
                    count = next((n for n, fate in enumerate(bulk.fate) if fate is False), len(bulk.fate))
                    refused += [
                        Refusal(settled + n, fate) for n, fate in enumerate(bulk.fate[:count]) if isinstance(fate, str)
                    ]
                    settled += count
                self._under_way.popleft()
        except TransportError as error:
            error.receipt = Receipt(settled, tuple(refused))
            for exchange in self._exchanges:
                exchange.close()
            self._under_way.clear()
            raise
        return Receipt(settled, tuple(refused))

    def _start(self, events: Sequence[bytes]) -> None:
        busy = {id(bulk.exchange) for bulk in self._under_way}
        exchange = next(exchange for exchange in self._exchanges if id(exchange) not in busy)
        bulk = _Bulk(exchange, [], [], time.monotonic() + self._response_timeout)
        for index, event in enumerate(events):
            action = action_for(event)
            bulk.lines.append(b"" if action is None else action + event + b"\n")
            bulk.fate.append("it is not one JSON object in one line" if action is None else False)
            if action is not None:
                bulk.asked.append(index)
        if bulk.asked:
            exchange.start(bulk.body(), bulk.deadline)
        self._under_way.append(bulk)

    def _finish_bulk(self, bulk: _Bulk) -> None:
        """Take in the answer, and send again what is to be sent again."""
        if not bulk.asked:
            return
        response = bulk.exchange.result()
        todo: deque[list[int]] = deque()
        while True:
            complaint = response.complaint()
            if response.status == _OK:
                again, complaint = self._judge(bulk, response)
                if again:
                    todo.append(again)
                    time.sleep(max(0.0, min(bulk.backoff.next(), bulk.deadline - time.monotonic())))
            elif response.status not in _TOO_MUCH_OR_BAD:
                raise bulk.exchange.failure(response)
            elif len(bulk.asked) == 1:
                bulk.fate[bulk.asked[0]] = complaint
            else:
                middle = len(bulk.asked) // 2
                todo.extendleft([bulk.asked[middle:], bulk.asked[:middle]])
            if not todo:
                return
            if time.monotonic() >= bulk.deadline:
                raise TransportError(f"not all was stored in time, last: {complaint}")
            bulk.asked = todo.popleft()
            try:
                response = bulk.exchange.request(bulk.body(), bulk.deadline)
            except TransportError as error:
                # What the store said before the time was up tells more than that the time was up.
                text = f"not all was stored in time, last: {complaint}; then {error}"
                raise TransportError(text, retry_after=error.retry_after) from error

    @staticmethod
    def _judge(bulk: _Bulk, response: Response) -> tuple[list[int], str]:
        """Note what has become of the documents asked for; return those to be sent again, and why."""
        try:
            answer = json.loads(response.body)
            results = [item["create"] for item in answer["items"]]
            statuses = [int(result["status"]) for result in results]
            if len(statuses) != len(bulk.asked):
                raise ValueError("the number of results differs")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            bulk.exchange.broken()
            raise TransportError(f"this is not an answer of _bulk: {error!r}") from error
        again, reason = [], ""
        for index, status, result in zip(bulk.asked, statuses, results, strict=True):
            if status in _STORED:
                bulk.fate[index] = True
            elif status in _NEVER:
                bulk.fate[index] = _reason(status, result)
            else:
                again.append(index)
                reason = _reason(status, result)
        return again, reason


def _reason(status: int, result: dict[str, Any]) -> str:
    error = result.get("error")
    if not isinstance(error, dict):
        return f"status {status}"
    cause = error.get("caused_by")
    parts = [error.get("type"), error.get("reason"), cause.get("reason") if isinstance(cause, dict) else None]
    return f"status {status}: {': '.join(str(part) for part in parts if part)}"[:MAX_REASON]
