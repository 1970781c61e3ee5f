"""Requests over HTTP/1.1 on a verified connection that is kept: for Logstash's ``http`` input and for Elasticsearch."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import http.client
import io
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from logbastion.shipping.transports.base import TransportError
from logbastion.shipping.transports.connection import Connection
from logbastion.shipping.transports.connector import Connector

_MAX_RESPONSE: Final = 64 * 1024 * 1024
_MAX_RETRY_AFTER: Final = 300.0
_FAILURES: Final = (OSError, ValueError, http.client.HTTPException)
_ERROR: Final = 400
MAX_REASON: Final = 500
"""Characters of a receiver's words that are kept."""


@dataclass(frozen=True)
class Credentials:
    """Who is sending: a name and a password, or an API key; each may be in a file that is read for each connection.

    Args:
        username: for HTTP basic authentication (RFC 7617).
        password: its password.
        password_file: a file with the password.
        api_key: the ``encoded`` form of an Elasticsearch API key.
        api_key_file: a file with it.

    Raises:
        ValueError: both ways are given, or one of them twice or half.

    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: str | Path | None = None
    api_key: str | None = field(default=None, repr=False)
    api_key_file: str | Path | None = None

    def __post_init__(self) -> None:
        passwords = (self.password is not None) + (self.password_file is not None)
        keys = (self.api_key is not None) + (self.api_key_file is not None)
        if passwords != (self.username is not None) or keys + passwords > 1:
            raise ValueError(
                "Give either a user name with one of password and password_file, or one of api_key and api_key_file."
            )

    def header(self) -> dict[str, str]:
        """Return the header ``Authorization``, or nothing.

        Raises:
            OSError: the file cannot be read.

        """
        if self.username is not None:
            secret = self.password if self.password is not None else _secret(self.password_file)
            return {"Authorization": "Basic " + base64.b64encode(f"{self.username}:{secret}".encode()).decode()}
        if self.api_key is not None or self.api_key_file is not None:
            return {"Authorization": f"ApiKey {self.api_key or _secret(self.api_key_file)}"}
        return {}


def _secret(path: str | Path | None) -> str:
    return Path(path).read_text(encoding="utf-8").strip() if path else ""


@dataclass(frozen=True)
class Response:
    """What a receiver has answered."""

    status: int
    body: bytes
    retry_after: float | None = None

    def complaint(self) -> str:
        """Return status and body in a line, for people."""
        text = " ".join(self.body[: 4 * MAX_REASON].decode("utf-8", "replace").split())
        return f"HTTP {self.status} {http.client.responses.get(self.status, '')}: {text}"[:MAX_REASON]


class _Channel:
    """The three methods of a socket that :mod:`http.client` uses; who closes the connection is decided elsewhere."""

    def __init__(self, connection: Connection) -> None:
        self.sendall = connection.sendall
        self._connection = connection

    def makefile(self, *_arguments: Any) -> io.BufferedReader:
        return self._connection.reader()

    def close(self) -> None:
        pass


class Exchange:
    """One connection for requests that follow each other; made when it is needed and kept.

    Args:
        connector: makes connections.
        path: of all requests that do not name another.
        content_type: of all bodies whose request does not name another.
        credentials: see there.

    """

    def __init__(self, connector: Connector, path: str, content_type: str, credentials: Credentials) -> None:
        self._connector = connector
        self._path = path
        self._content_type = content_type
        self._credentials = credentials
        self._headers: dict[str, str] = {}
        self._connection: Connection | None = None
        self._http: http.client.HTTPConnection | None = None
        self._early: Exception | None = None

    def request(
        self,
        body: bytes,
        deadline: float,
        *,
        method: str = "POST",
        path: str | None = None,
        content_type: str | None = None,
    ) -> Response:
        """Send a body and wait for the answer.

        Args:
            body: of the request; may be empty.
            deadline: ``time.monotonic()`` at which it fails.
            method: of HTTP.
            path: another one than that of all requests.
            content_type: another one than that of all bodies.

        Raises:
            TransportError: there was none; the connection is broken.

        """
        self.start(body, deadline, method=method, path=path, content_type=content_type)
        return self.result()

    def start(
        self,
        body: bytes,
        deadline: float,
        *,
        method: str = "POST",
        path: str | None = None,
        content_type: str | None = None,
    ) -> None:
        """Send a body; the answer is to be there at the deadline. For the arguments see :meth:`request`.

        Raises:
            TransportError: the connection is broken, or there is none.

        """
        connection = self._ready_connection()
        client = http.client.HTTPConnection(connection.destination.host, connection.destination.port)
        client.auto_open = 0  # by itself it would connect again without TLS
        client.sock = _Channel(connection)
        self._http = client
        self._early = None
        connection.deadline = deadline
        try:
            headers = self._headers if content_type is None else {**self._headers, "Content-Type": content_type}
            client.request(method, path or self._path, body, headers)
        except _FAILURES as error:
            self._early = error  # it may have answered without reading to the end: 413 does that

    def ready(self) -> bool:
        """Say whether the answer has begun to arrive."""
        return self._connection is None or self._early is not None or self._connection.has_arrived()

    def result(self) -> Response:
        """Wait for the answer to :meth:`start`.

        Raises:
            TransportError: there was none; the connection is broken.

        """
        client, connection = self._http, self._connection
        if client is None or connection is None:
            raise TransportError("there is no request to be answered")
        try:
            answer = client.getresponse()
            body = answer.read(_MAX_RESPONSE + 1)
            if answer.length:  # read() with a size does not complain about an early end
                raise http.client.IncompleteRead(body, answer.length)
            if len(body) > _MAX_RESPONSE or (self._early and answer.status < _ERROR):
                raise self._early or ValueError("the answer is too long")
        except _FAILURES as error:
            destination = connection.destination
            self.broken()
            cause = self._early or error
            raise TransportError(f"{destination} did not answer: {type(cause).__name__}: {cause}") from error
        if answer.will_close or self._early:
            self.close()
        connection.deadline = None
        return Response(answer.status, body, _retry_after(answer.getheader("Retry-After")))

    def hurry(self, deadline: float) -> None:
        """Wait for the answer that is awaited until ``deadline`` at most."""
        if self._connection is not None and self._connection.deadline is not None:
            self._connection.deadline = min(self._connection.deadline, deadline)

    def failure(self, response: Response) -> TransportError:
        """Break off after an answer that says that nobody is to go on here; return what is to be raised."""
        text = f"{self._connection.destination if self._connection else 'the receiver'}: {response.complaint()}"
        self.broken()
        # Another destination need not be spared.
        wait = None if self._connector.route.has_other() else response.retry_after
        return TransportError(text, retry_after=wait)

    def broken(self) -> None:
        """Break the connection; other destinations are preferred for a while."""
        connection, self._connection, self._http = self._connection, None, None
        if connection is not None:
            self._connector.lost(connection)

    def close(self) -> None:
        """Give up the connection without a word."""
        connection, self._connection, self._http = self._connection, None, None
        if connection is not None:
            connection.close()

    def finish(self, deadline: float) -> None:
        """End the connection in order."""
        connection, self._connection, self._http = self._connection, None, None
        if connection is not None:
            connection.finish(deadline)

    def _ready_connection(self) -> Connection:
        connection = self._connection
        if connection is not None:
            preferred = self._connector.better(connection)
            try:
                # A receiver may end a connection that was idle; that is no failure. It has nothing to say now.
                usable = not connection.read_now() and preferred is None
            except _FAILURES:
                usable = False
            if usable:
                return connection
            connection.close()
            self._connection = preferred
        if self._connection is None:
            self._headers = {"Content-Type": self._content_type, "User-Agent": "logbastion"}
            try:
                self._headers.update(self._credentials.header())
            except (OSError, UnicodeError) as error:
                raise TransportError(f"the credentials cannot be read: {error}") from error
            self._connection = self._connector.connect()
        return self._connection


def _retry_after(value: str | None) -> float | None:
    """Return the seconds in a header ``Retry-After`` (RFC 9110, 10.2.3), at most five minutes."""
    if value is None:
        return None
    seconds: float | None = None
    if value.strip().isascii() and value.strip().isdigit():
        seconds = float(value)
    else:
        with contextlib.suppress(ValueError, TypeError, OverflowError):
            seconds = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    return None if seconds is None else min(max(seconds, 0.0), _MAX_RETRY_AFTER)
