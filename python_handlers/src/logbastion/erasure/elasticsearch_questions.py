"""Questions to Elasticsearch over HTTPS, asked until there is an answer.

Nothing that is raised here repeats what was asked or answered: both may hold what names a person.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from logbastion.erasure.place import PlaceError
from logbastion.shipping.backoff import Backoff
from logbastion.shipping.transports.base import TransportError
from logbastion.shipping.transports.connector import Connector
from logbastion.shipping.transports.exchange import Credentials, Exchange, Response

_OK: Final = 200
_MULTIPLE_CHOICES: Final = 300
_FORBIDDEN: Final = 403
_UNAVAILABLE: Final = frozenset({429, 502, 503, 504})


class GoneError(PlaceError):
    """The index is not there any more."""


@dataclass(frozen=True)
class Verdict:
    """What has become of one change: a status of HTTP, and Elasticsearch's name for the error."""

    status: int
    error: str = ""

    @property
    def done(self) -> bool:
        """Whether the change was made."""
        return _OK <= self.status < _MULTIPLE_CHOICES

    @property
    def passing(self) -> bool:
        """Whether the same may succeed later."""
        return self.status in _UNAVAILABLE

    @property
    def blocked(self) -> bool:
        """Whether the index is closed to writing."""
        return self.status == _FORBIDDEN and self.error == "cluster_block_exception"


class Questions:
    """One connection for questions, made when it is needed and kept.

    Args:
        url: ``https://host:port`` or ``host:port``, several separated by commas; the next is asked where one does not
            answer.
        user: its name.
        password_file: a file with the password.
        ca_file: PEM file of the authority that signed Elasticsearch's certificate; None: those of the system.
        patience: seconds for which a cluster that has answered before and does not, or is too busy, is asked again.

    Raises:
        ValueError: an address cannot be used.

    """

    def __init__(
        self, url: str, *, user: str, password_file: str | Path, ca_file: str | Path | None, patience: float
    ) -> None:
        self._patience = patience
        self._has_answered = False
        connector = Connector(_destinations(url), ca_file=ca_file, connect_timeout=10.0, send_timeout=60.0)
        self._exchange = Exchange(connector, "/", "application/json", Credentials(user, None, password_file))

    def close(self) -> None:
        """Give up the connection; the next question makes another one."""
        self._exchange.close()

    def asked(self, method: str, path: str, body: Any = None, *, seconds: float | None = None) -> dict[str, Any]:
        """Return an answer.

        Args:
            method: of HTTP.
            path: with its parameters.
            body: an object of JSON.
            seconds: for one answer; by default a minute.

        Raises:
            PlaceError: there is none, or it says no.

        """
        verdict, answer = self.answer(method, path, body, seconds=seconds)
        if not verdict.done:
            raise refused(verdict)
        return answer

    def answer(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        seconds: float | None = None,
        content_type: str | None = None,
        patience: float | None = None,
    ) -> tuple[Verdict, dict[str, Any]]:
        """Return what has become of a question, and the answer.

        Every question may be asked twice: changes name the version of the document that they are for.

        Args:
            method: of HTTP.
            path: with its parameters.
            body: an object of JSON, or bytes.
            seconds: for one answer; by default a minute.
            content_type: of bytes.
            patience: seconds for which it is asked again; 0 is once, and raises nothing.

        Raises:
            PlaceError: Elasticsearch is away.

        """
        sent = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        # A wrong address or authority is told at once; one that has answered may be away for a while.
        until = time.monotonic() + (self._patience if patience is None and self._has_answered else 0.0)
        backoff = Backoff(first=0.5, cap=10.0)
        while True:
            wait: float | None = None
            try:
                response = self._exchange.request(
                    sent, time.monotonic() + (seconds or 60.0), method=method, path=path, content_type=content_type
                )
                self._has_answered = True
                verdict, answer = _read(response)
                if not verdict.passing or time.monotonic() >= until:
                    return verdict, answer
                wait = response.retry_after
            except TransportError as error:
                if time.monotonic() >= until:
                    if patience == 0:
                        return Verdict(503), {}
                    raise PlaceError(f"Elasticsearch is away: {error}") from None
            time.sleep(min(max(wait or 0.0, backoff.next()), max(0.0, until - time.monotonic())))


def _destinations(url: str) -> str:
    parts = [part.strip() for part in url.split(",") if part.strip()]
    if any(part.startswith("http://") for part in parts):
        raise ValueError(f"{url} is not encrypted. Elasticsearch is asked over https only.")
    return ",".join(part.removeprefix("https://").rstrip("/") for part in parts)


def _read(response: Response) -> tuple[Verdict, dict[str, Any]]:
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        if response.status == _OK:
            raise PlaceError("Elasticsearch's answer cannot be read.")
        return Verdict(response.status), {}
    error = answer.get("error")
    return Verdict(response.status, str(error.get("type", "")) if isinstance(error, dict) else ""), answer


def refused(verdict: Verdict) -> PlaceError:
    """Return what to raise for an answer that says no."""
    if verdict.error == "index_not_found_exception":
        return GoneError("The index is not there any more.")
    why = f"{verdict.status} {verdict.error}".strip()
    advice = {
        401: "Correct the user or the password.",
        403: "Take the user log_eraser, whom the role log_store makes, and see whether the index is blocked.",
    }.get(verdict.status, "See Elasticsearch's own log.")
    return PlaceError(f"Elasticsearch refuses: {why}. {advice}")
