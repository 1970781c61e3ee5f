"""The newest events, in memory (guide, "Efficient Log Record Handling")."""

from __future__ import annotations

import itertools
import json
import logging
import time
import weakref
from collections import deque
from typing import Any, Final, NamedTuple

from logbastion.encoding import encode_event
from logbastion.formatters import EventFormatter
from logbastion.jsonsafe import safe_str, shortened
from logbastion.processes import notice_fork, renew_after_fork
from logbastion.unlocked import UnlockedHandler

DEFAULT_MAX_ENTRY_BYTES: Final = 8192
_SMALLEST_ENTRY_BYTES: Final = 2048
"""What the frame of an event takes, with all its texts cut."""
_SHORTEST_TEXT: Final = 64

_handlers: weakref.WeakSet[CircularBufferHandler] = weakref.WeakSet()
renew_after_fork(_handlers, lambda handler: handler._after_fork())  # the module's own class


class _Entry(NamedTuple):
    number: int
    name: str
    level: int
    created: float
    line: str


class CircularBufferHandler(UnlockedHandler):
    """Keeps the newest events in memory, as finished lines.

    The lines have passed the formatter and its gate, :class:`EventFormatter` unless another is set. No record, argument
    or exception is kept alive. At most ``capacity`` lines of at most ``max_entry_bytes`` each are kept: 8 MiB with both
    defaults. The process's memory is their only place: they end with it, and the child of a fork begins empty.

    With ``dump_to``, the first record at ``dump_level`` or above hands what is kept, itself included, to that handler.
    Then the handler is disarmed, so that a storm of errors does not dump over and over, until :meth:`rearm` or until
    ``rearm_seconds`` have passed. No line is handed over twice. Each becomes a record with the logger, the level and
    the time of the original, and with the line as its message. So give ``dump_to`` the formatter
    ``logging.Formatter("%(message)s")`` to write lines as they are; with an :class:`EventFormatter` of its own a line
    is the message of a new event. ``dump_to`` should hang on no logger, and its own level counts.

    Args:
        capacity: number of events.
        max_entry_bytes: of one line, in bytes of UTF-8; 2048 or more. A longer event loses ``extra``, and its texts are
            cut; it stays valid JSON. Lines of other formatters are cut at the end.
        dump_to: a handler, or its name in the configuration; :func:`logging.config.dictConfig` does not say in which
            order it makes handlers, so a name is looked up when it is needed.
        dump_level: a number or a name, such as ``"ERROR"``.
        rearm_seconds: after which the next such record dumps again; None leaves that to :meth:`rearm`.

    Raises:
        ValueError: an argument cannot work.

    """

    def __init__(
        self,
        capacity: int = 1000,
        *,
        max_entry_bytes: int = DEFAULT_MAX_ENTRY_BYTES,
        dump_to: logging.Handler | str | None = None,
        dump_level: int | str = logging.ERROR,
        rearm_seconds: float | None = None,
    ) -> None:
        if capacity < 1:
            raise ValueError("A buffer for no event at all keeps nothing: capacity must be 1 or more.")
        if max_entry_bytes < _SMALLEST_ENTRY_BYTES:
            raise ValueError(
                f"An event does not fit into less than {_SMALLEST_ENTRY_BYTES} bytes: set max_entry_bytes to that or "
                "more."
            )
        if rearm_seconds is not None and not rearm_seconds > 0:
            raise ValueError("The time after which the buffer dumps again must be above 0 seconds: see rearm_seconds.")
        super().__init__()
        self.capacity = capacity
        self._max_entry_bytes = max_entry_bytes
        self._dump_to = dump_to
        self._dump_level = logging.Handler(dump_level).level  # the standard library's own reading of names
        self._rearm_seconds = rearm_seconds
        self.setFormatter(EventFormatter())
        self._begin()
        _handlers.add(self)

    def _begin(self) -> None:
        self._entries: deque[_Entry] = deque(maxlen=self.capacity)
        self._numbers = itertools.count(1)
        self._dumped = 0
        self._dumped_at: float | None = None

    def _after_fork(self) -> None:
        self._begin()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record's line, and dump if it is time."""
        notice_fork()
        try:
            line = self._fitted(self.format(record))
            for entry in self._keep(record, line):
                self._hand_over(entry)
        except Exception:  # logging never stops the application
            self.handleError(record)

    def get_recent_logs(self, count: int | None = None) -> list[str]:
        """Return the newest lines, the newest last.

        Args:
            count: how many at most; None is for all that are kept.

        Raises:
            ValueError: the count is negative.

        """
        if count is not None and count < 0:
            raise ValueError("There are no less than no events: count must be 0 or more, or None for all.")
        notice_fork()
        entries = self._snapshot()
        return [entry.line for entry in (entries if count is None else entries[max(0, len(entries) - count) :])]

    def rearm(self) -> None:
        """Let the next record at the level dump again what has come since the last time."""
        self._dumped_at = None

    def _keep(self, record: logging.LogRecord, line: str) -> list[_Entry]:
        """Keep the line, and return what is to be handed over now."""
        self.acquire()
        try:
            number = next(self._numbers)
            self._entries.append(_Entry(number, record.name, record.levelno, record.created, line))
            if self._dump_to is None or record.levelno < self._dump_level or not self._is_armed():
                return []
            self._dumped_at = time.monotonic()
            due = [entry for entry in self._snapshot() if entry.number > self._dumped]
            self._dumped = max(number, self._dumped)
            return due
        finally:
            self.release()

    def _is_armed(self) -> bool:
        if self._dumped_at is None:
            return True
        return self._rearm_seconds is not None and time.monotonic() - self._dumped_at >= self._rearm_seconds

    def _snapshot(self) -> list[_Entry]:
        self.acquire()
        try:
            while True:
                try:
                    return list(self._entries)
                except RuntimeError:  # a finaliser has logged in between, in this very thread
                    continue
        finally:
            self.release()

    def _hand_over(self, entry: _Entry) -> None:
        target = _handler_named(self._dump_to) if isinstance(self._dump_to, str) else self._dump_to
        if target is None or target is self:
            raise LookupError(f"There is no other handler named {self._dump_to!r} to dump the newest events to.")
        if entry.level < target.level:
            return
        record = logging.LogRecord(entry.name, entry.level, "", 0, entry.line, None, None)
        record.created = entry.created
        target.handle(record)

    def _fitted(self, line: str) -> str:
        limit = self._max_entry_bytes
        if len(line) <= limit // 4 or len(line.encode("utf-8", "replace")) <= limit:
            return line
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            event = None
        if isinstance(event, dict):
            if "extra" in event:
                event["extra"] = {"_cut": "<extra was left out of the buffer>"}
            longest = limit // 4
            while longest >= _SHORTEST_TEXT:
                raw = encode_event(_cut(event, longest))
                if len(raw) <= limit:
                    return raw.decode()
                longest //= 2
        return shortened(safe_str(line), limit)


def _cut(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return shortened(value, limit)
    return {key: _cut(item, limit) for key, item in value.items()} if isinstance(value, dict) else value


def _handler_named(name: str) -> logging.Handler | None:
    # logging.getHandlerByName is there from Python 3.12; the table that it asks is older.
    handlers: Any = vars(logging)["_handlers"]
    found: logging.Handler | None = handlers.get(name)
    return found
