"""Messages and debug output that cost nothing unless they are written (guide, "Conditional Logging")."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from logbastion.jsonsafe import safe_str, shortened

MAX_MESSAGE_BYTES: Final = 262_144
"""Of a lazy message: the limit that the event contract sets for a text."""
MAX_DEBUG_BYTES: Final = 8192
"""Of what a debug operation returns."""
_LONGEST_WAIT: Final = 5.0

_Function = TypeVar("_Function", bound=Callable[..., Any])


class LazyLogMessage:
    """A message, or an argument of one, that is worked out when its text is first wanted.

    ``logger.debug(LazyLogMessage(describe, order))`` calls ``describe(order)`` only if a handler writes the record. The
    function is called at most once, whatever the number of handlers and threads, and let go afterwards together with
    its arguments. It sees the arguments as they are then, possibly changed since the logging call.

    Pickling or copying one gives its text.

    Args:
        func: is called with the other arguments; its result is turned into text of at most 256 KiB.
        *args: for the function.
        **kwargs: for the function.

    """

    __slots__ = ("_call", "_lock", "_running", "_text")

    def __init__(self, func: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        self._call: Callable[[], object] | None = lambda: func(*args, **kwargs)
        self._lock = threading.RLock()
        self._running = False
        self._text: str | None = None

    def __str__(self) -> str:
        """Return the text; an exception in the function becomes ``<LazyLogMessage that raised ValueError>``.

        A function that logs may wait for a lock whose owner wants this very text. So another thread waits for at most
        five seconds, and then gets a note in angle brackets.
        """
        text = self._text
        if text is not None:
            return text
        if not self._lock.acquire(timeout=_LONGEST_WAIT):
            return "<LazyLogMessage that another thread is still working out>"
        try:
            if self._text is None:
                if self._running:
                    return "<LazyLogMessage within itself>"
                self._work_out()
            return self._text or ""
        finally:
            self._lock.release()

    def __repr__(self) -> str:
        """Return the text: ``%r`` is no reason to show less."""
        return str(self)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)

    def _work_out(self) -> None:
        call, self._call = self._call, None
        self._running = True
        # Stays if the thread is told to end (KeyboardInterrupt, SystemExit): that is not the message's to stop.
        text = "<LazyLogMessage that was interrupted>"
        try:
            text = "" if call is None else shortened(safe_str(call()), MAX_MESSAGE_BYTES)
        except Exception as error:  # a message must not cost the call that it tells of
            text = f"<LazyLogMessage that raised {type(error).__name__}>"
        finally:
            self._text = text
            self._running = False


def conditional_debug(expensive_operation: Callable[..., object]) -> Callable[[_Function], _Function]:
    """Return a decorator that logs what an operation says about each call, at DEBUG, before the call.

    The logger is the one named like the function's module. Only while DEBUG is enabled for it is the operation called,
    with the arguments of the call; its result is written as text of at most 8 KiB. Whatever it raises is written
    instead as the name of the exception, and neither that nor an exception in logging reaches the caller. It should not
    use up or change the arguments, for they are the call's own.

    For functions, methods (also above ``@classmethod`` and ``@staticmethod``), generators and coroutines. A coroutine
    logs when it is awaited, and then the operation may be a coroutine, too.

    Args:
        expensive_operation: called with the arguments of the decorated function.

    """

    def decorator(func: _Function) -> _Function:
        inner: Any = func
        if isinstance(inner, (classmethod, staticmethod)):
            kind: Any = type(inner)
            rewrapped: _Function = kind(decorator(inner.__func__))
            return rewrapped
        logger = logging.getLogger(getattr(inner, "__module__", None) or __name__)
        name = safe_str(getattr(inner, "__qualname__", None) or type(inner).__name__)
        if inspect.iscoroutinefunction(inner):

            @functools.wraps(inner)
            async def awaiting(*args: Any, **kwargs: Any) -> Any:
                if logger.isEnabledFor(logging.DEBUG):
                    await _tell_awaiting(logger, name, expensive_operation, args, kwargs)
                return await inner(*args, **kwargs)

            wrapper: Any = awaiting
        else:

            @functools.wraps(inner)
            def calling(*args: Any, **kwargs: Any) -> Any:
                if logger.isEnabledFor(logging.DEBUG):
                    _tell(logger, name, expensive_operation, args, kwargs)
                return inner(*args, **kwargs)

            wrapper = calling
        result: _Function = wrapper
        return result

    return decorator


def _tell(
    logger: logging.Logger,
    name: str,
    operation: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    try:
        found = operation(*args, **kwargs)
        if inspect.iscoroutine(found):
            found.close()  # or Python warns that nobody has awaited it
            text = "<coroutine, which only a coroutine can await>"
        else:
            text = shortened(safe_str(found), MAX_DEBUG_BYTES)
    except Exception as error:  # debug output must not cost the call
        text = _failure(error)
    _log(logger, name, text)


async def _tell_awaiting(
    logger: logging.Logger,
    name: str,
    operation: Callable[..., object],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    try:
        found = operation(*args, **kwargs)
        if inspect.isawaitable(found):
            found = await found
        text = shortened(safe_str(found), MAX_DEBUG_BYTES)
    except Exception as error:  # debug output must not cost the call
        text = _failure(error)
    _log(logger, name, text)


def _failure(error: Exception) -> str:
    return f"<debug operation that raised {type(error).__name__}>"


def _log(logger: logging.Logger, name: str, text: str) -> None:
    try:
        # The caller of the decorated function is where the record comes from: above _log, _tell and the wrapper.
        logger.debug("%s: %s", name, text, stacklevel=4)
    except Exception:  # a filter of somebody's own
        return
