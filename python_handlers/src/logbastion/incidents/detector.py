"""``IncidentDetector``: makes one incident of many lines (guide, "Intelligent Log Analysis")."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from logbastion.correlation import get_correlation_id
from logbastion.incidents.keeper import Happening, Keeper
from logbastion.incidents.matching import Match, Matcher
from logbastion.incidents.patterns import IncidentPattern, load_patterns
from logbastion.incidents.reports import IncidentReport, Lines, Phase
from logbastion.incidents.responses.runner import TIMEOUT, Responder, in_response, unwatched
from logbastion.incidents.stores.base import IncidentStore
from logbastion.incidents.telling import LOGGER, Told, tell
from logbastion.metrics import count_incident, prepare_incidents
from logbastion.names import DEFAULT_ENVIRONMENT
from logbastion.processes import at_end_of_child, notice_fork, renew_after_fork

_SWEEP_SECONDS: Final = 1.0
_IDLE_SECONDS: Final = 5.0
"""Between two looks into a shared store in which this process knows of nothing that lasts."""
_REST_SECONDS: Final = 0.05
"""After a step on a shared store: lines that come meanwhile are one step."""
_MARGIN_SECONDS: Final = 2.0
"""Beside the time of two rounds of responses, until what a worker has claimed is taken for left."""
_TRUSTED_ADDRESSES: Final = ("accounts.auth", "security.events")
"""Loggers whose ``source_ip`` this package has written, from :func:`logbastion.get_client_ip` and no bare header."""
_detectors: weakref.WeakSet[IncidentDetector] = weakref.WeakSet()


class IncidentDetector:
    """Opens an incident with the line that matches, counts those that follow, resolves it after a quiet time.

    With a shared store there is one incident for all workers and hosts of a service. The logging call then only counts
    the line in memory; a thread does the rest, and looks every few seconds for what dead workers have left. Without one
    each process has its own incidents; a thread is there only while something lasts. A forked child begins anew.
    The events ``incident_opened`` and ``incident_resolved`` go to the logger ``incidents``.

    Args:
        patterns: the table; the shipped one when nothing is given.
        responder: runs the responses; without it there are none.
        service_name: of the events and alerts.
        environment: ``service.environment``; services of one name in two environments have incidents of their own.
        store: shared by processes; None is the memory of this one.
        clock: of the memory, seconds since 1970.
        threaded: False in a program that calls :meth:`sweep` by itself.

    Raises:
        PatternError: an entry of the table cannot work.

    """

    def __init__(
        self,
        patterns: Iterable[IncidentPattern] | None = None,
        *,
        responder: Responder | None = None,
        service_name: str | None = None,
        environment: str = DEFAULT_ENVIRONMENT,
        store: IncidentStore | None = None,
        clock: Callable[[], float] = time.time,
        threaded: bool = True,
    ) -> None:
        self.matcher = Matcher(load_patterns() if patterns is None else patterns)
        self._responder, self._threaded = responder, threaded
        self._shared = store if store is not None and store.shared else None
        self._keeper = Keeper(
            self.matcher.patterns,
            store=self._shared,
            service=service_name or os.environ.get("LOGBASTION_SERVICE_NAME") or "django",
            environment=environment,
            host=socket.gethostname(),
            lease=2 * (responder.timeout if responder is not None else TIMEOUT) + _MARGIN_SECONDS,
            clock=clock,
        )
        self._closed = False
        self._begin()
        prepare_incidents([one.id for one in self.matcher.patterns], responder.names if responder is not None else ())
        _detectors.add(self)

    @property
    def store(self) -> IncidentStore | None:
        """The store that processes share; None where each has its own incidents."""
        return self._shared

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._pending: dict[str, Lines] = {}
        self._finished: deque[tuple[str, Phase, bool]] = deque()
        self._told = Told()
        self._thread: threading.Thread | None = None
        self._expects_end = False
        self._wake, self._ended = threading.Event(), threading.Event()
        self._keeper.renew()
        if self._responder is not None:
            self._responder.forget(self._keeper.permit)
        if self._shared is not None and not self._closed:
            self._look_after()

    def analyze_log_entry(self, log_record: logging.LogRecord) -> None:
        """Look at a record. Never raises; its own events, and what a response logs, are not looked at."""
        if log_record.name == LOGGER or log_record.name.startswith(f"{LOGGER}.") or in_response():
            return
        try:
            matches = self.matcher.matches(log_record)
            if matches:
                notice_fork()
                for match in matches:
                    self._note(match, log_record)
        except Exception:  # a hostile argument or a broken handler: the logging call goes on
            count_incident("not_judged", "")

    def lasting(self) -> list[IncidentReport]:
        """Return the incidents that are open now: those of all workers where they share a store that answers."""
        with unwatched():
            return self._keeper.lasting()

    def _note(self, match: Match, record: logging.LogRecord) -> None:
        for_all = self._shared is not None and self._threaded and not self._closed
        pattern, now = match.pattern, time.monotonic()
        trusted = getattr(record, "source_ip", None) if record.name in _TRUSTED_ADDRESSES else None
        correlation_id = getattr(record, "correlation_id", None) or get_correlation_id()
        if not self._expects_end:
            self._expects_end = True
            at_end_of_child(self, self.close)
        with self._lock:
            self._look_after()
            for_all = for_all and self._thread is not None
            lines = self._pending.get(pattern.id) if for_all else None
            if lines is None:
                lines = Lines(pattern, now, now, trigger=_trigger(record, match, correlation_id))
            lines.add(now, correlation_id, trusted if isinstance(trusted, str) else None)
            if for_all:
                self._pending[pattern.id] = lines
        if for_all:
            self._wake.set()
        elif self._threaded and self._shared is not None:  # the process ends: nobody else hands it over
            self._tell(self._keeper.note_alone(lines))
        else:
            self._tell(self._stepped(lambda: self._keeper.note([lines])))

    def sweep(self) -> bool:
        """Tell of what is due: ends, what goes on, what others have left; returns whether something lasts."""
        self._confirm()
        self._tell(self._stepped(self._keeper.look))
        busy = self._responder.expire() if self._responder is not None else False
        self._confirm()
        return self._keeper.lasts() or busy

    def close(self, timeout: float = 1.0) -> None:
        """Tell what is left, within ``timeout`` seconds, and end what no other worker has."""
        notice_fork()
        if self._closed:
            return
        deadline = time.monotonic() + timeout
        if self._responder is not None:
            self._responder.wait(timeout / 2)
        self._closed = True
        thread = self._thread
        if self._shared is not None and thread is not None and thread.is_alive():
            self._wake.set()
            self._ended.wait(max(0.0, deadline - time.monotonic()))
        elif self._shared is None or not self._threaded:
            self._leave()

    def _leave(self) -> None:
        self._hand_over()
        self._confirm()
        self._tell(self._stepped(self._keeper.leave))
        self._confirm()

    def _hand_over(self) -> bool:
        """Count what the logging calls have left; returns whether there was something."""
        with self._lock:
            batches, self._pending = list(self._pending.values()), {}
        if batches:
            self._tell(self._stepped(lambda: self._keeper.note(batches)))
        return bool(batches)

    def _stepped(self, step: Callable[[], list[Happening]]) -> list[Happening]:
        if self._shared is None:
            return step()
        with unwatched():  # what the store's own libraries log would feed on itself
            return step()

    def _tell(self, happenings: Iterable[Happening]) -> None:
        for one in happenings:
            tell(one, self._responder, self._told, self._finish)

    def _finish(self, incident: str, phase: Phase, shared: bool) -> None:
        self._finished.append((incident, phase, shared))
        self._wake.set()

    def _confirm(self) -> None:
        while self._finished:
            incident, phase, shared = self._finished.popleft()
            with unwatched():
                self._keeper.done(incident, phase, shared=shared)

    def _look_after(self) -> None:
        if not self._threaded or self._closed:
            return
        if self._thread is not None and self._thread.is_alive():
            return
        run = self._run if self._shared is None else self._run_for_all
        thread = threading.Thread(target=run, name="logbastion-incidents", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down: nobody is left to resolve
            return
        self._thread = thread

    def _run(self) -> None:
        while True:
            time.sleep(_SWEEP_SECONDS)
            try:
                if self.sweep():
                    continue
            except Exception:  # a handler that raises: the thread goes on
                count_incident("not_judged", "")
            with self._lock:
                if self._thread is not threading.current_thread():
                    return
                if not self._keeper.lasts():
                    self._thread = None
                    return

    def _run_for_all(self) -> None:
        ended, look_at = self._ended, time.monotonic() + _IDLE_SECONDS
        with unwatched():
            while not self._closed:
                self._wake.wait(max(0.0, look_at - time.monotonic()))
                self._wake.clear()
                try:
                    if self._hand_over():
                        look_at = min(look_at, time.monotonic() + _SWEEP_SECONDS)
                    self._confirm()
                    if time.monotonic() >= look_at:
                        look_at = time.monotonic() + (_SWEEP_SECONDS if self.sweep() else _IDLE_SECONDS)
                except Exception:  # a handler that raises: the thread goes on
                    count_incident("not_judged", "")
                if not self._closed:
                    time.sleep(_REST_SECONDS)
            try:
                self._leave()
            finally:
                ended.set()


def _trigger(record: logging.LogRecord, match: Match, correlation_id: object) -> dict[str, Any]:
    return {
        "level": record.levelname,
        "logger": record.name,
        "message": record.getMessage(),
        "correlation_id": correlation_id if isinstance(correlation_id, str) else None,
        "pattern": match.regex,
    }


def _at_exit() -> None:
    """Before the handlers of logging are closed, which began to wait for that earlier."""
    for detector in list(_detectors):
        detector.close()


renew_after_fork(_detectors, IncidentDetector._begin)
atexit.register(_at_exit)
