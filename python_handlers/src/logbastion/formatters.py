"""The event contract: one JSON object a line (guide, "Elasticsearch/ELK Stack Configuration"; ECS 8.17)."""

from __future__ import annotations

import datetime
import logging
import os
import socket
import time
import traceback
from typing import Any, Final

from logbastion.encoding import encode_line
from logbastion.gate import Gate, drop_forbidden_keys
from logbastion.identifiers import uuid7
from logbastion.jsonsafe import MAX_INTEGER_BITS, safe_mapping, safe_str, shortened
from logbastion.names import DEFAULT_ENVIRONMENT, checked_environment
from logbastion.streams import stream_for
from logbastion.typed import take_performance, take_security

ECS_VERSION: Final = "8.17.0"
MAX_KEYWORD_BYTES: Final = 1024
_MAX_TEXT_BYTES: Final = 262_144

_ID: Final = "_logbastion_event_id"
_LINE: Final = "_logbastion_line"
_STANDARD: Final = frozenset(
    logging.LogRecord("", 0, "", 0, "", None, None).__dict__.keys()
    | {"message", "asctime", "taskName", "stack_info", _ID, _LINE}
)
_OWN_FIELDS: Final = frozenset({"correlation_id", "user_id", "school_id", "event_type"})
_EPOCH: Final = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def event_id(record: logging.LogRecord) -> str:
    """Return the record's ``event.id``, a UUIDv7 that is made on the first call and kept on the record.

    ``dict.setdefault`` is one step, so handlers in several threads get the same.
    """
    known: str | None = record.__dict__.get(_ID)
    if known is None:
        try:
            # float() first: text times a thousand million would be a text of gigabytes.
            moment = int(float(record.created) * 1_000_000_000)
        except (TypeError, ValueError, OverflowError):
            moment = time.time_ns()
        known = record.__dict__.setdefault(_ID, uuid7(moment))
    return known


def timestamp(created: float) -> str:
    """Return seconds since 1970 as RFC 3339 in UTC with microseconds; a value that is no time becomes now."""
    try:
        moment = _EPOCH + datetime.timedelta(seconds=created)
    except (TypeError, ValueError, OverflowError):
        moment = datetime.datetime.now(datetime.timezone.utc)
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def _is_long(value: object) -> bool:
    # The mapping types user_id and school_id as `long`; True is an int to Python, not to Elasticsearch.
    return type(value) is int and value.bit_length() <= MAX_INTEGER_BITS


class EventFormatter(logging.Formatter):
    """Formats a record as one line of the event contract.

    It never raises, leaves the attributes of the record alone (its own two begin with ``_logbastion``) and gives every
    handler the same line. Values whose type the mapping would refuse stay in ``extra``.

    Args:
        service_name: ``service.name``.
        environment: ``service.environment``: small letters, digits and underscores; part of the data stream's name.
        host_name: ``host.name``; by default this machine's.
        gate: see :mod:`logbastion.gate`.

    Raises:
        ValueError: the environment's name has other characters.

    """

    def __init__(
        self,
        service_name: str = "django",
        environment: str = DEFAULT_ENVIRONMENT,
        *,
        host_name: str | None = None,
        gate: Gate = drop_forbidden_keys,
    ) -> None:
        super().__init__()
        self._service = {"name": service_name, "environment": checked_environment(environment)}
        self._host = {"name": host_name or socket.gethostname()}
        self._gate = gate

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its line break."""
        return self.format_bytes(record).decode()[:-1]

    def format_bytes(self, record: logging.LogRecord) -> bytes:
        """Return the line as it is written and sent: UTF-8, at most 256 KiB, ended by a line break."""
        # One formatter serves all outputs: what the first of them made, the others write, byte for byte.
        cached = record.__dict__.get(_LINE)
        if cached is not None and cached[0] is self:
            line: bytes = cached[1]
            return line
        try:
            line = encode_line(self._gate(self.event(record)))
        except Exception as error:  # fails closed: a notice instead of what could not be judged
            line = encode_line(self._notice(record, error))
        record.__dict__[_LINE] = (self, line)
        return line

    def event(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the event before the gate."""
        event = self._frame(record)
        message, complaint = _message_of(record)
        event["message"] = message
        extra = safe_mapping({k: v for k, v in record.__dict__.items() if k not in _STANDARD and v is not None})
        for name in ("user_id", "school_id"):
            if _is_long(extra.get(name)):
                event[name] = extra.pop(name)
        for name in ("correlation_id", "event_type"):
            value = extra.get(name)
            if isinstance(value, str) and value and len(value.encode()) <= MAX_KEYWORD_BYTES:
                event[name] = extra.pop(name)
        take_security(event, extra)
        take_performance(event, extra)
        error = _error_of(record)
        if error:
            event["error"] = error
        if complaint:
            extra["logging_error"] = complaint
        if extra:
            event["extra"] = extra
        return event

    def _frame(self, record: logging.LogRecord) -> dict[str, Any]:
        moment = timestamp(record.created)
        logger, level = safe_str(record.name), safe_str(record.levelname)
        number = record.levelno if isinstance(record.levelno, int) else logging.INFO
        return {
            "@timestamp": moment,
            "timestamp": moment,
            "level": shortened(level, MAX_KEYWORD_BYTES),
            "logger": shortened(logger, MAX_KEYWORD_BYTES),
            "message": "",
            "event": {"id": event_id(record), "dataset": f"django.{stream_for(logger, number)}"},
            "service": self._service,
            "host": self._host,
            "process": {"pid": record.process if _is_long(record.process) else os.getpid()},
            "ecs": {"version": ECS_VERSION},
        }

    def _notice(self, record: logging.LogRecord, error: Exception) -> dict[str, Any]:
        event = self._frame(record)
        event["message"] = "An event could not be prepared for writing; its content was withheld."
        event["error"] = {"type": _type_name(type(error))}
        return event


def _message_of(record: logging.LogRecord) -> tuple[str, str | None]:
    try:
        return shortened(safe_str(record.getMessage()), _MAX_TEXT_BYTES), None
    except Exception as error:  # wrong arguments, or one of them cannot be shown
        # Without the arguments: nobody has decided that they may be shown in a place of their own.
        complaint = f"The message and its arguments do not fit: {type(error).__name__}"
        return shortened(safe_str(record.msg), _MAX_TEXT_BYTES), complaint


def _type_name(kind: type[BaseException]) -> str:
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _error_of(record: logging.LogRecord) -> dict[str, Any] | None:
    info, stack = record.exc_info, record.stack_info
    error: dict[str, Any] = {}
    if isinstance(info, tuple) and len(info) == 3 and isinstance(info[1], BaseException):  # noqa: PLR2004
        kind, value, trace = type(info[1]), info[1], info[2]
        error["type"] = shortened(safe_str(_type_name(kind)), MAX_KEYWORD_BYTES)
        error["message"] = shortened(safe_str(value), _MAX_TEXT_BYTES)
        try:
            error["stack_trace"] = safe_str("".join(traceback.format_exception(kind, value, trace)))
        except Exception as problem:  # a hostile exception class
            error["stack_trace"] = f"<traceback that raised {type(problem).__name__}>"
    elif record.exc_text:  # a QueueHandler has turned the exception into text already
        error["stack_trace"] = safe_str(record.exc_text)
    elif stack:
        error["stack_trace"] = safe_str(stack)
    return error or None
