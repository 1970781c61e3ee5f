"""The event contract: one JSON object a line (guide, "Elasticsearch/ELK Stack Configuration"; ECS 8.17)."""

from __future__ import annotations

import logging
import socket
import uuid
from typing import Any, Final

from logbastion.encoding import completed_event, encode_event, quoted
from logbastion.event_content import content_of, judged_content_of, taken_of, type_name
from logbastion.event_frame import LINE, EventFrame, WrittenFrame, event_id, identifier_of, moment_of, stream_of
from logbastion.gate import Gate, PieceJudge, judge_of, piece_judge_of
from logbastion.jsonsafe import safe_str
from logbastion.messages import Arguments
from logbastion.names import DEFAULT_ENVIRONMENT, checked_environment
from logbastion.redaction.engine import standard_redactor
from logbastion.redaction_counts import counts

__all__ = ["EventFormatter", "event_id"]

_EVENT: Final = "event"
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
        self._written: dict[tuple[object, ...], tuple[WrittenFrame | None, PieceJudge | None]] = {}
        # Says on a record whose line is kept there. A text, so that other handlers can still pickle the record.
        self._mark = uuid.uuid4().hex

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its line break."""
        return self.format_json(record).decode()

    def format_bytes(self, record: logging.LogRecord) -> bytes:
        """Return the line as it is written and sent: UTF-8, at most 256 KiB, ended by a line break."""
        return self.format_json(record) + b"\n"

    def _is_ours(self, cached: object) -> bool:
        """Say whether this formatter has kept the line there: anybody may put anything into a record."""
        return type(cached) is tuple and len(cached) == 2 and type(cached[0]) is str and cached[0] == self._mark  # noqa: PLR2004

    def format_json(self, record: logging.LogRecord) -> bytes:
        """Return the event's JSON as UTF-8: the line of :meth:`format_bytes` without its line break."""
        # One formatter serves all outputs: what the first of them made, the others write, byte for byte.
        cached = record.__dict__.get(LINE)
        if cached is not None and self._is_ours(cached):
            line: bytes = cached[1]
            return line
        try:
            line = encode_event(self._gate(self.event(record))) if self._judge is None else self._line(record)
        except Exception as error:  # fails closed: a notice instead of what could not be judged
            counts.failed += 1
            counts.pending = True
            line = encode_event(self._notice(record, error))
        record.__dict__[LINE] = (self._mark, line)
        return line

    def event(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the event before the gate."""
        # Before the frame puts the event's id on the record.
        content = content_of(record, taken_of(record), self._arguments, stream_of(record))
        frame = self._frame.fields(record)
        if _EVENT in content:
            content[_EVENT] = {**frame[_EVENT], **content[_EVENT]}
        return {**frame, **content}

    def _line(self, record: logging.LogRecord) -> bytes:
        """Return the bytes of the whole event, of which only the content is built, judged and encoded."""
        judge = self._judge
        assert judge is not None  # noqa: S101 - the caller has asked
        try:
            frame, pieces = self._written[record.name, record.levelname, record.levelno, record.process]
        except Exception:  # not yet written, or no text, and perhaps one that nothing can be done with
            return self._first_line(record)
        if frame is None:
            return encode_event(self._gate(self.event(record)))
        taken = taken_of(record)
        judged = None if pieces is None else judged_content_of(record, taken, self._arguments, frame.stream, pieces)
        if judged is not None:
            message, content = judged
        else:
            content = content_of(record, taken, self._arguments, frame.stream)
            if _EVENT in content:  # of an incident, and rare: it belongs into the frame
                return encode_event(self._gate(self.event(record)))
            content = judge(content, frame.stream)
            message = content.pop("message")
        moment = moment_of(record.created)
        time = moment[0]
        beginning = (
            f"{frame.before_time}{time}{frame.before_timestamp}{time}{frame.before_message}{quoted(message)}"
            f"{frame.before_id}{identifier_of(record, moment)}{frame.end}"
        )
        line = completed_event(beginning, content)
        return line or encode_event({**self._frame.fields(record), "message": message, **content})

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
            as_it_is = event.get("logger") == record.name
            self._written[key] = (frame, piece_judge_of(self._gate, frame.stream)) if as_it_is else (None, None)
        return encode_event(event)

    def _notice(self, record: logging.LogRecord, error: Exception) -> dict[str, Any]:
        event = self._frame.fields(record)
        event["message"] = "An event could not be prepared for writing; its content was withheld."
        event["error"] = {"type": type_name(type(error))}
        return event
