"""The event contract: one JSON object a line (guide, "Elasticsearch/ELK Stack Configuration"; ECS 8.17)."""

from __future__ import annotations

import logging
import socket
import traceback
import uuid
from dataclasses import dataclass
from typing import Any, Final

from logbastion.encoding import completed_line, encode_line, quoted
from logbastion.event_frame import (
    EVENT_ID,
    MAX_KEYWORD_BYTES,
    PLAIN_LENGTH,
    EventFrame,
    WrittenFrame,
    event_id,
    identifier_of,
    moment_of,
    stream_of,
)
from logbastion.gate import Gate, judge_of
from logbastion.incident_fields import INCIDENT, take_incident
from logbastion.jsonsafe import LARGEST, SMALLEST, are_usual, safe_attributes, safe_str, shortened
from logbastion.messages import Arguments, message_of
from logbastion.names import DEFAULT_ENVIRONMENT, checked_environment
from logbastion.redaction.engine import standard_redactor
from logbastion.redaction_counts import counts
from logbastion.typed import TYPED, take_typed

__all__ = ["EventFormatter", "event_id"]

_MAX_TEXT_BYTES: Final = 262_144
_PLAIN_TEXT_LENGTH: Final = _MAX_TEXT_BYTES // 4

_LINE: Final = "_logbastion_line"
_EVENT: Final = "event"
# A record's own attributes come first, in this order; what a logging call gives in `extra` comes after them.
_FIRST: Final = list(logging.LogRecord("", 0, "", 0, "", None, None).__dict__)
_FIRST_COUNT: Final = len(_FIRST)
_STANDARD: Final = frozenset({*_FIRST, "message", "asctime", "taskName", "stack_info", EVENT_ID, _LINE})
# Mapped as `long`. True is an int to Python, not to Elasticsearch; what has more than 63 bits is text by now.
_NUMBERS: Final = ("user_id", "school_id")
_KEYWORDS: Final = ("correlation_id", "event_type")
_PLACED: Final = frozenset({*_NUMBERS, *_KEYWORDS})
_MAX_TAKEN: Final = 64
_LONGEST_TAKEN: Final = 2048
_MAX_KNOWN: Final = 512


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
        host = safe_str(host_name or socket.gethostname())
        self._environment = checked_environment(environment)
        self._frame = EventFrame(safe_str(service_name), self._environment, host)
        self._gate = standard_redactor() if gate is None else gate
        self._arguments: Arguments | None = getattr(self._gate, "arguments", None)
        # What a subclass adds to the event must not be passed by.
        self._judge = judge_of(self._gate) if type(self).event is EventFormatter.event else None
        self._written: dict[tuple[object, object, object, object], WrittenFrame | None] = {}
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
            line = encode_line(self._gate(self.event(record))) if self._judge is None else self._line(record)
        except Exception as error:  # fails closed: a notice instead of what could not be judged
            counts.failed += 1
            counts.pending = True
            line = encode_line(self._notice(record, error))
        record.__dict__[_LINE] = (self._mark, line)
        return line

    def event(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the event before the gate."""
        # Before the frame puts the event's id on the record.
        content = _content_of(record, self._arguments, stream_of(record))
        frame = self._frame.fields(record)
        if _EVENT in content:
            content[_EVENT] = {**frame[_EVENT], **content[_EVENT]}
        return {**frame, **content}

    def _line(self, record: logging.LogRecord) -> bytes:
        """Return the bytes of the whole event, of which only the content is built, judged and encoded."""
        judge = self._judge
        assert judge is not None  # noqa: S101 - the caller has asked
        try:
            frame = self._written[record.name, record.levelname, record.levelno, record.process]
        except Exception:  # not yet written, or no text, and perhaps one that nothing can be done with
            return self._first_line(record)
        if frame is None:
            return encode_line(self._gate(self.event(record)))
        content = _content_of(record, self._arguments, frame.stream)
        if _EVENT in content:  # of an incident, and rare: it belongs into the frame
            return encode_line(self._gate(self.event(record)))
        moment = moment_of(record.created)
        time = moment[0]
        content = judge(content, frame.stream)
        message = content.pop("message")
        beginning = (
            f"{frame.before_time}{time}{frame.before_timestamp}{time}{frame.before_message}{quoted(message)}"
            f"{frame.before_id}{identifier_of(record, moment)}{frame.end}"
        )
        line = completed_line(beginning, content)
        return line or encode_line({**self._frame.fields(record), "message": message, **content})

    def _first_line(self, record: logging.LogRecord) -> bytes:
        """Return the line, and remember the frame for the next records like this one.

        The gate sees this event whole. If it does not leave the logger's name as it is, it will see all of them whole.
        """
        frame = self._frame.written(record)
        event = self._gate(self.event(record))
        if frame is not None:
            if len(self._written) >= _MAX_KNOWN:
                self._written.clear()
            key = record.name, record.levelname, record.levelno, record.process
            self._written[key] = frame if event.get("logger") == record.name else None
        return encode_line(event)

    def _notice(self, record: logging.LogRecord, error: Exception) -> dict[str, Any]:
        event = self._frame.fields(record)
        event["message"] = "An event could not be prepared for writing; its content was withheld."
        event["error"] = {"type": _type_name(type(error))}
        return event


def _content_of(record: logging.LogRecord, arguments: Arguments | None, stream: str) -> dict[str, Any]:
    """Return what the logging call has given: message, fields with a place of their own, error, extra."""
    attributes = record.__dict__
    names = tuple(attributes)  # one step: another thread may put something on the record meanwhile
    taken = _names_taken.get(names) or _take_names(names)
    complaint = None
    try:
        message = message_of(record, arguments, stream)
        if type(message) is not str or len(message) > _PLAIN_TEXT_LENGTH or not message.isascii():
            message = shortened(safe_str(message), _MAX_TEXT_BYTES)
    except Exception as error:  # wrong arguments, or one of them cannot be shown
        # Without the arguments: nobody has decided that they may be shown in a place of their own.
        complaint = f"The message and its arguments do not fit: {type(error).__name__}"
        message = shortened(safe_str(record.msg), _MAX_TEXT_BYTES)
    content: dict[str, Any] = {"message": message}
    unplaced = _place_plain(content, attributes, taken)
    extra = safe_attributes(attributes, [*unplaced, *taken.names] if unplaced else taken.names, usual=taken.usual)
    if unplaced:
        _place(content, extra, unplaced)
    if taken.typed:
        take_typed(content, extra)
    if taken.incident:
        take_incident(content, extra)
    if record.exc_info or record.exc_text or record.stack_info:
        details = _error_of(record)
        if details:
            content["error"] = details
    if complaint:
        extra["logging_error"] = complaint
    if extra:
        content["extra"] = extra
    return content


@dataclass(frozen=True, slots=True)
class _Taken:
    """What is taken of a record."""

    numbers: list[str]
    """Those of :data:`_NUMBERS`."""
    keywords: list[str]
    """Those of :data:`_KEYWORDS`."""
    names: list[str]
    """The others, which go to ``extra``."""
    typed: bool
    """Whether some of these may have a field of their own."""
    incident: bool
    """Whether the event tells of an incident."""
    usual: bool
    """See :func:`~logbastion.jsonsafe.are_usual`."""


_names_taken: dict[tuple[str, ...], _Taken] = {}
"""By the names of a record's attributes: a place in a program always gives the same ones in the same order."""


def _take_names(names: tuple[str, ...]) -> _Taken:
    kept = list(names)
    if kept[:_FIRST_COUNT] == _FIRST:
        kept = kept[_FIRST_COUNT:]
    kept = [name for name in kept if name not in _STANDARD]
    taken = _Taken(
        [name for name in _NUMBERS if name in kept],
        [name for name in _KEYWORDS if name in kept],
        [name for name in kept if name not in _PLACED],
        not TYPED.isdisjoint(kept),
        INCIDENT in kept,
        are_usual(kept),
    )
    if taken.usual and len(kept) <= _MAX_TAKEN and sum(map(len, kept)) <= _LONGEST_TAKEN:
        if len(_names_taken) >= _MAX_KNOWN:  # an application that makes names up cannot fill the memory
            _names_taken.clear()
        _names_taken[names] = taken
    return taken


def _place_plain(content: dict[str, Any], attributes: dict[str, Any], taken: _Taken) -> list[str]:
    """Put what has a field of its own there, if it is plain; return the names of what is not, which is rare."""
    unplaced: list[str] = []
    for name in taken.numbers:
        value = attributes.get(name)
        if type(value) is int and SMALLEST <= value <= LARGEST:
            content[name] = value
        else:
            unplaced.append(name)
    for name in taken.keywords:
        value = attributes.get(name)
        if type(value) is str and 0 < len(value) <= PLAIN_LENGTH and value.isascii():
            content[name] = value
        else:
            unplaced.append(name)
    return unplaced


def _place(content: dict[str, Any], extra: dict[str, Any], unplaced: list[str]) -> None:
    """Move from ``extra`` what has, by now, the type that the mapping of its own field wants."""
    for name in unplaced:
        value = extra.get(name)
        if type(value) is int if name in _NUMBERS else type(value) is str and _is_keyword(value):
            content[name] = extra.pop(name)


def _is_keyword(value: str) -> bool:
    return 0 < len(value.encode()) <= MAX_KEYWORD_BYTES


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
