"""For applications with python-logstash-async: stay with its handler behind the gate, or move over to ours.

Its formatter sends whatever a record holds, and its ``TcpTransport`` checks who has signed the receiver's certificate
but not for which host. :func:`gated_handler` keeps its handler and its database and replaces these two;
:func:`moved_over` turns the settings of its handler into arguments of :func:`logbastion.logging_config`.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

from logbastion.formatters import EventFormatter
from logbastion.gate import Gate
from logbastion.names import DEFAULT_ENVIRONMENT
from logbastion.shipping.transports.base import TransportError
from logbastion.shipping.transports.tcp import TcpTransport

_FINISH_SECONDS: Final = 10.0
_OURS: Final = {"TcpTransport": "tcp", "BeatsTransport": "beats", "HttpTransport": "http"}


class VerifiedTransport:
    """A transport for python-logstash-async: TLS with the host's name verified, and a send that knows its end.

    Each batch has a connection of its own, as with its ``TcpTransport``. A batch counts as sent when the receiver has
    read all of it and closed its side too; otherwise the handler keeps the batch and sends it again later. What comes
    twice by that has the same ``event.id``.

    Args:
        host: name or address that must be in the receiver's certificate.
        port: of the receiver.
        ca_certs: PEM file of the authorities that may have signed it; by default those of the system.
        certfile: PEM chain of the client certificate.
        keyfile: its key.
        timeout: seconds for connecting; by default 5.
        ssl_enable: must be true.
        ssl_verify: must not be false.
        ignored: what else the handler gives to its transports.

    Raises:
        ValueError: TLS or its verification is to be switched off, or a destination or file cannot be used.

    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        ca_certs: str | None = None,
        certfile: str | None = None,
        keyfile: str | None = None,
        timeout: float | None = None,
        ssl_enable: bool = True,
        ssl_verify: bool = True,
        **ignored: object,
    ) -> None:
        if not ssl_enable or not ssl_verify:
            raise ValueError(
                "Events are sent over verified TLS only: remove ssl_enable and ssl_verify, or make them true."
            )
        self._transport = TcpTransport(
            [_destination(host, port)],
            ca_file=ca_certs,
            certificate_file=certfile,
            key_file=keyfile,
            connect_timeout=timeout or 5.0,
        )

    def send(self, events: Sequence[bytes | str], use_logging: bool = False) -> None:
        """Send a batch of lines.

        Raises:
            ConnectionError: the receiver may not have all of it. The handler takes it for a fault of the network.

        """
        lines = [event.encode() if isinstance(event, str) else event for event in events]
        try:
            settled = self._transport.send([line.rstrip(b"\n") for line in lines]).settled
        except TransportError as error:
            raise ConnectionError(str(error)) from error
        settled += self._transport.finish(_FINISH_SECONDS).settled
        if settled < len(lines):
            raise ConnectionError(f"the receiver did not close in order after {len(lines)} events")

    def close(self) -> None:
        """Do nothing: no connection outlives a batch."""


def gated_handler(
    host: str,
    port: int,
    database_path: str | os.PathLike[str] | None,
    *,
    service_name: str = "django",
    environment: str = DEFAULT_ENVIRONMENT,
    gate: Gate | None = None,
    **options: Any,
) -> logging.Handler:
    """Return python-logstash-async's asynchronous handler, behind the gate and with :class:`VerifiedTransport`.

    In a ``dictConfig``: ``{"()": "logbastion.shipping.logstash_async.gated_handler", "host": ...}``.

    Args:
        host: see :class:`VerifiedTransport`.
        port: of the receiver.
        database_path: SQLite file in which events wait, or None for memory; the file is made with mode 0600.
        service_name: ``service.name`` of the events.
        environment: ``service.environment`` of the events.
        gate: see :mod:`logbastion.gate`; by default the standard one.
        options: what the handler takes besides: ``ca_certs``, ``certfile``, ``keyfile``, ``event_ttl``.

    Raises:
        ImportError: python-logstash-async is not installed.
        ValueError: an argument cannot work.

    """
    handlers = importlib.import_module("logstash_async.handler")
    if database_path is not None:
        # SQLite gives the files beside it the same mode.
        os.close(os.open(database_path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    path = None if database_path is None else os.fspath(database_path)
    options = {"ssl_enable": True, **options}
    handler: logging.Handler = handlers.AsynchronousLogstashHandler(
        host, port, path, transport=VerifiedTransport, **options
    )
    handler.setFormatter(EventFormatter(service_name, environment, gate=gate))
    return handler


def moved_over(handler: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of :func:`logbastion.logging_config` that send to where a handler's settings do.

    Args:
        handler: the entry of python-logstash-async's handler in a ``dictConfig``.

    Returns:
        ``ingest``, ``transport``, ``ca_file`` and, where the handler has them, ``certificate_file``, ``key_file`` and
        ``spool_directory`` (beside its database).

    Raises:
        ValueError: with a sentence, when the settings have something that has no place in ours.

    """
    if not handler.get("ssl_enable") or not handler.get("ssl_verify", True):
        raise ValueError(
            "The handler sends in clear or does not verify: set up TLS at the receiver first, and give ca_certs."
        )
    if handler.get("username") or handler.get("password"):
        raise ValueError("A password does not belong into settings: write it to a file and give password_file.")
    name = str(handler.get("transport", "TcpTransport")).rpartition(".")[2]
    if name not in _OURS:
        raise ValueError(f"The transport {name} has none that does the same here: choose from {', '.join(_OURS)}.")
    if not handler.get("ca_certs"):
        raise ValueError(
            "ca_certs is missing: name the file with the authority that signed the receiver's certificate."
        )
    found: dict[str, Any] = {
        "ingest": _destination(handler["host"], handler["port"]),
        "transport": _OURS[name],
        "ca_file": handler["ca_certs"],
    }
    for theirs, ours in (("certfile", "certificate_file"), ("keyfile", "key_file")):
        if handler.get(theirs):
            found[ours] = handler[theirs]
    if handler.get("database_path"):
        found["spool_directory"] = os.path.join(os.path.dirname(handler["database_path"]), "spool")
    return found


def _destination(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
