"""The correlation id, and who is asking, on every record of a request (specification, system 19).

The values live in :mod:`contextvars`: they follow ``await``, ``asyncio.create_task`` and ``sync_to_async``. A thread
that the application starts itself begins empty, unless it is started through ``contextvars.copy_context().run``.
"""

from __future__ import annotations

import contextlib
import logging
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

MAX_LENGTH: Final = 128
_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]{0,127}")
_EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})
_correlation_id: ContextVar[str | None] = ContextVar("logbastion_correlation_id", default=None)
_bound: ContextVar[Mapping[str, Any]] = ContextVar("logbastion_bound", default=_EMPTY)


def is_well_formed(candidate: object) -> bool:
    """Say whether a correlation id from outside may be used: 1 to 128 letters, digits, ``. _ : -``, no other."""
    return isinstance(candidate, str) and _WELL_FORMED.fullmatch(candidate) is not None


REQUEST_ATTRIBUTE: Final = "logbastion_correlation_id"
"""Where a request keeps its id; :class:`logbastion.django.middleware.CorrelationIdMiddleware` puts it there."""


def new_correlation_id() -> str:
    """Return a fresh random id (UUIDv4: it says nothing about time or machine to whoever sees the response)."""
    return str(uuid.uuid4())


def get_correlation_id() -> str | None:
    """Return the id of the running request or task, or None outside of any."""
    return _correlation_id.get()


def set_correlation_id(value: str | None) -> None:
    """Set the id for the rest of the running context; :func:`bind` is the one that also restores.

    Raises:
        ValueError: the value is not well-formed (see :func:`is_well_formed`).

    """
    if value is not None and not is_well_formed(value):
        raise ValueError("a correlation id has 1 to 128 characters out of letters, digits and . _ : -")
    _correlation_id.set(value)


@contextlib.contextmanager
def bind(correlation_id: str | None = None, **values: Any) -> Iterator[None]:
    """Put values on every record that is logged inside the ``with`` block.

    Args:
        correlation_id: the id; None keeps the one that is set.
        **values: record attributes, such as ``user_id`` and ``school_id``. A callable without arguments is asked for
            each record; what it returns as None is left out.

    Raises:
        ValueError: the correlation id is not well-formed.

    """
    if correlation_id is not None and not is_well_formed(correlation_id):
        raise ValueError("a correlation id has 1 to 128 characters out of letters, digits and . _ : -")
    id_token = _correlation_id.set(correlation_id) if correlation_id is not None else None
    bound_token = _bound.set({**_bound.get(), **values})
    try:
        yield
    finally:
        _bound.reset(bound_token)
        if id_token is not None:
            _correlation_id.reset(id_token)


class CorrelationIdFilter(logging.Filter):
    """Writes the context's values onto each record, and lets every record pass.

    Attach it to handlers, not to loggers: a logger's filters do not see the records of its children. What the logging
    call itself gave in ``extra`` is never overwritten.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Fill in ``correlation_id`` and the bound values; always True."""
        attributes = record.__dict__
        if attributes.get("correlation_id") is None:
            known = _correlation_id.get()
            attributes["correlation_id"] = _of_request(attributes) if known is None else known
        for name, value in _bound.get().items():
            if attributes.get(name) is None:
                resolved = _resolved(value) if callable(value) else value
                if resolved is not None:
                    attributes[name] = resolved
        return True


def _of_request(attributes: dict[str, Any]) -> str | None:
    """Return the id of the request that a record names: Django logs answers from 400 on after the context has ended."""
    request = attributes.get("request")
    if request is None:
        return None
    try:
        value = vars(request).get(REQUEST_ATTRIBUTE)
    except TypeError:  # no object with attributes
        return None
    return value if type(value) is str and is_well_formed(value) else None


def _resolved(value: Callable[[], Any]) -> Any:
    try:
        return value()
    except Exception:  # logging must not fail because the application's callable does
        return None
