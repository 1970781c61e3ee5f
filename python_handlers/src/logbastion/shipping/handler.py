"""The handler that puts events on a queue, and the thread that sends them."""

from __future__ import annotations

import logging
import multiprocessing.process
import multiprocessing.util
import os
import queue
import threading
import time
import weakref
from typing import Any, Final

from logbastion.formatters import EventFormatter
from logbastion.shipping.status import Outage, ShippingStatus
from logbastion.shipping.transport import Backoff, Transport, TransportError

_BATCH_LINES: Final = 500
_BATCH_BYTES: Final = 256 * 1024
_IDLE_SECONDS: Final = 0.5

_handlers: weakref.WeakSet[ShippingHandler] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for handler in list(_handlers):
        handler._reset()  # the module's own class


os.register_at_fork(after_in_child=_after_fork_in_child)


class ShippingHandler(logging.Handler):
    """Formats in the caller, queues, and sends from one daemon thread per process.

    A logging call never touches the network, never waits and never raises. The queue is bounded: when it is full, new
    events are dropped and counted, and an event on ``system.log_management`` tells how many, once sending goes on.
    What is queued in memory is lost when the process is killed; the files of
    :class:`~logbastion.files.StreamFileHandler` still have it.

    Threads and forks: the thread starts with the first event of a process. A child of ``fork`` starts its own and
    leaves the parent's queue and connection to the parent. At exit (``logging.shutdown``) the queue is sent for at most
    ``exit_timeout`` seconds. A child that ends through ``os._exit`` has to call :meth:`flush` first;
    ``multiprocessing`` children are taken care of.

    Args:
        transport: where to; see :mod:`logbastion.shipping.tcp`.
        capacity: how many events the queue holds at most.
        capacity_bytes: how many bytes of events it holds at most.
        exit_timeout: seconds.
        status: counts; by default its own, with Prometheus counters.

    """

    def __init__(
        self,
        transport: Transport,
        *,
        capacity: int = 20_000,
        capacity_bytes: int = 16 * 1024 * 1024,
        exit_timeout: float = 3.0,
        status: ShippingStatus | None = None,
    ) -> None:
        super().__init__()
        if capacity < 1:
            raise ValueError("The queue's capacity must be at least 1.")
        self.transport = transport
        self.status = status or ShippingStatus()
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._exit_timeout = exit_timeout
        self.setFormatter(EventFormatter())
        self._reset()
        _handlers.add(self)

    def _reset(self) -> None:
        """Begin with an empty queue and no thread: at first, and in the child after a fork."""
        # SimpleQueue.put may be interrupted by a signal handler that logs; queue.Queue would deadlock there.
        self._queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._pending: list[bytes] = []
        self._outage = Outage()
        self._no_threads = False
        self._failing = False
        self._size_lock = threading.RLock()
        self._size = 0
        self.status.reset()
        self.transport.forget()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record's line; drop and count it when the queue is full."""
        thread = self._thread
        if thread is not None and threading.get_ident() == thread.ident:
            return  # what the sender's own libraries log would feed on itself
        try:
            formatter = self.formatter
            if isinstance(formatter, EventFormatter):
                line = formatter.format_bytes(record)
            else:
                line = self.format(record).replace("\n", " ").encode("utf-8", "replace") + b"\n"
            if thread is None and self._closing.is_set():
                self.status.dropped("exit")
                return
            if not self._has_room(len(line)):
                self.status.dropped("queue_full")
                self._outage.drop()
                return
            self._queue.put(line)
            self.status.queued()
            if thread is None:
                self._start()
        except Exception:  # logging never stops the application
            self.handleError(record)

    def flush(self) -> None:
        """Wait until everything queued has been handed over, for at most the exit time-out.

        While the receiver is away it returns at once: ``logging.shutdown`` calls it before :meth:`close`, and the end
        of a process should not wait twice.
        """
        deadline = time.monotonic() + self._exit_timeout
        while not self._failing and time.monotonic() < deadline and not self.wait(0.05):
            if self._thread is None:
                return

    def wait(self, timeout: float) -> bool:
        """Wait until everything queued has been handed over, and say whether it has.

        Args:
            timeout: seconds; 0 only asks.

        """
        deadline = time.monotonic() + timeout
        while not self._is_empty():
            if self._thread is None or time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return True

    def close(self) -> None:
        """Send what is queued, within the exit time-out, end the connection, and stop the thread."""
        deadline = time.monotonic() + self._exit_timeout
        self._closing.set()
        self._wake.set()
        thread = self._thread
        if thread is not None and thread.is_alive():
            # The thread may want to log; it never does, so holding this handler's lock here cannot deadlock.
            thread.join(self._exit_timeout)
        elif not self._is_empty():
            self._drain(deadline)  # no thread could be started any more: the interpreter is shutting down
        left = self._queue.qsize() + len(self._pending)
        if left:
            self.status.dropped("exit", left)
        self._thread = None
        super().close()

    def _has_room(self, size: int) -> bool:
        with self._size_lock:
            if self._queue.qsize() >= self._capacity or self._size + size > self._capacity_bytes:
                return False
            self._size += size
            return True

    def _is_empty(self) -> bool:
        return self._queue.empty() and not self._pending

    def _start(self) -> None:
        if self._no_threads or not self._start_lock.acquire(blocking=False):
            return  # another thread, or the code that a signal has interrupted, is at it
        try:
            if self._thread is not None or self._closing.is_set():
                return
            if multiprocessing.process.parent_process() is not None:
                # Such a child ends through os._exit, without atexit, but runs these.
                multiprocessing.util.Finalize(self, self.close, exitpriority=-100)
            thread = threading.Thread(target=self._run, name="logbastion-shipping", daemon=True)
            self._thread = thread
            thread.start()
        except RuntimeError:
            self._thread = None
            self._no_threads = True  # the interpreter is shutting down; close() sends what is queued
        finally:
            self._start_lock.release()

    def _run(self) -> None:
        backoff = Backoff()
        while not (self._closing.is_set() and self._is_empty()):
            try:
                self._step()
                self._failing = False
                backoff.reset()
            except Exception as error:  # the thread must outlive whatever a transport does
                if not isinstance(error, TransportError):
                    self.status.failed(f"{type(error).__name__}: {error}")
                else:
                    self.status.failed(str(error))
                self._failing = True
                self._outage.begin(self.status.last_error or "")
                self._wake.clear()
                if self._closing.is_set():
                    break  # one attempt after the end was announced, no more
                self._wake.wait(backoff.next())
        self.transport.close(self._exit_timeout)

    def _step(self) -> None:
        if not self._pending:
            self._fill()
        if not self._pending:
            self.transport.idle()
            self._tell()
            return
        self.transport.send(self._pending)
        self.status.shipped(len(self._pending))
        self._pending = []
        self._tell()

    def _fill(self) -> None:
        size = 0
        lines: list[bytes] = []
        try:
            line = self._queue.get(timeout=0.01 if self._closing.is_set() else _IDLE_SECONDS)
            while True:
                lines.append(line)
                size += len(line)
                if len(lines) >= _BATCH_LINES or size >= _BATCH_BYTES:
                    break
                line = self._queue.get_nowait()
        except queue.Empty:
            pass
        finally:
            self._pending = lines
            with self._size_lock:
                self._size -= size

    def _tell(self) -> None:
        """Send an event about an outage or about drops, once they are over."""
        facts = self._outage.over(self._queue.qsize() < self._capacity // 2 and self._size < self._capacity_bytes // 2)
        if facts is None:
            return
        record = logging.makeLogRecord(
            {
                "name": "system.log_management",
                "levelno": logging.WARNING,
                "levelname": "WARNING",
                "msg": "Shipping of events goes on after an interruption",
                "event_type": "shipping_resumed",
                **facts,
            }
        )
        # Not by logging: a handler's thread that logs waits for locks that the closing thread may hold.
        line = self.format(record).encode("utf-8", "replace") + b"\n"
        self._pending = [line]
        self.status.queued()

    def _drain(self, deadline: float) -> None:
        while not self._is_empty() and time.monotonic() < deadline:
            try:
                self._step()
            except Exception as error:  # see _run
                self.status.failed(str(error))
                break
        self.transport.close(max(0.1, deadline - time.monotonic()))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.status.as_dict()}>"

    def stats(self) -> dict[str, Any]:
        """Return the counts of this process since its start or fork; see :class:`ShippingStatus`."""
        return {**self.status.as_dict(), "waiting": self._queue.qsize() + len(self._pending)}
