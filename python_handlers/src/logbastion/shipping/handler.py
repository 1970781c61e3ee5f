"""The handler that nobody has to think about: it keeps events on the disk, and a thread of its own ships them."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Mapping
from typing import Any

from logbastion.formatters import EventFormatter
from logbastion.gate import Gate
from logbastion.jsonsafe import safe_str
from logbastion.processes import at_end_of_child, notice_fork, renew_after_fork
from logbastion.shipping.spool import Durability, LaneLimit, Spool
from logbastion.shipping.spool.spool import DEFAULT_MEMORY_BYTES
from logbastion.shipping.spool.writer import AT_EXIT
from logbastion.shipping.status import ShippingCounts, ShippingStatus
from logbastion.shipping.transports.base import Transport
from logbastion.shipping.worker import Publish, ShippingWorker
from logbastion.streams import AUDIT, stream_for
from logbastion.unlocked import UnlockedHandler

_MAX_KNOWN = 1024
_handlers: weakref.WeakSet[ShippingHandler] = weakref.WeakSet()
# After the spool's own, which was given when that was imported: it has forgotten the parent's files by then.
renew_after_fork(_handlers, lambda handler: handler._after_fork())  # the module's own class


class ShippingHandler(UnlockedHandler):
    """Formats an event, passes it through the gate, appends it to the spool, and returns.

    A logging call never touches the network and never raises an ``Exception``. Once it has returned, the event survives
    the end of the process, ``kill -9`` too; it is delivered by this process, or after its end by another one with the
    same spool. Every event that is given up is counted, and an event on ``system.log_management`` tells how many, once
    that is over. It may log from signal handlers, finalisers and exit handlers.

    Threads and forks: one daemon thread per process, started by its first event. A child of ``fork`` has a thread and a
    directory of its own and leaves what the parent has accepted to the parent.

    Args:
        transport: where to; see :mod:`logbastion.shipping.transports`. It belongs to this handler alone.
        spool_directory: of this application, for all its processes; made with mode 0750. None keeps events in memory
            only: they are lost with the process.
        durability: ``process``, or ``host`` for events that have to survive a loss of power; see :class:`Spool`.
        limits: by stream, how much may wait and what happens beyond; see :data:`DEFAULT_LIMITS`.
        memory_bytes: how much may wait in memory in all, where there is no directory or the disk refuses.
        exit_timeout: seconds that the end of the process may take for what still waits. The rest stays in the spool.
        gate: see :mod:`logbastion.gate`; of the formatter that the handler has when it is given no other.
        publish: is given the counts about once a second, for example
            :class:`logbastion.shipping_metrics.ShippingMetrics`.

    Raises:
        ValueError: an argument cannot work.

    """

    def __init__(
        self,
        transport: Transport,
        *,
        spool_directory: str | os.PathLike[str] | None = None,
        durability: Durability = "process",
        limits: Mapping[str, LaneLimit] | None = None,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        exit_timeout: float = 1.0,
        gate: Gate | None = None,
        publish: Publish | None = None,
    ) -> None:
        super().__init__()
        if not exit_timeout >= 0:
            raise ValueError("The end of the process cannot take less than no time: exit_timeout must be 0 or more.")
        self.transport = transport
        self._exit_timeout = exit_timeout
        self._publish = publish
        self._spool = Spool(
            spool_directory,
            durability=durability,
            limits=limits,
            memory_bytes=memory_bytes,
            dropped=self._count_dropped,
        )
        self._gate: Gate | None = None
        self.setFormatter(EventFormatter() if gate is None else EventFormatter(gate=gate))
        self._gate = gate
        self._begin()
        _handlers.add(self)

    def _begin(self) -> None:
        self._status = ShippingStatus()
        self._worker: ShippingWorker | None = None
        self._starting: ShippingWorker | None = None
        self._start_lock = threading.Lock()
        self._closed = False
        self._no_threads = False

    def _after_fork(self) -> None:
        self._begin()
        with contextlib.suppress(Exception):  # of somebody's own transport
            self.transport.forget()

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - logging's name
        """Use another formatter, which has to return one JSON object.

        Raises:
            ValueError: the handler was given a gate, and this formatter would not ask it.

        """
        if self._has_gate_besides(fmt):
            raise ValueError("This handler was given a gate, which another formatter would pass by: give it the gate.")
        super().setFormatter(fmt)

    def _has_gate_besides(self, fmt: logging.Formatter | None) -> bool:
        return getattr(self, "_gate", None) is not None and fmt is not self.formatter

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record's event."""
        notice_fork()
        worker = self._worker
        known = worker or self._starting  # its thread may be at work before the one that starts it goes on
        if known is not None and known.sending and known.is_sending_thread():
            return  # what the transport's own libraries log would feed on itself
        try:
            try:
                stream = _streams_known[record.name, record.levelno]
            except Exception:  # not yet known, or no text
                stream = _stream_of(record)
            line = self._line(record)
            if self._closed and self._spool.root is None:
                self._count_dropped(stream, AT_EXIT, 1)
                return
            self._spool.append(stream, line)
            if worker is None and not self._closed:
                self._start()
        except Exception:  # logging never stops the application
            self.handleError(record)

    def flush(self) -> None:
        """Wait until events that are in memory only are handed over, for at most the exit time-out.

        While the receiver is away it returns at once, too: ``logging.shutdown`` calls this before :meth:`close`, and
        the end of a process should not wait twice.
        """
        notice_fork()
        deadline = time.monotonic() + self._exit_timeout
        while self._spool.memory_bytes and not self._spool.is_read() and time.monotonic() < deadline:
            worker = self._worker
            if worker is None or worker.failing:
                return
            time.sleep(0.005)

    def wait(self, timeout: float) -> bool:
        """Wait until the receiver has everything, as far as the transport's promise goes, and say whether it has.

        Args:
            timeout: seconds; 0 only asks.

        """
        notice_fork()
        deadline = time.monotonic() + timeout
        while not self._spool.is_empty():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return True

    def close(self) -> None:
        """Ship what waits, within the exit time-out, and end the connection. What is left stays in the spool."""
        notice_fork()
        self._closed = True
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop(self._exit_timeout)
        elif self._no_threads and self._spool.memory_bytes:
            # No thread could be started any more: the interpreter is shutting down. Memory ends with it.
            self._new_worker().stop(self._exit_timeout)
        # Also while the worker is stuck in its transport: it touches the spool no more once it was given up.
        self._spool.close()
        super().close()

    def counts(self) -> ShippingCounts:
        """Return the counts of this process since its start or fork, and how shipping stands."""
        notice_fork()
        return self._status.counts(self._spool)

    def stats(self) -> dict[str, Any]:
        """Return :meth:`counts` as a dictionary of plain values."""
        return self.counts().as_dict()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.stats()}>"

    def _line(self, record: logging.LogRecord) -> bytes:
        formatter = self.formatter
        if isinstance(formatter, EventFormatter):
            return formatter.format_json(record)
        return self.format(record).encode("utf-8", "replace")

    def _count_dropped(self, stream: str, reason: str, count: int) -> None:
        self._status.dropped(stream, reason, count)

    def _new_worker(self) -> ShippingWorker:
        return ShippingWorker(self._spool, self.transport, self._status, self._tell, self._publish)

    def _start(self) -> None:
        if self._no_threads or not self._start_lock.acquire(blocking=False):
            return  # another thread, or the code that a signal has interrupted, is at it
        try:
            if self._worker is not None or self._closed:
                return
            at_end_of_child(self, self.close)
            self._starting = worker = self._new_worker()
            worker.start()
            self._worker = worker
        except RuntimeError:
            self._no_threads = True  # the interpreter is shutting down: close() does what can be done
        finally:
            self._start_lock.release()

    def _tell(self, level: int, event_type: str, message: str, facts: dict[str, Any]) -> None:
        """Keep an event about shipping itself.

        Not by logging: the worker's thread would wait for locks that the closing thread may hold.
        """
        attributes = {"name": "system.log_management", "levelno": level, "levelname": logging.getLevelName(level)}
        record = logging.makeLogRecord({**attributes, "msg": message, "event_type": event_type, **facts})
        self._spool.append(AUDIT, self._line(record))


_streams_known: dict[tuple[object, object], str] = {}


def _stream_of(record: logging.LogRecord) -> str:
    name, level = record.name, record.levelno
    if type(name) is str and type(level) is int:
        stream = stream_for(name, level)
        if len(_streams_known) >= _MAX_KNOWN:
            _streams_known.clear()
        _streams_known[name, level] = stream
        return stream
    # A record that somebody made by hand. The formatter judges it in the same way.
    return stream_for(safe_str(name), level if isinstance(level, int) else logging.INFO)
