"""Looks at the handlers of this process: what they write that the gate has not seen, send in the open, or should not.

The live tree is judged and not a configuration, because handlers come from libraries and from code, too. Whatever its
class, a handler passes the gate when its formatter is an :class:`~logbastion.formatters.EventFormatter` or one of its
filters a :class:`~logbastion.redaction.filter.RedactionFilter`.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterator
from logging import handlers as standard
from typing import Final

from logbastion.diagnosis_rules import Finding, breach
from logbastion.environments import rules_of
from logbastion.formatters import EventFormatter
from logbastion.incidents.handler import IncidentDetectionHandler
from logbastion.metrics import PrometheusLoggingHandler
from logbastion.recent import CircularBufferHandler
from logbastion.redaction.filter import RedactionFilter
from logbastion.shipping.handler import ShippingHandler
from logbastion.shipping.transports.udp import UdpTransport

_WRITE_NOTHING: Final = (logging.NullHandler, PrometheusLoggingHandler, IncidentDetectionHandler)
# By their exact classes: that of files is derived from that of the console.
_KEEP_NOTHING: Final = (logging.StreamHandler, CircularBufferHandler)
_MAX_DEPTH: Final = 5  # of handlers that hand on to handlers; deeper is a circle
# Who opens the connection in another way, such as over TLS, has replaced this method of the class.
_PLAIN_SOCKETS: Final = (standard.SocketHandler.makeSocket, standard.DatagramHandler.makeSocket)


def attached_handlers() -> Iterator[tuple[str, logging.Handler, bool]]:
    """Give each handler of each logger, the logger's name, and whether what it writes has passed the gate; root first.

    In place of a ``MemoryHandler`` its target is given, and in place of a ``QueueHandler`` those of its listener, where
    they are known (Python 3.12): these write, the others only hand on.
    """
    seen: set[tuple[int, bool]] = set()
    for logger in _loggers():
        for handler in list(logger.handlers):
            for writer, passed in _writers(handler, False, _MAX_DEPTH):
                if (id(writer), passed) not in seen:
                    seen.add((id(writer), passed))
                    yield logger.name, writer, passed


def _loggers() -> list[logging.Logger]:
    # A copy in one step, because another thread may make a logger meanwhile.
    found = [logging.root, *logging.root.manager.loggerDict.copy().values()]
    return [one for one in found if isinstance(one, logging.Logger)]  # of others only the children have been asked for


def _writers(handler: logging.Handler, passed: bool, depth: int) -> Iterator[tuple[logging.Handler, bool]]:
    further: list[logging.Handler] | None = None
    if isinstance(handler, standard.MemoryHandler):
        passed = passed or _redacts(handler)  # it asks no formatter
        further = [handler.target] if handler.target is not None else []
    else:
        passed = passed or passes_gate(handler)
        if isinstance(handler, standard.QueueHandler):
            listener = getattr(handler, "listener", None)
            further = list(listener.handlers) if listener is not None else None
    if further is None or not depth:
        yield handler, passed
        return
    for one in further:
        yield from _writers(one, passed, depth - 1)


def passes_gate(handler: logging.Handler) -> bool:
    """Say whether what a handler writes has passed the redaction."""
    return isinstance(handler.formatter, EventFormatter) or _redacts(handler)


def _redacts(handler: logging.Handler) -> bool:
    return any(isinstance(one, RedactionFilter) for one in handler.filters)


def root_passes_gate() -> bool:
    """Say whether some handler of the root logger writes, and through the gate."""
    return any(passed for _, passed in _root_writers())


def _root_writers() -> list[tuple[logging.Handler, bool]]:
    found = (one for handler in list(logging.root.handlers) for one in _writers(handler, False, _MAX_DEPTH))
    return [(writer, passed) for writer, passed in found if not isinstance(writer, _WRITE_NOTHING)]


def environments_in_use() -> list[str]:
    """Return the environments that the formatters of the live handlers write into their events, without repetition."""
    formatters = (handler.formatter for _, handler, _ in attached_handlers())
    names = [formatter._environment for formatter in formatters if isinstance(formatter, EventFormatter)]
    return list(dict.fromkeys(names))


def handler_findings(environment: str) -> list[Finding]:
    """Return what is wrong with the handlers of this process: rules 050 to 053. Opens and connects nothing.

    Args:
        environment: its name.

    """
    found = []
    for logger, handler, passed in attached_handlers():
        if isinstance(handler, _WRITE_NOTHING):
            continue
        shown = _shown(logger, handler)
        if not passed:
            found += breach(50, environment, f"{shown} writes records that have not passed the redaction.")
        address = plain_address(handler)
        if address is not None:
            found += breach(51, environment, f"{shown} sends records to {address} without TLS.")
    return found + _level_findings(environment) + _lasting_findings(environment)


def _level_findings(environment: str) -> list[Finding]:
    least = rules_of(environment).least_level
    number = logging.getLevelName(least)
    found = []
    for logger in _loggers():
        if 0 < logger.level < number and not logger.disabled and _writes_below(logger, number):
            name, level = repr(logger.name), logging.getLevelName(logger.level)
            found += breach(
                52, environment, f"The logger {name} is at {level}, and a handler writes what is below {least}."
            )
    return found


def _writes_below(logger: logging.Logger, level: int) -> bool:
    current: logging.Logger | None = logger
    while current is not None:
        for handler in list(current.handlers):
            for writer, _ in _writers(handler, False, _MAX_DEPTH):
                if handler.level < level and writer.level < level and not isinstance(writer, _WRITE_NOTHING):
                    return True
        current = current.parent if current.propagate else None
    return False


def _lasting_findings(environment: str) -> list[Finding]:
    writers = [writer for writer, _ in _root_writers()]
    if not writers or not all(type(writer) in _KEEP_NOTHING for writer in writers):
        return []
    return breach(53, environment, "All handlers of the root logger write to the console or into memory.")


def plain_address(handler: logging.Handler) -> str | None:
    """Return where a handler of the standard library or of this package sends in the open; None when it does not.

    What stays on this host is not in the open.
    """
    host: object = None
    if isinstance(handler, standard.SocketHandler):
        made = type(handler).makeSocket
        host = handler.host if handler.port is not None and made in _PLAIN_SOCKETS else None
    elif isinstance(handler, standard.SysLogHandler):
        host = handler.address[0] if isinstance(handler.address, tuple) else None  # a text is a socket of this host
    elif isinstance(handler, standard.HTTPHandler):
        host = None if handler.secure else _without_port(handler.host)
    elif isinstance(handler, ShippingHandler):
        if isinstance(handler.transport, UdpTransport):
            return next((name for name in handler.transport.hosts if not _is_this_host(name)), None)
    elif isinstance(handler, standard.SMTPHandler):
        host = handler.mailhost if handler.secure is None else None
    return None if host is None or _is_this_host(str(host)) else str(host)


def _without_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return name.strip("[]") if separator and port.isdigit() and (name.endswith("]") or ":" not in name) else host


def _is_this_host(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(logger: str, handler: logging.Handler) -> str:
    name = f" {handler.name!r}" if handler.name else ""
    return f"The handler {type(handler).__name__}{name} of the logger {logger!r}"
