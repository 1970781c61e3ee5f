"""What a logging call has given of an event: message, fields with a place of their own, error, extra."""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from typing import Any, Final

from logbastion.event_frame import EVENT_ID, LINE, MAX_KEYWORD_BYTES, PLAIN_LENGTH
from logbastion.gate import PieceJudge
from logbastion.incident_fields import INCIDENT, take_incident
from logbastion.jsonsafe import (
    LARGEST,
    MAX_PLAIN_TEXT,
    SMALLEST,
    are_usual,
    safe_attributes,
    safe_str,
    safe_value,
    shortened,
)
from logbastion.messages import Arguments, message_of
from logbastion.redaction_counts import counts
from logbastion.typed import TYPED, take_typed

_MAX_TEXT_BYTES: Final = 262_144
_PLAIN_TEXT_LENGTH: Final = _MAX_TEXT_BYTES // 4

# A record's own attributes come first, in this order; what a logging call gives in `extra` comes after them.
_FIRST: Final = list(logging.LogRecord("", 0, "", 0, "", None, None).__dict__)
_FIRST_COUNT: Final = len(_FIRST)
_STANDARD: Final = frozenset({*_FIRST, "message", "asctime", "taskName", "stack_info", EVENT_ID, LINE})
# Mapped as `long`. True is an int to Python, not to Elasticsearch; what has more than 63 bits is text by now.
_NUMBERS: Final = ("user_id", "school_id")
_CORRELATION_ID: Final = "correlation_id"
_KEYWORDS: Final = (_CORRELATION_ID, "event_type")
_PLACED: Final = frozenset({*_NUMBERS, *_KEYWORDS})
_MAX_TAKEN: Final = 64
_LONGEST_TAKEN: Final = 2048
_MAX_KNOWN: Final = 512


@dataclass(frozen=True, slots=True)
class Taken:
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
    plain: bool
    """Whether these names ask for nothing but to be written."""


_names_taken: dict[tuple[str, ...], Taken] = {}
"""By the names of a record's attributes: a place in a program always gives the same ones in the same order."""


def taken_of(record: logging.LogRecord) -> Taken:
    """Return what is taken of the record. To be asked before the event's id is put there."""
    names = tuple(record.__dict__)  # one step: another thread may put something on the record meanwhile
    return _names_taken.get(names) or _take_names(names)


def _take_names(names: tuple[str, ...]) -> Taken:
    kept = list(names)
    if kept[:_FIRST_COUNT] == _FIRST:
        kept = kept[_FIRST_COUNT:]
    kept = [name for name in kept if name not in _STANDARD]
    typed, incident, usual = not TYPED.isdisjoint(kept), INCIDENT in kept, are_usual(kept)
    taken = Taken(
        [name for name in _NUMBERS if name in kept],
        [name for name in _KEYWORDS if name in kept],
        [name for name in kept if name not in _PLACED],
        typed,
        incident,
        usual,
        plain=usual and not typed and not incident,
    )
    if taken.usual and len(kept) <= _MAX_TAKEN and sum(map(len, kept)) <= _LONGEST_TAKEN:
        if len(_names_taken) >= _MAX_KNOWN:  # an application that makes names up cannot fill the memory
            _names_taken.clear()
        _names_taken[names] = taken
    return taken


def content_of(record: logging.LogRecord, taken: Taken, arguments: Arguments | None, stream: str) -> dict[str, Any]:
    """Return what the logging call has given, before the gate.

    Args:
        record: any.
        taken: what :func:`taken_of` returns of it.
        arguments: of the gate; see :func:`~logbastion.messages.message_of`.
        stream: of the record.

    """
    attributes = record.__dict__
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


def judged_content_of(  # noqa: PLR0912 - one pass over the record: each call would take as long as a question
    record: logging.LogRecord, taken: Taken, arguments: Arguments | None, stream: str, judge: PieceJudge
) -> tuple[str, dict[str, Any]] | None:
    """Return the message, and the other content, of an ordinary event behind the gate.

    It is what the gate makes of :func:`content_of`, in one pass: a text that the gate has let pass before needs no
    other look either. Whether the event is ordinary is seen before anything of it is turned into text, which may have
    effects.

    Args:
        record: any.
        taken: what :func:`taken_of` returns of it.
        arguments: of the gate; see :func:`~logbastion.messages.message_of`.
        stream: of the record.
        judge: of the stream.

    Returns:
        None when the event is none of the ordinary ones.

    """
    if not taken.plain or record.exc_info or record.exc_text or record.stack_info:
        return None
    attributes = record.__dict__
    content = _judged_places(attributes, taken, judge)
    if content is None:
        return None
    try:
        message = record.getMessage() if type(record.args) is tuple else message_of(record, arguments, stream)
    except Exception:  # it will raise again, and be told
        return None
    changed = False
    texts = judge.texts
    if type(message) is not str or message not in texts:
        if type(message) is not str or len(message) > _PLAIN_TEXT_LENGTH or not message.isascii():
            message = shortened(safe_str(message), _MAX_TEXT_BYTES)
        judged = judge.text(message)
        if judged is not message:
            message, changed = judged, True
    extra: dict[str, Any] = {}
    for name in taken.names:
        value: Any = attributes.get(name)
        kind = type(value)
        if kind is str:
            if value not in texts:
                if len(value) > MAX_PLAIN_TEXT or not value.isascii():
                    value = safe_value(value)
                judged = judge.text(value)
                if judged is not value:
                    value, changed = judged, True
        elif value is None:
            continue
        elif kind is not bool and (kind is not int or value not in judge.numbers):
            value = safe_value(value)
            judged = judge.value(value, name)
            if judged is not value:
                changed = changed or judged != value
                value = judged
        extra[name] = value
    if extra:
        content["extra"] = extra
    if changed:
        counts.redacted += 1
        counts.pending = True
    return message, content


def _judged_places(attributes: dict[str, Any], taken: Taken, judge: PieceJudge) -> dict[str, Any] | None:
    """Return what has a field of its own, behind the gate; None when it or a name of ``extra`` is not ordinary."""
    if not judge.names.issuperset(taken.names):
        return None
    content: dict[str, Any] = {}
    for name in taken.numbers:
        value = attributes.get(name)
        if type(value) is int and SMALLEST <= value <= LARGEST:
            content[name] = value
        elif value is not None:
            return None
    for name in taken.keywords:
        value = attributes.get(name)
        if type(value) is str and value and value in (judge.identifiers if name == _CORRELATION_ID else judge.texts):
            content[name] = value
        elif value is not None:
            return None
    return content


def _place_plain(content: dict[str, Any], attributes: dict[str, Any], taken: Taken) -> list[str]:
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


def type_name(kind: type[BaseException]) -> str:
    """Return the name of an exception class, with its module unless that is ``builtins``."""
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _error_of(record: logging.LogRecord) -> dict[str, Any] | None:
    info, stack = record.exc_info, record.stack_info
    error: dict[str, Any] = {}
    if isinstance(info, tuple) and len(info) == 3 and isinstance(info[1], BaseException):  # noqa: PLR2004
        kind, value, trace = type(info[1]), info[1], info[2]
        error["type"] = shortened(safe_str(type_name(kind)), MAX_KEYWORD_BYTES)
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
