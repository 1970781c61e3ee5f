"""The thread that takes events from the spool to the receiver, and looks after both."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from logbastion.shipping.backoff import Backoff
from logbastion.shipping.dead_letters import DeadLetters
from logbastion.shipping.spool import Batch, Spool
from logbastion.shipping.spool.survey import STATUS_NAME, timestamp_of
from logbastion.shipping.status import DEAD_LETTERS_FAILED, ShippingCounts, ShippingStatus
from logbastion.shipping.transports.base import Promise, Receipt, Transport, TransportError

_BATCH_EVENTS: Final = 1000
_BATCH_BYTES: Final = 640 * 1024
"""More than half a segment, so that no crumb of each is left for a batch of its own."""
_WINDOW_BYTES: Final = 12 * 1024 * 1024
_HOUSEKEEPING_SECONDS: Final = 1.0
_SHORTEST_PAUSE: Final = 0.005
_GATHERING_PAUSE: Final = 0.01
"""After a batch that was not full: few large batches cost less than many small ones, here and at the receiver."""
_BUSY_RATE: Final = 10_000
"""Events logged a second that count as a burst."""
_GIVEN_WAY: Final = 50
"""How many times as long as its last step the thread waits while a burst is logged."""
_FULL_ENOUGH: Final = 0.25
"""Share of a stream's room from which on no burst is let pass."""
_LONGEST_GIVEN_WAY: Final = 1.0
"""Seconds by which a burst that goes on may delay its events."""
_LOOK_SECONDS: Final = 0.05
"""After which it is seen whether the burst still goes on."""
_LONGEST_PAUSE: Final = 0.25
_LONGEST_PAUSE_UNDER_WAY: Final = 0.05
_REFUSALS_TOLD_SECONDS: Final = 60.0

Publish = Callable[[ShippingCounts], object]
Tell = Callable[[int, str, str, dict[str, Any]], None]
"""Level, ``event_type``, message and facts of an event about shipping itself."""


