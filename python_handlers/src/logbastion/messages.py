"""The message of a record, with what the names of its arguments say."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

Arguments = Callable[[Mapping[str, Any], str], Mapping[str, Any]]
"""Takes named arguments and the stream; returns those that may stand in a message."""


def message_of(record: logging.LogRecord, arguments: Arguments | None, stream: str) -> str:
    """Return the message with its arguments; those with names, ``"%(password)s"``, as their names allow.

    Args:
        record: any.
        arguments: see :meth:`logbastion.redaction.Redactor.arguments`; None leaves them as they are.
        stream: where the message goes.

    Raises:
        Exception: the arguments do not fit, or one of them cannot be shown.

    """
    given = record.args
    if type(given) is not tuple and arguments is not None and isinstance(given, Mapping) and given:
        text = str(record.msg)
        if "%(" in text:
            return text % arguments(given, stream)
    return record.getMessage()
