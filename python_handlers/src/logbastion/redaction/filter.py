"""For those who configure logging by hand: redacts a record before any formatter sees it."""

from __future__ import annotations

import copy
import logging
import traceback
from typing import Any, Final

from logbastion.jsonsafe import safe_str, safe_value
from logbastion.messages import message_of
from logbastion.redaction.engine import Redactor
from logbastion.sanitize import without_controls
from logbastion.streams import stream_for

_STANDARD: Final = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {
    "message",
    "asctime",
    "taskName",
}
_WITHHELD: Final = "An event could not be prepared for writing; its content was withheld."


class RedactionFilter(logging.Filter):
    """Gives the handler a record in which message, ``extra`` and exception are redacted; the original stays as it is.

    Add it to handlers, the last of their filters; on a logger it would not see the records of its children. The
    handlers that :func:`logbastion.logging_config` makes need none: their formatter asks the gate.

    Python before 3.12 ignores a record that a filter returns. There, :meth:`filter` changes the record itself, and the
    handlers after this one see the redacted record, too.

    Args:
        redactor: by default one with the standard table.

    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        super().__init__()
        self._redactor = redactor or Redactor()

    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:  # type: ignore[override]
        """Return the redacted record; True before Python 3.12, where the record itself is redacted. Never raises."""
        made = copy.copy(record) if _TAKES_RECORDS else record
        try:
            self._redact(made)
        except Exception as error:  # fails closed
            _withhold(made, error)
        return made if _TAKES_RECORDS else True

    def _redact(self, record: logging.LogRecord) -> None:
        stream = stream_for(record.name, record.levelno)
        redact = self._redactor.redact_text
        attributes = record.__dict__
        message = without_controls(redact(_message_of(record, self._redactor, stream), stream))
        if record.exc_info and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info))
        if record.exc_text:
            record.exc_text = _lines(redact(record.exc_text, stream))
        if record.stack_info:
            record.stack_info = _lines(redact(record.stack_info, stream))
        for name in [name for name in attributes if name not in _STANDARD]:
            redacted: dict[str, Any] = self._redactor.redact_fields({name: safe_value(attributes.pop(name))}, stream)
            attributes.update(redacted)
        record.msg, record.args, record.exc_info = message, None, None


def _message_of(record: logging.LogRecord, redactor: Redactor, stream: str) -> str:
    try:
        return safe_str(message_of(record, redactor.arguments, stream))
    except Exception as error:  # wrong arguments; without them
        return f"{safe_str(record.msg)} (the arguments do not fit: {type(error).__name__})"


def _lines(text: str) -> str:
    return "\n".join(without_controls(line) for line in text.split("\n"))


def _withhold(record: logging.LogRecord, error: Exception) -> None:
    for name in [name for name in record.__dict__ if name not in _STANDARD]:
        del record.__dict__[name]
    record.msg, record.args = f"{_WITHHELD} ({type(error).__name__})", None
    record.exc_info = record.exc_text = record.stack_info = None


def _takes_records() -> bool:
    """Say whether a filter may return another record (Python 3.12)."""
    probe = logging.Handler()
    other = logging.LogRecord("", 0, "", 0, "", None, None)
    probe.addFilter(lambda _record: other)  # type: ignore[arg-type,return-value]
    passed: object = probe.filter(logging.LogRecord("", 0, "", 0, "", None, None))
    return passed is other


_TAKES_RECORDS: Final = _takes_records()
