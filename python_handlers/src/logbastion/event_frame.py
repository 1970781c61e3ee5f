"""What an event has that no logging call gives: times, identifier, level, and where it comes from."""

from __future__ import annotations

import datetime
import logging
import os
import re
import time
import uuid
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from logbastion.encoding import json_text
from logbastion.identifiers import uuid7_beginning, uuid7_end
from logbastion.jsonsafe import safe_str, shortened
from logbastion.streams import stream_for

ECS_VERSION: Final = "8.17.0"
MAX_KEYWORD_BYTES: Final = 1024
PLAIN_LENGTH: Final = MAX_KEYWORD_BYTES // 4
"""A text of so many characters never has more bytes than a keyword may have."""
EVENT_ID: Final = "_logbastion_event_id"
"""The attribute of a record that keeps its ``event.id``."""
LINE: Final = "_logbastion_line"
"""The attribute of a record that keeps its line."""

_IDENTIFIER: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_DATASET: Final = "django."
_MAX_PID: Final = 2**32
_MAX_KNOWN: Final = 512
_DIGITS: Final = tuple(f"{number:03}" for number in range(1000))
_EPOCH: Final = datetime.datetime(1970, 1, 1)  # UTC; naive, so that its text has no offset


def event_id(record: logging.LogRecord) -> str:
    """Return the record's ``event.id``, a UUIDv7 that is made on the first call and kept on the record."""
    return identifier_of(record, moment_of(record.created))


def identifier_of(record: logging.LogRecord, moment: Moment) -> str:
    """Return the ``event.id`` of a record of that moment; see :func:`event_id`.

    ``dict.setdefault`` is one step, so handlers in several threads get the same.
    """
    attributes = record.__dict__
    if EVENT_ID not in attributes:
        made = moment[1] + uuid7_end(moment[2])
        kept: object = attributes.setdefault(EVENT_ID, made)
        if kept is made:
            return made
    identifier: object = attributes[EVENT_ID]
    if type(identifier) is str and _IDENTIFIER.fullmatch(identifier):
        return identifier
    attributes[EVENT_ID] = made = moment[1] + uuid7_end(moment[2])  # somebody has put something else there
    return made


Moment = tuple[str, str, int]
"""A time as RFC 3339 in UTC, the beginning of the UUIDv7 of that millisecond, and the microseconds of it."""


def moment_of(created: float) -> Moment:
    """Return a moment; a value that is no time becomes now.

    Args:
        created: seconds since 1970.

    """
    try:
        milliseconds, microseconds = divmod(round(created * 1e6), 1000)
        text, beginning = _millisecond(milliseconds)
        return f"{text}{_DIGITS[microseconds]}Z", beginning, microseconds
    except Exception:  # no number, not finite, or beyond the year 9999
        return moment_of(time.time())


@lru_cache(maxsize=64)
def _second(whole: int) -> str:
    return (_EPOCH + datetime.timedelta(seconds=whole)).isoformat()


@lru_cache(maxsize=64)
def _millisecond(whole: int) -> tuple[str, str]:
    return f"{_second(whole // 1000)}.{_DIGITS[whole % 1000]}", uuid7_beginning(whole)


def stream_of(record: logging.LogRecord) -> str:
    """Return the stream that the record's event belongs to."""
    return names_of(record.name, record.levelname, record.levelno)[2][len(_DATASET) :]


@dataclass(frozen=True, slots=True)
class WrittenFrame:
    """The JSON of a frame, in the pieces between what changes from event to event; see :meth:`EventFrame.written`."""

    stream: str
    before_time: str
    before_timestamp: str
    before_message: str
    """The message follows with its quotation marks."""
    before_id: str
    end: str
    """Without the brace that closes the event."""


class EventFrame:
    """Makes the frame around what logging calls give.

    Args:
        service: ``service.name``.
        environment: ``service.environment``.
        host: ``host.name``.

    """

    def __init__(self, service: str, environment: str, host: str) -> None:
        self._service = service
        self._environment = environment
        self._host = host

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the frame with an empty message, which keeps the message's place."""
        moment = moment_of(record.created)
        process = _pid_of(record.process)
        names = names_of(record.name, record.levelname, record.levelno)
        identifier = identifier_of(record, moment)
        return self._fields(names, moment[0], identifier, os.getpid() if process is None else process, "")

    def written(self, record: logging.LogRecord) -> WrittenFrame | None:
        """Return the JSON of a frame like this record's, or None where the record's names are unusual."""
        process = _pid_of(record.process)
        if process is None or not _are_plain(record.name, record.levelname, record.levelno):
            return None
        names = names_of(record.name, record.levelname, record.levelno)
        place = uuid.uuid4().hex  # nobody can have used it as a name
        text = json_text(self._fields(names, place, place, process, place))
        before_time, before_timestamp, before_message, before_id, end = text.split(place)
        stream = names[2][len(_DATASET) :]
        pieces = before_time, before_timestamp, before_message[:-1], before_id[1:], end[:-1]
        return WrittenFrame(stream, *pieces)

    def _fields(
        self, names: tuple[str, str, str], moment: str, identifier: str, process: int, message: str
    ) -> dict[str, Any]:
        level, logger, dataset = names
        return {
            "@timestamp": moment,
            "timestamp": moment,
            "level": level,
            "logger": logger,
            "message": message,
            "event": {"id": identifier, "dataset": dataset},
            "service": {"name": self._service, "environment": self._environment},
            "host": {"name": self._host},
            "process": {"pid": process},
            "ecs": {"version": ECS_VERSION},
        }


def _pid_of(process: object) -> int | None:
    return process if type(process) is int and 0 <= process < _MAX_PID else None


def _are_plain(name: object, levelname: object, levelno: object) -> bool:
    if type(name) is str and type(levelname) is str and type(levelno) is int:
        return len(name) + len(levelname) <= PLAIN_LENGTH
    return False


def names_of(name: object, levelname: object, levelno: object) -> tuple[str, str, str]:
    """Return level, logger and dataset of a record with such attributes, whatever they are."""
    try:
        return _names_known[name, levelname, levelno]
    except Exception:  # not yet known, or no text, and perhaps one that nothing can be done with
        logger, level = safe_str(name), safe_str(levelname)
    number = levelno if isinstance(levelno, int) else logging.INFO
    dataset = f"{_DATASET}{stream_for(logger, number)}"
    names = shortened(level, MAX_KEYWORD_BYTES), shortened(logger, MAX_KEYWORD_BYTES), dataset
    if _are_plain(name, levelname, levelno):
        if len(_names_known) >= _MAX_KNOWN:
            _names_known.clear()
        _names_known[name, levelname, levelno] = names
    return names


_names_known: dict[tuple[object, object, object], tuple[str, str, str]] = {}
