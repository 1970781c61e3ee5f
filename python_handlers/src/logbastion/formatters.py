"""The event contract: one JSON object a line (guide, "Elasticsearch/ELK Stack Configuration"; ECS 8.17)."""

from __future__ import annotations

import datetime
import logging
import os
import socket
import time
import traceback
import uuid
from functools import lru_cache
from typing import Any, Final, NamedTuple

from logbastion.encoding import encode_line
from logbastion.gate import Gate
from logbastion.identifiers import uuid7
from logbastion.jsonsafe import safe_attributes, safe_str, shortened
from logbastion.messages import Arguments, message_of
from logbastion.names import DEFAULT_ENVIRONMENT, checked_environment
from logbastion.redaction.engine import standard_redactor
from logbastion.redaction_counts import counts
from logbastion.streams import stream_for
from logbastion.typed import TYPED, take_typed

ECS_VERSION: Final = "8.17.0"
MAX_KEYWORD_BYTES: Final = 1024
_MAX_TEXT_BYTES: Final = 262_144

_ID: Final = "_logbastion_event_id"
_LINE: Final = "_logbastion_line"
# A record's own attributes come first, in this order; what a logging call gives in `extra` comes after them.
_FIRST: Final = list(logging.LogRecord("", 0, "", 0, "", None, None).__dict__)
_FIRST_COUNT: Final = len(_FIRST)
_STANDARD: Final = frozenset({*_FIRST, "message", "asctime", "taskName", "stack_info", _ID, _LINE})
_WITH_A_PLACE: Final = TYPED | {"user_id", "school_id", "correlation_id", "event_type"}
_MAX_PID: Final = 2**32
_PLAIN_LENGTH: Final = MAX_KEYWORD_BYTES // 4
_MAX_TAKEN: Final = 64
_LONGEST_TAKEN: Final = 2048
_MAX_KNOWN: Final = 512
_DIGITS: Final = tuple(f"{number:03}" for number in range(1000))
_EPOCH: Final = datetime.datetime(1970, 1, 1)  # UTC; naive, so that its text has no offset


def event_id(record: logging.LogRecord) -> str:
    """Return the record's ``event.id``, a UUIDv7 that is made on the first call and kept on the record.

    ``dict.setdefault`` is one step, so handlers in several threads get the same.
    """
    known: str | None = record.__dict__.get(_ID)
    return known or _new_event_id(record, _moment(record.created)[1])


def _new_event_id(record: logging.LogRecord, microseconds: int) -> str:
    identifier: str = record.__dict__.setdefault(_ID, uuid7(microseconds))
    return identifier


def _moment(created: float) -> tuple[str, int]:
    """Return a time as RFC 3339 in UTC and as microseconds since 1970; a value that is no time becomes now."""
    try:
        microseconds = round(created * 1e6)
        return f"{_millisecond(microseconds // 1000)}{_DIGITS[microseconds % 1000]}Z", microseconds
    except Exception:  # no number, not finite, or beyond the year 9999
        return _moment(time.time())


@lru_cache(maxsize=64)
def _second(whole: int) -> str:
    return (_EPOCH + datetime.timedelta(seconds=whole)).isoformat()


@lru_cache(maxsize=64)
def _millisecond(whole: int) -> str:
    return f"{_second(whole // 1000)}.{_DIGITS[whole % 1000]}"


class EventFormatter(logging.Formatter):
    """Formats a record as one line of the event contract.

    It never raises, leaves the attributes of the record alone (its own two begin with ``_logbastion``) and gives every
    handler the same line. Values whose type the mapping would refuse stay in ``extra``.

    Args:
        service_name: ``service.name``.
        environment: ``service.environment``: small letters, digits and underscores; part of the data stream's name.
        host_name: ``host.name``; by default this machine's.
        gate: see :mod:`logbastion.gate`; by default the standard one.

    Raises:
        ValueError: the environment's name has other characters.

    """

    def __init__(
        self,
        service_name: str = "django",
        environment: str = DEFAULT_ENVIRONMENT,
        *,
        host_name: str | None = None,
        gate: Gate | None = None,
    ) -> None:
        super().__init__()
        self._service = safe_str(service_name)
        self._environment = checked_environment(environment)
        self._host = safe_str(host_name or socket.gethostname())
        self._gate = standard_redactor() if gate is None else gate
        self._arguments: Arguments | None = getattr(self._gate, "arguments", None)
        # Says on a record whose line is kept there. A text, so that other handlers can still pickle the record.
        self._mark = uuid.uuid4().hex

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its line break."""
        return self.format_bytes(record).decode()[:-1]

    def _is_ours(self, cached: object) -> bool:
        """Say whether this formatter has kept the line there: anybody may put anything into a record."""
        return type(cached) is tuple and len(cached) == 2 and type(cached[0]) is str and cached[0] == self._mark  # noqa: PLR2004

    def format_bytes(self, record: logging.LogRecord) -> bytes:
        """Return the line as it is written and sent: UTF-8, at most 256 KiB, ended by a line break."""
        # One formatter serves all outputs: what the first of them made, the others write, byte for byte.
        cached = record.__dict__.get(_LINE)
        if cached is not None and self._is_ours(cached):
            line: bytes = cached[1]
            return line
        try:
            line = encode_line(self._gate(self.event(record)))
        except Exception as error:  # fails closed: a notice instead of what could not be judged
            counts.failed += 1
            counts.pending = True
            line = encode_line(self._notice(record, error))
        record.__dict__[_LINE] = (self._mark, line)
        return line

    def event(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the event before the gate."""
        attributes = record.__dict__
        names = tuple(attributes)  # one step: another thread may put something on the record meanwhile
        taken = _names_taken.get(names) or _take_names(names)
        extra = safe_attributes(attributes, taken.names, _STANDARD)  # before the frame puts the event's id there
        event = self._frame(record)
        event["message"], complaint = _message_of(record, self._arguments, event["event"]["dataset"])
        if taken.placed:
            _place(event, extra)
        if record.exc_info or record.exc_text or record.stack_info:
            error = _error_of(record)
            if error:
                event["error"] = error
        if complaint:
            extra["logging_error"] = complaint
        if extra:
            event["extra"] = extra
        return event

    def _frame(self, record: logging.LogRecord) -> dict[str, Any]:
        moment, microseconds = _moment(record.created)
        process = record.process
        try:
            level, logger, dataset = _names_known[record.name, record.levelname, record.levelno]
        except Exception:  # not yet known, or no text, and perhaps one that nothing can be done with
            level, logger, dataset = _names(record.name, record.levelname, record.levelno)
        return {
            "@timestamp": moment,
            "timestamp": moment,
            "level": level,
            "logger": logger,
            "message": "",
            "event": {"id": record.__dict__.get(_ID) or _new_event_id(record, microseconds), "dataset": dataset},
            "service": {"name": self._service, "environment": self._environment},
            "host": {"name": self._host},
            "process": {"pid": process if type(process) is int and 0 <= process < _MAX_PID else os.getpid()},
            "ecs": {"version": ECS_VERSION},
        }

    def _notice(self, record: logging.LogRecord, error: Exception) -> dict[str, Any]:
        event = self._frame(record)
        event["message"] = "An event could not be prepared for writing; its content was withheld."
        event["error"] = {"type": _type_name(type(error))}
        return event


