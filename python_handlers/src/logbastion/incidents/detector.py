"""``IncidentDetector``: makes one incident of many lines (guide, "Intelligent Log Analysis")."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Final

from logbastion.correlation import get_correlation_id
from logbastion.incidents.matching import Match, Matcher
from logbastion.incidents.patterns import IncidentPattern, load_patterns
from logbastion.incidents.reports import IncidentReport, OpenIncident, Phase, incident_id
from logbastion.incidents.responses.runner import Responder, in_response
from logbastion.metrics import count_incident, prepare_incidents
from logbastion.processes import notice_fork, renew_after_fork

LOGGER: Final = "incidents"
_SWEEP_SECONDS: Final = 1.0
_TELL_AGAIN: Final = 3
"""An incident that goes on is told again after this part of its quiet time."""
_LEVELS: Final = {"LOW": 30, "MEDIUM": 30, "HIGH": 50, "CRITICAL": 50}
_TRUSTED_ADDRESSES: Final = ("accounts.auth", "security.events")
"""Loggers whose ``source_ip`` this package has written, from :func:`logbastion.get_client_ip` and no bare header."""
_detectors: weakref.WeakSet[IncidentDetector] = weakref.WeakSet()


class IncidentDetector:
    """Opens an incident with the line that matches, counts those that follow, resolves it after a quiet time.

    Each process has its own incidents; their ids are equal, see :func:`logbastion.incidents.reports.incident_id`. The
    events ``incident_opened`` and ``incident_resolved`` go to the logger ``incidents``. A thread resolves; it is there
    only while something lasts. A forked child begins with nothing. An incident that lasts when the process ends is not
    resolved by it.

    Args:
        patterns: the table; the shipped one when nothing is given.
        responder: runs the responses; without it there are none.
        service_name: of the events and alerts.
        clock: seconds since 1970.
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
        clock: Callable[[], float] = time.time,
        threaded: bool = True,
    ) -> None:
        self.matcher = Matcher(load_patterns() if patterns is None else patterns)
        self._responder = responder
        self._service = service_name or os.environ.get("LOGBASTION_SERVICE_NAME") or "django"
        self._host = socket.gethostname()
        self._clock, self._threaded = clock, threaded
        self._begin()
        prepare_incidents([one.id for one in self.matcher.patterns], responder.names if responder is not None else ())
        _detectors.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._lasting: dict[str, OpenIncident] = {}
        self._thread: threading.Thread | None = None
        if self._responder is not None:
            self._responder.forget()

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
        """Return the incidents of this process that are open now."""
        with self._lock:
            return [self._report(one) for one in self._lasting.values() if one.id]

    def _note(self, match: Match, record: logging.LogRecord) -> None:
        pattern, now = match.pattern, self._clock()
        trusted = getattr(record, "source_ip", None) if record.name in _TRUSTED_ADDRESSES else None
        over = None
        with self._lock:
            known = self._lasting.get(pattern.id)
            if known is not None and now - known.last >= pattern.quiet_seconds:
                over, known = known, None
            if known is None:
                known = self._lasting[pattern.id] = OpenIncident(pattern, now, now)
            correlation_id = getattr(record, "correlation_id", None) or get_correlation_id()
            known.add(now, correlation_id, trusted if isinstance(trusted, str) else None)
            opens = not known.id and known.count >= pattern.threshold
            if opens:
                known.id = incident_id(pattern, known.first, self._service, self._host)
                known.told_at, known.told_count = now, known.count
            report = self._report(known)
            self._look_after()
        if over is not None:
            self._end(over)
        if opens:
            self._opened(report, match, record)

    def _opened(self, report: IncidentReport, match: Match, record: logging.LogRecord) -> None:
        count_incident("opened", report.pattern.id)
        trigger = {
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "correlation_id": report.correlation_ids[-1] if report.correlation_ids else None,
            "pattern": match.regex,
        }
        responses = self._responder.planned(report, "opened") if self._responder is not None else []
        self._log("INCIDENT DETECTED: %s", "incident_opened", report, triggering_log=trigger,
                  automated_response=responses)  # fmt: skip
        self._respond(report, "opened")

    def sweep(self) -> bool:
        """Resolve what has been quiet, tell again what goes on; returns whether something lasts."""
        now, ended, again = self._clock(), [], []
        with self._lock:
            for known in list(self._lasting.values()):
                quiet = known.pattern.quiet_seconds
                if now - known.last >= quiet:
                    del self._lasting[known.pattern.id]
                    ended.append(known)
                elif known.id and known.count > known.told_count and now - known.told_at >= quiet / _TELL_AGAIN:
                    known.told_at, known.told_count = now, known.count
                    again.append(self._report(known))
            lasts = bool(self._lasting)
        for known in ended:
            self._end(known)
        for report in again:
            self._respond(report, "ongoing")
        busy = self._responder.expire() if self._responder is not None else False
        return lasts or busy

    def close(self, timeout: float = 1.0) -> None:
        """Give responses that run up to ``timeout`` seconds to end."""
        if self._responder is not None:
            self._responder.wait(timeout)

    def _end(self, known: OpenIncident) -> None:
        if not known.id:
            return
        report = self._report(known)
        count_incident("resolved", report.pattern.id)
        self._log("INCIDENT RESOLVED: %s", "incident_resolved", report)
        self._respond(report, "resolved")

    def _report(self, known: OpenIncident) -> IncidentReport:
        return known.report(self._service, self._host)

    def _respond(self, report: IncidentReport, phase: Phase) -> None:
        if self._responder is not None:
            self._responder.submit(report, phase)

    @staticmethod
    def _log(message: str, event_type: str, report: IncidentReport, **values: Any) -> None:
        level = _LEVELS[report.pattern.severity] if event_type == "incident_opened" else logging.INFO
        extra = {"event_type": event_type, **report.fields(), **values}
        logging.getLogger(LOGGER).log(level, message, extra["incident_type"], extra=extra)

    def _look_after(self) -> None:
        if not self._threaded or (self._thread is not None and self._thread.is_alive()):
            return
        thread = threading.Thread(target=self._run, name="logbastion-incidents", daemon=True)
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
                if not self._lasting:
                    self._thread = None
                    return


renew_after_fork(_detectors, IncidentDetector._begin)
