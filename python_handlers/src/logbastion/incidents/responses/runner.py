"""Runs responses away from the thread that logs: few at a time, each with a time-out, each one on record."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from logbastion.incidents.reports import IncidentReport, Phase
from logbastion.incidents.responses.base import Response
from logbastion.jsonsafe import safe_str
from logbastion.metrics import count_incident_response

TIMEOUT: Final = 10.0
MAX_RUNNING: Final = 4
_MAX_REMEMBERED: Final = 1000
_MAX_RESULT: Final = 500
_local = threading.local()


def in_response() -> bool:
    """Say whether this thread runs a response: what it logs is no incident."""
    return getattr(_local, "running", False)


@dataclass(eq=False)
class _Run:
    name: str
    report: IncidentReport
    phase: Phase
    deadline: float
    told: bool = False


class Responder:
    """Starts the responses that are switched on and that an incident's pattern names.

    When an incident opens, a response runs at most once in the pattern's ``cooldown`` (a response may have a shorter
    one). A response that is not done in time is given up: its thread ends when it ends, and counts as running until
    then. Outcomes are ``done``, ``failed``, ``timed_out``, ``busy`` (too many run) and ``rate_limited``; they are
    counted, and events ``incident_response`` on the logger ``incidents``.

    Args:
        responses: by name.
        timeout: seconds for each.
        max_running: threads.
        clock: seconds that only grow.

    """

    def __init__(
        self,
        responses: Mapping[str, Response],
        *,
        timeout: float = TIMEOUT,
        max_running: int = MAX_RUNNING,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._responses, self._timeout, self._max_running, self._clock = dict(responses), timeout, max_running, clock
        self.names = tuple(self._responses)
        self.forget()

    def forget(self) -> None:
        """Begin anew, as the child of a fork has to: the threads of the parent are not here."""
        self._changed = threading.Condition(threading.RLock())
        self._running: set[_Run] = set()
        self._last: OrderedDict[tuple[str, str], float] = OrderedDict()

    def planned(self, report: IncidentReport, phase: Phase) -> list[str]:
        """Return the names of the responses to an incident in a phase."""
        return [
            name
            for name, response in self._responses.items()
            if phase in response.phases and (response.for_all or name in report.pattern.response)
        ]

    def submit(self, report: IncidentReport, phase: Phase) -> None:
        """Start the responses. Never waits, never raises."""
        for name in self.planned(report, phase):
            refused = self._start(name, report, phase)
            if refused:
                self._tell(_Run(name, report, phase, 0), refused, "")

    def _start(self, name: str, report: IncidentReport, phase: Phase) -> str:
        response, now = self._responses[name], self._clock()
        key = name, report.pattern.id
        with self._changed:
            cooldown = min(report.pattern.cooldown, response.cooldown)
            if phase == "opened" and now - self._last.get(key, float("-inf")) < cooldown:
                return "rate_limited"
            if len(self._running) >= self._max_running:
                return "busy"
            run = _Run(name, report, phase, now + self._timeout)
            self._running.add(run)
            self._last[key] = now
            self._last.move_to_end(key)
            while len(self._last) > _MAX_REMEMBERED:
                self._last.popitem(last=False)
        thread = threading.Thread(target=self._run, args=(run, response), name=f"logbastion-{name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started any more
            self._finish(run)
            return "failed"
        return ""

    def _run(self, run: _Run, response: Response) -> None:
        _local.running = True
        outcome, result = "done", ""
        try:
            result = safe_str(response(run.report, run.phase))
        except BaseException as error:  # a project's function may even call sys.exit
            outcome, result = "failed", f"{type(error).__name__}: {safe_str(error)}"
        if self._finish(run):
            self._tell(run, outcome, result)

    def _finish(self, run: _Run) -> bool:
        with self._changed:
            self._running.discard(run)
            self._changed.notify_all()
            first, run.told = not run.told, True
            return first

    def expire(self) -> bool:
        """Give up what is not done in time; returns whether something runs that is still waited for."""
        now = self._clock()
        with self._changed:
            late = [run for run in self._running if not run.told and now >= run.deadline]
            for run in late:
                run.told = True
            waiting = any(not run.told for run in self._running)
        for run in late:
            self._tell(run, "timed_out", f"not done within {self._timeout:g} s")
        return waiting

    def wait(self, timeout: float) -> bool:
        """Wait until nothing runs that is still waited for; False when that took longer than ``timeout`` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: all(run.told for run in self._running), timeout)

    @staticmethod
    def _tell(run: _Run, outcome: str, result: str) -> None:
        count_incident_response(run.name, outcome)
        extra: dict[str, Any] = {
            "event_type": "incident_response",
            "incident_id": run.report.id,
            "incident_type": run.report.pattern.type or run.report.pattern.id,
            "automated_response": run.name,
            "phase": run.phase,
            "outcome": outcome,
            "result": result[:_MAX_RESULT],
        }
        level = {"done": logging.INFO, "rate_limited": logging.INFO}.get(outcome, logging.ERROR)
        try:
            logging.getLogger("incidents").log(level, "Response %s: %s", run.name, outcome, extra=extra)
        except Exception:  # a handler that raises: the response stays as it is
            return