def _names(name: object, levelname: object, levelno: object) -> tuple[str, str, str]:
    """Return level, logger and dataset."""
    logger, level = safe_str(name), safe_str(levelname)
    number = levelno if isinstance(levelno, int) else logging.INFO
    dataset = f"django.{stream_for(logger, number)}"
    names = shortened(level, MAX_KEYWORD_BYTES), shortened(logger, MAX_KEYWORD_BYTES), dataset
    if type(name) is type(levelname) is str and type(levelno) is int and len(name) + len(levelname) <= _PLAIN_LENGTH:
        if len(_names_known) >= _MAX_KNOWN:
            _names_known.clear()
        _names_known[name, levelname, levelno] = names
    return names


_names_known: dict[tuple[object, object, object], tuple[str, str, str]] = {}


class _Taken(NamedTuple):
    """What is taken of a record for ``extra``."""

    names: list[str]
    placed: bool
    """Whether one of them may have a field of its own."""


_names_taken: dict[tuple[str, ...], _Taken] = {}
"""By the names of a record's attributes: a place in a program always gives the same ones in the same order."""


def _take_names(names: tuple[str, ...]) -> _Taken:
    kept = list(names)
    if kept[:_FIRST_COUNT] == _FIRST:
        kept = kept[_FIRST_COUNT:]
    if len(kept) > _MAX_TAKEN or not all(type(name) is str for name in kept):
        return _Taken(kept, placed=True)
    taken = _Taken([name for name in kept if name not in _STANDARD], not _WITH_A_PLACE.isdisjoint(kept))
    if sum(map(len, kept)) <= _LONGEST_TAKEN:
        if len(_names_taken) >= _MAX_KNOWN:  # an application that makes names up cannot fill the memory
            _names_taken.clear()
        _names_taken[names] = taken
    return taken


def _place(event: dict[str, Any], extra: dict[str, Any]) -> None:
    """Move what has a field of its own, and the type that its mapping wants, from ``extra`` to that field."""
    # Mapped as `long`. True is an int to Python, not to Elasticsearch; what has more than 63 bits is text by now.
    if "user_id" in extra and type(extra["user_id"]) is int:
        event["user_id"] = extra.pop("user_id")
    if "school_id" in extra and type(extra["school_id"]) is int:
        event["school_id"] = extra.pop("school_id")
    if "correlation_id" in extra:
        value = extra["correlation_id"]
        if type(value) is str and (0 < len(value) <= _PLAIN_LENGTH or _is_keyword(value)):
            event["correlation_id"] = extra.pop("correlation_id")
    if "event_type" in extra:
        value = extra["event_type"]
        if type(value) is str and (0 < len(value) <= _PLAIN_LENGTH or _is_keyword(value)):
            event["event_type"] = extra.pop("event_type")
    if not TYPED.isdisjoint(extra):
        take_typed(event, extra)


def _is_keyword(value: str) -> bool:
    return 0 < len(value.encode()) <= MAX_KEYWORD_BYTES


def _message_of(record: logging.LogRecord, arguments: Arguments | None, dataset: str) -> tuple[str, str | None]:
    try:
        message = message_of(record, arguments, dataset.removeprefix("django."))
        if type(message) is str and len(message) <= _MAX_TEXT_BYTES // 4 and message.isascii():
            return message, None
        return shortened(safe_str(message), _MAX_TEXT_BYTES), None
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
