"""Files that are written by a thread of their own (guide, "Asynchronous Logging").

A logging call formats the event and puts the line into a bounded queue; the disk is the thread's business. What is in
the queue is in memory only, so ``kill -9`` and a loss of power cost it. The durable way is
:class:`logbastion.ShippingHandler` with a spool: an event is on the disk when its logging call returns.

The standard library's ``QueueHandler`` and ``QueueListener`` are not used: the former turns exceptions into text before
the formatter sees them, and its queue waits on a lock that a signal handler cannot get; the latter has no bound for its
end and knows nothing of forks. ``RotatingFileHandler`` loses lines when two processes rotate one file.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
import time
import weakref
from collections import deque
from typing import Any, Final, NamedTuple

from logbastion.drop_counts import drop_counts
from logbastion.files import make_log_directory
from logbastion.formatters import EventFormatter
from logbastion.jsonsafe import safe_str
from logbastion.processes import at_end_of_child, notice_fork, renew_after_fork
from logbastion.rotating import RotatingFile
from logbastion.streams import AUDIT, SECURITY, stream_for
from logbastion.unlocked import UnlockedHandler

DEFAULT_FILENAME: Final = "logs/async-application.log"
DEFAULT_MAX_BYTES: Final = 10 * 1024 * 1024
DEFAULT_BACKUP_COUNT: Final = 5
DEFAULT_QUEUE_SIZE: Final = 10_000
DEFAULT_QUEUE_BYTES: Final = 16 * 1024 * 1024
DROPPED_EVENT_TYPE: Final = "async_logging_dropped"
_EVIDENCE: Final = (SECURITY, AUDIT)
_RETRY_SECONDS: Final = 0.1
_TOLD_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.005

_handlers: weakref.WeakSet[AsyncFileHandler] = weakref.WeakSet()
renew_after_fork(_handlers, lambda handler: handler._after_fork())  # the module's own class


class _Waiting(NamedTuple):
    line: bytes
    stream: str


class AsyncLoggingSetup:
    """Makes the asynchronous handler; the guide's name for it."""

    @staticmethod
    def setup_async_handlers(
        filename: str | os.PathLike[str] = DEFAULT_FILENAME,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        backup_count: int = DEFAULT_BACKUP_COUNT,
        queue_size: int = DEFAULT_QUEUE_SIZE,
        queue_bytes: int = DEFAULT_QUEUE_BYTES,
        evidence_wait: float = 0.1,
        exit_timeout: float = 5.0,
    ) -> AsyncFileHandler:
        """Return one handler that needs no starting and no stopping; for ``"()"`` in ``dictConfig`` as it is.

        Args and exceptions are those of :class:`AsyncFileHandler`.
        """
        return AsyncFileHandler(
            filename,
            max_bytes=max_bytes,
            backup_count=backup_count,
            queue_size=queue_size,
            queue_bytes=queue_bytes,
            evidence_wait=evidence_wait,
            exit_timeout=exit_timeout,
        )


