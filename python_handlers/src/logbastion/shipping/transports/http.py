"""Batches as JSON arrays over HTTPS, for Logstash's ``http`` input and whatever answers as it does.

The input answers 200 when the events are in its queue: with a persistent queue that is on its disk. 429 and 503 ask to
come back later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from logbastion.shipping.transports.base import Promise, Receipt, Refusal, TransportError
from logbastion.shipping.transports.connector import ConnectionOptions, Connector
from logbastion.shipping.transports.exchange import Credentials, Exchange

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Unpack

_TAKEN: Final = range(200, 300)
_TOO_MUCH_OR_BAD: Final = frozenset({400, 413, 422})


class HttpTransport:
    """Posts events and waits for the answer.

    A batch that is too large (413), or that the receiver calls bad (400, 422), is halved until the event is found that
    it does not take: that one is refused, the others are delivered. Any other answer than 2xx says something about the
    receiver or the configuration, not about an event, so all stays where it is and is sent again.

    Args:
        destinations: ``host:port``, several separated by commas, or a sequence of them; ``[address]:port`` for IPv6.
        path: what to post to.
        username: for this and the next four see :class:`~logbastion.shipping.transports.exchange.Credentials`.
        password: see there.
        password_file: see there.
        api_key: see there.
        api_key_file: see there.
        response_timeout: seconds for one call with all its requests.
        connection: see :class:`~logbastion.shipping.transports.connector.ConnectionOptions`.

    Raises:
        ValueError: a destination cannot be understood, or certificate or credentials are half given.

    """

    promise: Final = Promise.ACKNOWLEDGED

    def __init__(
        self,
        destinations: str | Sequence[str],
        *,
        path: str = "/",
        username: str | None = None,
        password: str | None = None,
        password_file: str | Path | None = None,
        api_key: str | None = None,
        api_key_file: str | Path | None = None,
        response_timeout: float = 30.0,
        **connection: Unpack[ConnectionOptions],
    ) -> None:
        credentials = Credentials(username, password, password_file, api_key, api_key_file)
        connector = Connector(destinations, **connection)
        self._response_timeout = response_timeout
        self._exchange = Exchange(connector, path, "application/json", credentials)

    def send(self, events: Sequence[bytes]) -> Receipt:
        """See :meth:`Transport.send`."""
        deadline = time.monotonic() + self._response_timeout
        settled, refused = 0, []
        ranges = deque([(0, len(events))] if events else [])
        try:
            while ranges:
                first, last = ranges.popleft()
                response = self._exchange.request(b"[" + b",".join(events[first:last]) + b"]", deadline)
                if response.status in _TAKEN:
                    settled = last
                elif response.status not in _TOO_MUCH_OR_BAD:
                    raise self._exchange.failure(response)
                elif last - first == 1:
                    refused.append(Refusal(first, response.complaint()))
                    settled = last
                else:
                    middle = (first + last) // 2
                    ranges.extendleft([(middle, last), (first, middle)])
                if ranges and time.monotonic() >= deadline:
                    raise TransportError(f"not all was taken in time, last: {response.complaint()}")
        except TransportError as error:
            error.receipt = Receipt(settled, tuple(refused))
            raise
        return Receipt(settled, tuple(refused))

    def poll(self) -> Receipt:
        """See :meth:`Transport.poll`. There is nothing to do: whether the connection still lives is seen on sending."""
        return Receipt()

    def finish(self, timeout: float) -> Receipt:
        """See :meth:`Transport.finish`."""
        self._exchange.finish(time.monotonic() + timeout)
        return Receipt()

    def forget(self) -> None:
        """See :meth:`Transport.forget`."""
        self._exchange.close()
