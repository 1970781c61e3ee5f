"""A limit for storms of one message (guide, "Log Sampling and Rate Limiting").

A loop that fails logs the same message thousands of times. The first few say everything; of the rest only the number
matters. That number is always logged.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import logging
import math
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from logbastion.jsonsafe import safe_str, shortened
from logbastion.processes import after_fork, at_end_of_child, notice_fork
from logbastion.quiet import QuietTeller
from logbastion.streams import AUDIT, SECURITY, STREAMS, stream_for

SUMMARY_EVENT_TYPE: Final = "log_rate_limit_summary"
DEFAULT_MAX_KEYS: Final = 1000
_MAX_TEMPLATE_BYTES: Final = 512

_Key = tuple[str, int, str]
_filters: weakref.WeakSet[RateLimitFilter] = weakref.WeakSet()
_owing: set[RateLimitFilter] = set()
"""Filters with something to summarise. They are kept alive: a new configuration only forgets the old one's filters."""
_teller: Final = QuietTeller(lambda: list(_owing))


def _after_fork_in_child() -> None:
    _owing.clear()
    _teller.forget()
    for limit in list(_filters):
        limit._begin()  # the module's own class


def _at_exit() -> None:
    for limit in list(_owing):
        limit.close()


after_fork(_after_fork_in_child)
# Exit handlers run last in, first out: this one before that of logging, which closes the handlers.
atexit.register(_at_exit)


class SummaryRecord(logging.LogRecord):
    """Says how many records were suppressed. No :class:`RateLimitFilter` suppresses it."""


@dataclass
class _Window:
    key: _Key
    began: float
    passed: int = 0
    suppressed: int = 0
    first: float = 0.0
    last: float = 0.0