class AsyncFileHandler(UnlockedHandler):
    """Puts each record's line into a bounded queue; one thread writes them to a file that rotates by size.

    The thread starts with the first record of a process. :meth:`close`, and with it :func:`logging.shutdown` and the
    end of the process, writes what waits, within ``exit_timeout``. The child of a fork has a queue and a thread of its
    own and leaves the parent's lines to the parent. Several processes may write one file.

    The formatter is asked in the calling thread, so a line says how things were, and no argument is kept alive.

    When the queue is full, a new record is dropped; one of the streams security and audit waits for room before, for at
    most ``evidence_wait``. While the disk refuses, the lines in the queue wait. What is dropped is counted
    (:meth:`stats`, and ``logbastion_events_dropped_total`` with the reason ``async_file``), and an event on
    ``system.log_management`` in the same file says how many, once there is room.

    Args:
        filename: the file, 0640 whatever the umask; its directory is made with mode 0750 when it is missing. A relative
            name is one of the directory in which the process is now.
        max_bytes: of one file; a line that would go beyond starts a new one.
        backup_count: how many full files are kept besides, as ``<filename>.1`` (the newest) and so on.
        queue_size: how many lines may wait.
        queue_bytes: how many bytes they may have in all.
        evidence_wait: seconds that a security or audit call waits for room.
        exit_timeout: seconds that :meth:`close` may take.

    Raises:
        ValueError: an argument cannot work.

    """

    def __init__(
        self,
        filename: str | os.PathLike[str] = DEFAULT_FILENAME,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        backup_count: int = DEFAULT_BACKUP_COUNT,
        queue_size: int = DEFAULT_QUEUE_SIZE,
        queue_bytes: int = DEFAULT_QUEUE_BYTES,
        evidence_wait: float = 0.1,
        exit_timeout: float = 5.0,
    ) -> None:
        if queue_size < 1 or queue_bytes < 1:
            raise ValueError("A queue needs room for at least one line: queue_size and queue_bytes must be 1 or more.")
        if not evidence_wait >= 0 or not exit_timeout >= 0:
            raise ValueError("No wait is shorter than no time: evidence_wait and exit_timeout must be 0 or more.")
        file = RotatingFile(os.path.abspath(filename), max_bytes, backup_count)
        super().__init__()
        self._file = file
        self._queue_size = queue_size
        self._queue_bytes = queue_bytes
        self._evidence_wait = evidence_wait
        self._exit_timeout = exit_timeout
        self.setFormatter(EventFormatter())
        self._begin()
        _handlers.add(self)

    def _begin(self) -> None:
        self._lines: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()  # its put() may be interrupted by itself
        self._admitting = threading.RLock()
        self._busy = False
        self._new: deque[_Waiting] = deque()
        self._put_count = self._put_bytes = self._done_count = self._done_bytes = 0
        self._written = self._dropped = self._told = 0
        self._told_at = float("-inf")
        self._writing = threading.RLock()
        self._in_write = False
        self._failing = False
        self._head: _Waiting | None = None
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._no_threads = False
        self._closed = False
        self._ending = threading.Event()
        self._deadline = float("inf")

    def _after_fork(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()  # the child's copy of the descriptor
        self._file = RotatingFile(str(self._file.path), self._file.max_bytes, self._file.backup_count)
        self._begin()

    def emit(self, record: logging.LogRecord) -> None:
        """Put the record's line into the queue."""
        notice_fork()
        try:
            line = self._line(record)
            stream = stream_for(record.name, record.levelno)
            if stream in _EVIDENCE and self._is_full(len(line)):
                self._wait_for_room(len(line))
            self._put(_Waiting(line, stream))
            if self._closed or self._no_threads:
                self._drain(time.monotonic() + self._exit_timeout)
            elif self._thread is None:
                self._start()
        except Exception:  # logging never stops the application
            self.handleError(record)

    def flush(self) -> None:
        """Wait until the file has everything, for at most the exit time-out; not while the disk refuses."""
        notice_fork()
        deadline = time.monotonic() + self._exit_timeout
        while self._waiting() and not self._failing and self._thread is not None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def close(self) -> None:
        """Write what waits, within the exit time-out, and close the file. A later record is written at once.

        What cannot be written in that time is lost and counted.
        """
        notice_fork()
        self._closed = True
        # A little is left for the thread to end in.
        self._deadline = time.monotonic() + 0.9 * self._exit_timeout
        self._ending.set()
        self._lines.put(None)
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._exit_timeout)
        if thread is None or not thread.is_alive():
            self._drain(self._deadline)
            with self._writing:
                self._file.close()
        super().close()

    def stats(self) -> dict[str, int]:
        """Return how many lines this process has written, dropped, and still has in the queue."""
        notice_fork()
        return {"written": self._written, "dropped": self._dropped, "waiting": self._waiting()}

    def _line(self, record: logging.LogRecord) -> bytes:
        formatter = self.formatter
        if isinstance(formatter, EventFormatter):
            return formatter.format_bytes(record)
        text = self.format(record).replace("\n", "\\n")  # one record, one line, whatever the formatter
        return text.encode("utf-8", "replace") + b"\n"

    def _waiting(self) -> int:
        return self._put_count - self._done_count + len(self._new)

    def _is_full(self, size: int) -> bool:
        waiting, held = self._put_count - self._done_count, self._put_bytes - self._done_bytes
        return waiting >= self._queue_size or (waiting > 0 and held + size > self._queue_bytes)

    def _wait_for_room(self, size: int) -> None:
        deadline = time.monotonic() + self._evidence_wait
        while self._is_full(size) and time.monotonic() < deadline:
            if self._thread is threading.current_thread():
                return  # it is the one that makes room
            time.sleep(_POLL_SECONDS)

    def _put(self, waiting: _Waiting) -> None:
        """Admit a line or drop it. A call that interrupts another of its own thread leaves its line to that one."""
        self._new.append(waiting)
        with self._admitting:
            while self._new and not self._busy:
                self._busy = True
                try:
                    while self._new:
                        self._admit(self._new.popleft())
                finally:
                    self._busy = False

    def _admit(self, waiting: _Waiting) -> None:
        if self._is_full(len(waiting.line)):
            self._drop(waiting)
            return
        self._put_count += 1
        self._put_bytes += len(waiting.line)
        self._lines.put(waiting)

    def _drop(self, waiting: _Waiting) -> None:
        self._dropped += 1
        drop_counts.add(waiting.stream)

    def _start(self) -> None:
        if not self._start_lock.acquire(blocking=False):
            return  # another thread, or the code that a signal has interrupted, is at it
        try:
            if self._thread is not None or self._closed:
                return
            at_end_of_child(self, self.close)
            thread = threading.Thread(target=self._run, args=(self._lines,), name="logbastion-async-file", daemon=True)
            thread.start()
            self._thread = thread
        except RuntimeError:  # the interpreter is shutting down: from here on the callers write
            self._no_threads = True
        finally:
            self._start_lock.release()
        if self._no_threads or self._closed:
            self._drain(time.monotonic() + self._exit_timeout)

    def _run(self, lines: queue.SimpleQueue[_Waiting | None]) -> None:
        while not self._ending.is_set():
            try:
                line = lines.get(timeout=_TOLD_SECONDS if self._told != self._dropped else None)
            except queue.Empty:
                line = None
            with self._writing:
                self._head = line
                self._write_waiting(float("inf"))
        self._drain(self._deadline)

    def _drain(self, deadline: float) -> None:
        """Write everything that waits, until the deadline; what is left then is lost."""
        if not self._writing.acquire(timeout=max(0.0, deadline - time.monotonic())):
            return  # the thread is stuck in its disk
        try:
            # If a signal handler has interrupted this thread's writing, that will take the handler's line along.
            if not self._in_write:
                self._write_waiting(deadline)
        finally:
            self._writing.release()

    def _write_waiting(self, deadline: float) -> None:
        """Write the line that was taken and all that wait; the caller holds the lock of the writers."""
        self._in_write = True
        try:
            while True:
                if self._head is None:
                    self._head = self._next()
                if self._head is None:
                    break
                waiting = self._head
                kept = self._write(waiting.line, deadline)
                self._head = None
                self._done_count += 1
                self._done_bytes += len(waiting.line)
                if kept:
                    self._written += 1
                else:
                    self._drop(waiting)
            self._tell_dropped(deadline)
        finally:
            self._in_write = False

    def _next(self) -> _Waiting | None:
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return None
            if line is not None:  # None only wakes the thread up
                return line

    def _write(self, line: bytes, deadline: float) -> bool:
        """Write a line, again and again while the disk refuses; False when there is no more time."""
        while True:
            try:
                make_log_directory(self._file.path.parent)
                self._file.write(line)
            except Exception as error:  # whatever it is, the thread goes on
                if not self._failing:
                    reason = getattr(error, "strerror", None) or type(error).__name__
                    _say(f"cannot write {self._file.path}: {reason}; lines wait")
                self._failing = True
                if time.monotonic() >= min(deadline, self._deadline):
                    return False
                self._pause()
            else:
                self._failing = False
                return True

    def _pause(self) -> None:
        if self._ending.is_set():
            time.sleep(_POLL_SECONDS)
        else:
            self._ending.wait(_RETRY_SECONDS)

    def _tell_dropped(self, deadline: float) -> None:
        dropped = self._dropped
        now = time.monotonic()
        if dropped == self._told or (now < self._told_at + _TOLD_SECONDS and not self._ending.is_set()):
            return
        facts: dict[str, Any] = {"event_type": DROPPED_EVENT_TYPE, "dropped": dropped - self._told}
        attributes = {"name": "system.log_management", "levelno": logging.WARNING, "levelname": "WARNING"}
        text = "Events were dropped: the queue of the asynchronous log file was full, or its disk refused"
        self._told_at = now
        try:
            line = self._line(logging.makeLogRecord({**attributes, "msg": text, **facts}))
        except Exception:  # a formatter of somebody's own
            self._told = dropped
            return
        if not self._failing and self._write(line, deadline):
            self._told = dropped
        elif self._ending.is_set():
            _say(f"{dropped - self._told} events were not written to {self._file.path}")


def _say(text: str) -> None:
    """Write to standard error, as :meth:`logging.Handler.handleError` does: the log itself is what does not work."""
    if logging.raiseExceptions and sys.stderr:
        with contextlib.suppress(Exception):
            sys.stderr.write(f"logbastion: {safe_str(text)}\n")