class ShippingWorker:
    """Reads from the spool, hands over to the transport, settles what receipts say, begins again after failures.

    Args:
        spool: read by this worker's thread only.
        transport: used by this worker's thread only.
        status: where it counts.
        tell: logs an event about shipping itself.
        publish: is given the counts about once a second.

    """

    def __init__(
        self, spool: Spool, transport: Transport, status: ShippingStatus, tell: Tell, publish: Publish | None = None
    ) -> None:
        self._spool = spool
        self._transport = transport
        self._status = status
        self._tell = tell
        self._publish = publish
        # A receiver that says nothing of single events refuses none: they can be forgotten as soon as they are sent,
        # unless the transport itself has refused one, as UDP does what is too large.
        self._never_refuses = transport.promise in (Promise.NOTHING, Promise.SENT)
        self._dead_letters = None if spool.root is None else DeadLetters(spool.root)
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._deadline = float("inf")
        self._abandoned = False
        self._under_way: deque[Batch] = deque()
        self._window = 0
        self._to_resend = 0
        self._backoff = Backoff()
        self._succeeded = False
        self._house_kept_at = float("-inf")
        self._looked_at, self._appended = time.monotonic(), 0
        self._told_error: str | None = None
        self._told_damaged = 0
        self._told_refused = 0
        self._refusals_told_at = float("-inf")
        self._started = time.time()
        self.failing = False
        """Whether the last attempt to send failed."""
        self.sending = False
        """Whether the transport's code is running right now."""
        self.ident: int | None = None

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: no thread can be started any more, because the interpreter is shutting down.

        """
        thread = threading.Thread(target=self.run, name="logbastion-shipping", daemon=True)
        thread.start()
        self._thread = thread
        self.ident = thread.ident

    def is_sending_thread(self) -> bool:
        """Say whether it is the transport that calls."""
        return self.sending and threading.get_ident() == self.ident

    def stop(self, timeout: float) -> bool:
        """Hand over what waits and end, within ``timeout`` seconds; False when that was not enough.

        Without a thread (see :meth:`start`) it is done by the caller.
        """
        # A little is left for the thread to end in.
        self._deadline = time.monotonic() + 0.9 * timeout
        self._closing.set()
        if self._thread is None:
            self.run()
            return True
        self._thread.join(timeout)
        self._abandoned = self._thread.is_alive()
        return not self._abandoned

    def run(self) -> None:
        """Work until the end is announced and nothing waits, or there is no time left."""
        self.ident = self._spool.reading_thread = threading.get_ident()
        pause = _SHORTEST_PAUSE
        while not self._abandoned and time.monotonic() < self._deadline:
            began = time.monotonic()
            try:
                batch = self._step()
            except Exception as error:  # the thread must outlive whatever a transport does
                if self._abandoned or not self._recover(error):
                    break
                continue
            if batch is not None:
                pause = _SHORTEST_PAUSE
                self._give_way(batch, began)
                continue
            if self._closing.is_set():
                break
            self._closing.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_UNDER_WAY if self._under_way else _LONGEST_PAUSE)
        if not self._abandoned:
            self._finish()

    def _give_way(self, batch: Batch, began: float) -> None:
        """Leave the interpreter to the threads that log, after a step that began then.

        While they log without a break, each system call of this thread has to win the interpreter back from them, and
        each of their appends is slowed by its waiting. So a burst is let pass, as long as little waits: afterwards the
        same events take a quarter of the time.
        """
        now = time.monotonic()
        if self._is_burst(now):
            until = now + min(_GIVEN_WAY * (now - began), _LONGEST_GIVEN_WAY)
            while (left := until - time.monotonic()) > 0:
                if self._closing.wait(min(left, _LOOK_SECONDS)) or not self._is_burst(time.monotonic()):
                    break
        elif batch.count < _BATCH_EVENTS // 4 and not batch.segment.closed:  # behind a closed one is more already
            self._closing.wait(_GATHERING_PAUSE)

    def _is_burst(self, now: float) -> bool:
        """Say whether since the last question more was logged than is shipped beside it, and there is room for it."""
        appended = self._spool.appended
        seconds, events = now - self._looked_at, appended - self._appended
        self._looked_at, self._appended = now, appended
        return events > _BUSY_RATE * seconds and self._spool.fullness < _FULL_ENOUGH

    def _step(self) -> Batch | None:
        """Hand over a batch and return it, or look after the connection."""
        self._keep_house()
        batch = self._spool.read(_BATCH_EVENTS, _BATCH_BYTES) if self._window < _WINDOW_BYTES else None
        if batch is None:
            self._spool.adopt_next()
            receipt = self._call(self._transport.poll)
        else:
            self._under_way.append(batch)
            self._window += batch.size
            receipt = self._call(lambda: self._transport.send(batch.events))
            if self._never_refuses and not receipt.refused:
                batch.release()
            self._status.shipped += batch.count
            again = min(self._to_resend, batch.count)
            self._to_resend -= again
            self._status.resent += again
        if self._abandoned:
            return None
        if batch is not None or receipt.settled:
            self.failing = False
            self._succeeded = True
            self._backoff.reset()
        self._apply(receipt)
        return batch

    def _call(self, method: Callable[[], Receipt]) -> Receipt:
        self.sending = True
        try:
            return method()
        finally:
            self.sending = False

    def _apply(self, receipt: Receipt) -> None:
        """Settle what a receipt says; refused events are written to the dead letters first."""
        if receipt.refused:
            self._keep_refused(receipt)
        count = receipt.settled
        while count > 0 and self._under_way:
            batch = self._under_way[0]
            step = min(count, batch.unsettled)
            self._spool.settle(batch, step)
            count -= step
            if not batch.unsettled:
                self._under_way.popleft()
                self._window -= batch.size
        self._status.acknowledged += receipt.settled - len(receipt.refused)

    def _keep_refused(self, receipt: Receipt) -> None:
        reasons = {refusal.index: refusal.reason for refusal in receipt.refused}
        refused: list[tuple[str, str, bytes]] = []
        first = 0
        for batch in self._under_way:
            for event in batch.events[batch.settled :]:
                if first in reasons:
                    refused.append((batch.stream, reasons[first], event))
                first += 1
            if first >= receipt.settled:
                break
        self._status.refused += len(refused)
        if self._dead_letters is None:
            return
        try:
            self._dead_letters.keep(refused)
        except OSError as error:
            self._status.last_error = f"refused events could not be kept: {error}"
            for stream, _, _ in refused:
                self._status.dropped(stream, DEAD_LETTERS_FAILED, 1)

    def _recover(self, error: Exception) -> bool:
        """Begin again after a pause, which the end of the process cuts short; False when that had begun before."""
        last = self._closing.is_set()
        retry_after = 0.0
        if isinstance(error, TransportError):
            self._status.failed(str(error))
            retry_after = error.retry_after or 0.0
            with contextlib.suppress(ValueError):
                self._apply(error.receipt)
        else:
            self._status.failed(f"{type(error).__name__}: {error}")
            self._transport.forget()  # whatever it believes to be under way
        self.failing, self._succeeded = True, False
        # What this call was given may never have left; what earlier calls were given has.
        earlier = list(self._under_way)[:-1]
        self._to_resend = max(self._to_resend, sum(batch.unsettled for batch in earlier))
        self._spool.rewind()
        self._under_way.clear()
        self._window = 0
        until = time.monotonic() + max(self._backoff.next(), retry_after)
        while not self._closing.is_set() and (left := until - time.monotonic()) > 0:
            self._keep_house()
            self._closing.wait(min(left, _HOUSEKEEPING_SECONDS))
        return not last

    def _finish(self) -> None:
        try:
            self._apply(self._call(lambda: self._transport.finish(max(0.05, self._deadline - time.monotonic()))))
        except Exception as error:  # the last step of a process is no place to raise
            self._status.last_error = f"{type(error).__name__}: {error}"
        if not self._abandoned:
            self._show()

    def _keep_house(self) -> None:
        """Do once a second what has nothing to do with sending."""
        now = time.monotonic()
        if now < self._house_kept_at + _HOUSEKEEPING_SECONDS:
            return
        self._house_kept_at = now
        try:
            self._spool.maintain()
            self._report()
            self._show()
        except Exception as error:  # none of it is a reason to stop sending
            self._status.last_error = f"{type(error).__name__}: {error}"

    def _report(self) -> None:
        """Log what people should hear of, each once."""
        error, damaged, refused = self._spool.error, self._spool.damaged, self._status.refused
        if error != self._told_error:
            if error is None:
                self._tell(30, "spool_recovered", "Events are kept on the disk again", {})
            elif self._told_error is None:
                text = "Events cannot be kept on the disk as configured; they may be lost with the process"
                self._tell(40, "spool_unavailable", text, {"last_error": error})
            self._told_error = error
        if damaged > self._told_damaged:
            facts = {"damaged_pieces": damaged - self._told_damaged}
            self._tell(
                40, "spool_damaged", "Spool files were damaged; see the directory quarantine of the spool", facts
            )
            self._told_damaged = damaged
        if refused > self._told_refused and time.monotonic() >= self._refusals_told_at + _REFUSALS_TOLD_SECONDS:
            # Not the reasons: a receiver may quote the event in them.
            facts = {"refused_events": refused - self._told_refused}
            self._tell(40, "events_refused", "The receiver has refused events; see the dead letters", facts)
            self._told_refused, self._refusals_told_at = refused, time.monotonic()
        if self._succeeded:
            over = self._status.outage.over()
            if over is not None:
                self._tell(30, "shipping_resumed", "Shipping of events goes on after an interruption", over)

    def _show(self) -> None:
        self._status.oldest_seconds = _age(self._spool.oldest())
        counts = self._status.counts(self._spool)
        if self._publish is not None:
            try:
                self._publish(counts)
            except Exception as error:  # metrics must not cost an event
                self._status.last_error = f"counts could not be published: {error}"
        home = self._spool.home
        if home is not None:
            write_status(home, self._state(counts))

    def _state(self, counts: ShippingCounts) -> dict[str, Any]:
        lanes = {
            stream: {"error": lane.error or lane.sync_error, "memory_bytes": lane.memory_bytes}
            for stream, lane in self._spool.lanes.items()
        }
        return {
            "version": 1,
            "pid": os.getpid(),
            "started": self._started,
            "updated": time.time(),
            "state": "closing" if self._closing.is_set() else "failing" if self.failing else "shipping",
            "promise": self._transport.promise.value,
            "under_way": sum(batch.unsettled for batch in self._under_way),
            "lanes": lanes,
            **counts.as_dict(),
        }


def write_status(home: str, state: dict[str, Any]) -> None:
    """Write a process's status file in one step, so that a reader never sees half of it. A full disk is no error."""
    path = os.path.join(home, STATUS_NAME)
    with contextlib.suppress(OSError):
        descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, json.dumps(state).encode())
        finally:
            os.close(descriptor)
        with _kept(path):
            os.replace(f"{path}.new", path)


@contextlib.contextmanager
def _kept(path: str) -> Iterator[None]:
    """Keep the content of a file, if there is one, although another file takes its name meanwhile.

    To take blocks back may keep a disk busy for tens of milliseconds. The rename would do it with the directory locked,
    and a logging call that begins a segment in there would wait; the last close does it with nothing locked.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.close(descriptor)


def _age(events: list[bytes]) -> float:
    moments = [moment for event in events if (moment := timestamp_of(event)) is not None]
    return max(0.0, time.time() - min(moments)) if moments else 0.0