class RateLimitFilter(logging.Filter):
    """Lets a few records of a message pass in each interval, suppresses the rest, and says how many those were.

    Messages are told apart by logger, level and template: ``"User %s failed"`` is one message whatever its arguments.
    A text that is put together before the logging call, by an f-string for instance, is another message each time and
    is not limited. Of a message that is no text (an exception, a lazy message), the place of the call is the template.

    The interval of a message begins with its first record. After it there is one summary if any were suppressed: a
    :class:`SummaryRecord` of the same logger and level, with ``event_type`` ``log_rate_limit_summary`` and in ``extra``
    ``suppressed_count``, ``suppressed_logger``, ``suppressed_level``, ``suppressed_seconds`` (from the first to the
    last one) and ``suppressed_message`` (the template, without arguments). It goes through the logger, so it reaches
    the handlers that the records would have reached. It belongs to no request, and has no correlation id.

    The summary of a storm that simply stops is written with the next record of any message that passes through this
    filter after the interval; when there is none, by a thread within about a second after it, at :meth:`close` or at
    the end of the process. One thread of a process, a daemon, does that for all filters, and only while something is
    owed. ``kill -9`` loses a summary. A child of ``fork`` counts its own records only.

    It may hang on handlers or on a logger. One that hangs on several handlers, as a name in ``dictConfig`` does, judges
    a record once, and all of them do the same. Two different ones on two handlers each write a summary to both.

    Memory is bounded. When there are more messages than ``max_keys``, the one that was not logged for the longest time
    is summarised at once and forgotten. Never raises, and lets a record pass that it cannot judge, or that comes from a
    signal handler or a finaliser that has interrupted the filter itself.

    Args:
        records: how many records of a message pass in an interval.
        interval_seconds: the interval, by the monotonic clock.
        max_keys: how many messages are told apart.
        exempt_streams: of which nothing is ever suppressed. By default what is evidence: ``security`` and ``audit``,
            see :func:`logbastion.stream_for`.

    Raises:
        ValueError: an argument cannot work.

    """

    def __init__(
        self,
        records: int = 10,
        interval_seconds: float = 60.0,
        *,
        max_keys: int = DEFAULT_MAX_KEYS,
        exempt_streams: Collection[str] = (SECURITY, AUDIT),
    ) -> None:
        super().__init__()
        if records < 1:
            raise ValueError("Of each message at least one record must pass in an interval: records must be 1 or more.")
        if not 0 < interval_seconds < math.inf:
            raise ValueError("The interval must be a number of seconds above 0: see interval_seconds.")
        if max_keys < 1:
            raise ValueError("The filter needs room for at least one message: max_keys must be 1 or more.")
        unknown = sorted({exempt_streams} if isinstance(exempt_streams, str) else set(exempt_streams) - set(STREAMS))
        if unknown:
            raise ValueError(
                f"There is no stream {', '.join(unknown)}; a list of these is wanted: {', '.join(STREAMS)}."
            )
        self._records = records
        self._interval = float(interval_seconds)
        self._max_keys = max_keys
        self._exempt = frozenset(exempt_streams)
        self._begin()
        _filters.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._busy = False
        self._windows: OrderedDict[_Key, _Window] = OrderedDict()
        self._owed: dict[_Key, _Window] = {}
        self._next_due = math.inf
        self._verdicts: weakref.WeakKeyDictionary[logging.LogRecord, bool] = weakref.WeakKeyDictionary()
        self._at_end = False
        self._telling = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the record passes, and log the summaries that are due."""
        if isinstance(record, SummaryRecord):
            return True
        try:
            notice_fork()
            passes, due = self._judged(record)
            if due:
                self._tell(due)
        except Exception:  # rather one record too many than one that is missing
            return True
        return passes

    def tell_due(self) -> None:
        """Log the summaries of what was suppressed in intervals that are over. The thread for quiet processes asks."""
        with self._lock:
            due = self._take_due(time.monotonic()) if not self._busy else []
        self._tell(due)

    def seconds_until_due(self) -> float:
        """Return when :meth:`tell_due` has something to do: in so many seconds, infinity when nothing is owed."""
        return self._next_due - time.monotonic()

    def close(self) -> None:
        """Log the summaries of everything that was suppressed so far. The filter can be used further."""
        notice_fork()
        with self._lock:
            if self._busy:  # this very thread is below
                return
            self._busy = True
            try:
                due = list(self._owed.values())
                for window in due:
                    self._settle(window)
            finally:
                self._busy = False
        self._tell(due)

    def _judged(self, record: logging.LogRecord) -> tuple[bool, list[_Window]]:
        """Return whether the record passes, and windows to summarise, which are this caller's from here on."""
        now = time.monotonic()
        with self._lock:
            if self._busy:  # this very thread is below
                return True, []
            self._busy = True
            try:
                due = self._take_due(now) if now >= self._next_due and not self._is_telling() else []
                verdict = self._verdicts.get(record)
                if verdict is None:
                    verdict = self._verdicts[record] = self._counted(record, now, due)
                return verdict, due
            finally:
                self._busy = False

    def _counted(self, record: logging.LogRecord, now: float, due: list[_Window]) -> bool:
        if type(record.name) is not str or stream_for(record.name, record.levelno) in self._exempt:
            return True
        key = (record.name, record.levelno, _template(record))
        window = self._windows.get(key)
        if window is not None and now - window.began >= self._interval:
            window = None  # what it owed has been taken by now, or is added to its successor
        if window is None:
            window = self._new_window(key, now, due)
        self._windows.move_to_end(key)
        if window.passed < self._records:
            window.passed += 1
            return True
        earlier = self._owed.get(key)
        if earlier is not window:
            window.first = now
            if earlier is not None:  # given back, see _give_back
                window.suppressed, window.first = earlier.suppressed, earlier.first
            self._owed[key] = window
            self._next_due = min(self._next_due, window.began + self._interval)
            self._look_after_end()
        window.suppressed += 1
        window.last = now
        return False

    def _new_window(self, key: _Key, now: float, due: list[_Window]) -> _Window:
        self._windows.pop(key, None)
        while len(self._windows) >= self._max_keys:
            _, forgotten = self._windows.popitem(last=False)
            if forgotten.suppressed:
                due.append(self._settle(forgotten))
        window = self._windows[key] = _Window(key, now)
        return window

    def _take_due(self, now: float) -> list[_Window]:
        due = [window for window in self._owed.values() if now - window.began >= self._interval]
        for window in due:
            self._settle(window)
        return due

    def _settle(self, window: _Window) -> _Window:
        """Owe this window's summary no more: the caller logs it. What still comes opens a new one."""
        self._owed.pop(window.key, None)
        if self._windows.get(window.key) is window:
            del self._windows[window.key]
        self._next_due = min((one.began + self._interval for one in self._owed.values()), default=math.inf)
        if not self._owed:
            _owing.discard(self)
        return window

    def _look_after_end(self) -> None:
        _owing.add(self)
        _teller.start()
        if not self._at_end:
            self._at_end = True
            at_end_of_child(self, self.close)

    def _tell(self, due: list[_Window]) -> None:
        """Log summaries, without any lock of the filter: handlers have theirs."""
        if self._is_telling():  # a handler logs while it handles one; it is not to go deeper
            self._give_back(due)
            return
        self._telling.active = True
        try:
            for window in due:
                # An empty context: the request that happens to be running has nothing to do with it.
                with contextlib.suppress(Exception):  # of a filter of somebody's own; the others are to come through
                    contextvars.Context().run(logging.getLogger(window.key[0]).handle, _summary(window))
        finally:
            self._telling.active = False

    def _is_telling(self) -> bool:
        return getattr(self._telling, "active", False)

    def _give_back(self, due: list[_Window]) -> None:
        with self._lock:
            for window in due:
                later = self._owed.get(window.key)
                if later is None:
                    self._owed[window.key] = window
                else:
                    later.suppressed += window.suppressed
                    later.first = min(later.first, window.first)
            if due:
                self._next_due = min(self._next_due, time.monotonic())
                _owing.add(self)


def _template(record: logging.LogRecord) -> str:
    if type(record.msg) is str:
        # Whole up to a limit, so that texts which begin alike are not one message.
        return record.msg if len(record.msg) <= _MAX_TEMPLATE_BYTES else f"{record.msg[:_MAX_TEMPLATE_BYTES]}..."
    return f"<{type(record.msg).__name__} at {safe_str(record.pathname)}:{safe_str(record.lineno)}>"


def _summary(window: _Window) -> SummaryRecord:
    name, level, template = window.key
    seconds = round(window.last - window.first, 3)
    text = "%d further records of this message were suppressed within %.1f s: logger %s, level %s"
    level_name = logging.getLevelName(level)
    arguments = (window.suppressed, seconds, name, level_name)
    record = SummaryRecord(name, level, __file__, 0, text, arguments, None)
    record.__dict__.update(
        event_type=SUMMARY_EVENT_TYPE,
        suppressed_count=window.suppressed,
        suppressed_logger=name,
        suppressed_level=level_name,
        suppressed_seconds=seconds,
        suppressed_message=shortened(safe_str(template), _MAX_TEMPLATE_BYTES),
    )
    return record
