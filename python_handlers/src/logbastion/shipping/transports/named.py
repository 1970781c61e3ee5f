"""The transports by the names that settings, environment variables and commands have for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from logbastion.shipping.transports.base import Transport
from logbastion.shipping.transports.beats import BeatsTransport
from logbastion.shipping.transports.elasticsearch import ElasticsearchTransport
from logbastion.shipping.transports.http import HttpTransport
from logbastion.shipping.transports.tcp import TcpTransport

_BY_NAME: Final[dict[str, Callable[..., Transport]]] = {
    "tcp": TcpTransport,
    "http": HttpTransport,
    "beats": BeatsTransport,
    "elasticsearch": ElasticsearchTransport,
}
TRANSPORT_NAMES: Final = tuple(_BY_NAME)
"""All with verified TLS; UDP has none and is made by hand."""
_WITH_CREDENTIALS: Final = ("http", "elasticsearch")


def make_transport(
    name: str,
    destinations: str | Sequence[str],
    *,
    ca_file: str | None = None,
    certificate_file: str | None = None,
    key_file: str | None = None,
    username: str | None = None,
    password_file: str | None = None,
    api_key_file: str | None = None,
) -> Transport:
    """Return a transport.

    Args:
        name: one of :data:`TRANSPORT_NAMES`.
        destinations: ``host:port``, several separated by commas, or a sequence of them.
        ca_file: PEM file of the receiver's authority; for this and the next two see
            :class:`~logbastion.shipping.transports.connector.ConnectionOptions`.
        certificate_file: client certificate.
        key_file: its key.
        username: of HTTP basic authentication, with its password; for ``http`` and ``elasticsearch``.
        password_file: holds its password. Read for each connection, like the certificates.
        api_key_file: holds an API key as Elasticsearch encodes it, instead of user and password.

    Raises:
        ValueError: the name is unknown, or the arguments do not go together; a sentence.

    """
    if name not in _BY_NAME:
        raise ValueError(f"The transport {name!r} is unknown: choose from {', '.join(TRANSPORT_NAMES)}, all over TLS.")
    options: dict[str, Any] = {"ca_file": ca_file, "certificate_file": certificate_file, "key_file": key_file}
    credentials = {"username": username, "password_file": password_file, "api_key_file": api_key_file}
    given = [option for option, value in credentials.items() if value is not None]
    if given and name not in _WITH_CREDENTIALS:
        raise ValueError(f"The transport {name} knows client certificates only, no {', no '.join(given)}.")
    options.update({option: credentials[option] for option in given})
    return _BY_NAME[name](destinations, **options)
