"""Runs responses away from the thread that logs: few at a time, each with a time-out, each one on record."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from logbastion.incidents.reports import IncidentReport, Phase
from logbastion.incidents.responses.base import Response
from logbastion.jsonsafe import safe_str
from logbastion.metrics import count_incident_response

TIMEOUT: Final = 10.0
MAX_RUNNING: Final = 4
_MAX_RESULT: Final = 500
_local = threading.local()


def in_response() -> bool:
    """Say whether this thread runs a response or steps on a store: what it logs is no incident."""
    return getattr(_local, "running", False)


@contextlib.contextmanager
def unwatched() -> Iterator[None]:
    """Have what this thread logs meanwhile not looked at."""
    before, _local.running = in_response(), True
    try:
        yield
    finally:
        _local.running = before


def _always(_name: str, _incident: str, _cooldown: float, *, again: bool) -> bool:
    return True


class Permit(Protocol):
    """Says whether a response may run: name of the response for a pattern, incident, seconds since its last run."""

    def __call__(self, name: str, incident: str, cooldown: float, /, *, again: bool) -> bool:
        """``again``: whether a worker that had the permit for this incident is dead."""


class _Group:
    """The responses to one phase of an incident; who waits for all of them is called once."""

    def __init__(self, number: int, finished: Callable[[], object] | None) -> None:
        self._left, self._finished, self._lock = number, finished, threading.Lock()
        if not number and finished is not None:
            finished()

    def one_is_done(self) -> None:
        with self._lock:
            self._left -= 1
            over = not self._left
        if over and self._finished is not None:
            self._finished()


@dataclass(eq=False)
class _Run:
    name: str
    report: IncidentReport
    phase: Phase
    deadline: float
    group: _Group
    told: bool = False


class Responder:
    """Starts the responses that are switched on and that an incident's pattern names.

    When an incident opens, a response runs at most once in the pattern's ``cooldown`` (a response may have a shorter
    one), for all workers where they share a store. A response that is not done in time is given up: its thread ends
    when it ends, and counts as running until then. Outcomes are ``done``, ``failed``, ``timed_out``, ``busy`` (too many
    run) and ``rate_limited``; they are counted, and events ``incident_response`` on the logger ``incidents``.

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
        self._responses, self.timeout, self._max_running, self._clock = dict(responses), timeout, max_running, clock
        self.names = tuple(self._responses)
        self.forget()

    def forget(self, permit: Permit = _always) -> None:
        """Begin anew, as the child of a fork has to: the threads of the parent are not here.

        Args:
            permit: is asked before a response to an opening.

        """
        self._permit = permit
        self._changed = threading.Condition(threading.RLock())
        self._running: set[_Run] = set()

    def planned(self, report: IncidentReport, phase: Phase) -> list[str]:
        """Return the names of the responses to an incident in a phase."""
        return [
            name
            for name, response in self._responses.items()
            if phase in response.phases and (response.for_all or name in report.pattern.response)
        ]

    def submit(
        self, report: IncidentReport, phase: Phase, finished: Callable[[], object] | None = None, *, again: bool = False
    ) -> None:
        """Start the responses. Never raises, and waits for nothing but the permits.

        Args:
            report: of the incident.
            phase: what has happened.
            finished: is called when all have run or were refused or given up, from any thread.
            again: whether a worker that is dead may have run them.

        """
        names = self.planned(report, phase)
        group = _Group(len(names), finished)
        for name in names:
            refused = self._start(name, report, phase, group, again)
            if refused:
                self._tell(_Run(name, report, phase, 0, group), refused, "")
                if refused != "failed":  # at the end of a process no thread can be started: another one has to
                    group.one_is_done()

    def _start(self, name: str, report: IncidentReport, phase: Phase, group: _Group, again: bool) -> str:
        response, now = self._responses[name], self._clock()
        with self._changed:
            if len(self._running) >= self._max_running:
                return "busy"
            run = _Run(name, report, phase, now + self.timeout, group)
            self._running.add(run)
        cooldown = min(report.pattern.cooldown, response.cooldown)
        if phase == "opened" and not self._permit(f"{name} {report.pattern.id}", report.id, cooldown, again=again):
            with self._changed:
                self._running.discard(run)
                self._changed.notify_all()
            return "rate_limited"
        thread = threading.Thread(target=self._run, args=(run, response), name=f"logbastion-{name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no thread can be started any more
            with self._changed:
                self._running.discard(run)
                self._changed.notify_all()
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
            run.group.one_is_done()

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
            self._tell(run, "timed_out", f"not done within {self.timeout:g} s")
            run.group.one_is_done()
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
            "event": {"kind": "event"},
            "rule": {"id": run.report.pattern.id, "name": run.report.pattern.title},
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
