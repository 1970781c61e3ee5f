"""Takes each step on the incidents of a service: in the store that all workers share, and alone while that is away."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from logbastion.detection.breaker import Breaker
from logbastion.incidents import book
from logbastion.incidents.book import Due, Noted, Reader
from logbastion.incidents.patterns import IncidentPattern
from logbastion.incidents.reports import IncidentReport, Lines, Phase
from logbastion.incidents.stores.base import IncidentStore, Result
from logbastion.incidents.stores.memory import MemoryIncidentStore
from logbastion.processes import not_in_fork

_OPERATION: Final = "incident"


@dataclass(frozen=True)
class Happening:
    """What is to be told of an incident.

    Args:
        report: of it.
        phase: what has happened.
        resolution: why it is resolved; else empty.
        again: whether a worker that is dead may have told it.
        shared: whether all workers share it.
        trigger: a line that opened it, where this process has it.

    """

    report: IncidentReport
    phase: Phase
    resolution: str = ""
    again: bool = False
    shared: bool = False
    trigger: dict[str, Any] | None = None


class Keeper:
    """Counts lines and says what is to be told. One thread at a time uses it, but for the memory alone.

    While the shared store is away, an incident that it is known to have goes on uncounted there until the store is
    back: then the lines that were held are added. Any other is opened by this process alone, and becomes the shared one
    of its pattern when the store is back; where another worker was sooner, it is resolved as ``merged``.

    Args:
        patterns: the table.
        store: shared, or None for the memory of this process.
        service: ``service.name``.
        environment: ``service.environment``: those of one name share a book.
        host: the name of this host.
        lease: seconds in which what is owed is told.
        clock: of the memory, seconds since 1970.

    """

    def __init__(
        self,
        patterns: Iterable[IncidentPattern],
        *,
        store: IncidentStore | None,
        service: str,
        environment: str,
        host: str,
        lease: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.patterns: Mapping[str, IncidentPattern] = {one.id: one for one in patterns}
        self.store, self._service, self._host, self._lease, self._clock = store, service, host, lease, clock
        self._scope = f"{environment}/{service}"
        self._warm = False
        self.renew()

    def renew(self) -> None:
        """Begin anew, as the child of a fork has to."""
        self._alone = MemoryIncidentStore(self._clock)
        self._breaker = Breaker(name="incidents", meanwhile="each worker has incidents of its own")
        worker = uuid.uuid4().hex
        self._mine = Reader(worker, "", self._service, self._host, self._lease)
        self._shared = Reader(worker, self._scope, self._service, self._host, self._lease)
        self._held: dict[str, Lines] = {}
        self._flight: dict[str, Lines] = {}
        self._number = 0
        self._known: dict[str, float] = {}
        self._open = self._knocked = False

    def note(self, batches: Iterable[Lines]) -> list[Happening]:
        """Count lines."""
        if self.store is None:
            return [one for lines in batches for one in self.note_alone(lines)]
        batches = list(batches)
        for lines in batches:
            self._hold(lines)
        told = self._deliver()
        if told is not None:
            return told
        now, happenings = time.monotonic(), []
        for lines in batches:
            if now - self._known.get(lines.pattern.id, float("-inf")) < lines.pattern.quiet_seconds:
                self._known[lines.pattern.id] = now  # all workers have it, and it goes on
                continue
            for one in self.note_alone(lines):
                happenings.append(one)
                if one.phase == "opened":
                    (self._flight.get(lines.pattern.id) or self._held[lines.pattern.id]).announced = one.report.id
        return happenings

    def note_alone(self, lines: Lines) -> list[Happening]:
        """Count lines in this process only."""
        noted = self._alone.update("", lambda rows, now: book.note(rows, now, lines, (0.0, 0.0), self._mine))
        happenings = [self._happening(due, lines.trigger) for due in noted.due]
        return self._without_held(happenings, keep=lines)

    def look(self) -> list[Happening]:
        """Return what is to be told now."""
        happenings = self._look_alone()
        if self.store is not None:
            happenings += self._deliver() or []
            found = self._step(self._look_for_all)
            happenings += [self._happening(one, shared=True) for one in found or ()]
        return happenings

    def done(self, incident: str, phase: Phase, *, shared: bool) -> None:
        """Note that an opening or an end has been told and answered."""
        if shared:
            self._step(lambda rows, now: book.done(rows, now, incident, phase))
        else:
            self._alone.update("", lambda rows, now: book.done(rows, now, incident, phase))

    def permit(self, name: str, incident: str, cooldown: float, *, again: bool) -> bool:
        """Say whether a response may run now; while the store is away, this process decides alone."""

        def ask(rows: dict[str, Any], now: float) -> bool:
            return book.permit(rows, now, name, incident, cooldown, again=again)

        shared = self._step(ask) if self.store is not None else None
        alone = self._alone.update("", ask)
        return alone if shared is None else shared

    def leave(self) -> list[Happening]:
        """End what is open where no other worker has it."""
        found = self._alone.update("", lambda rows, now: book.leave(rows, now, self.patterns, self._mine))
        happenings = [self._happening(one) for one in found]
        if self.store is not None and self._knocked:
            happenings += self._deliver() or []
            left = self._step(lambda rows, now: book.leave(rows, now, self.patterns, self._shared))
            happenings += [self._happening(one, shared=True) for one in left or ()]
        return happenings

    def lasting(self) -> list[IncidentReport]:
        """Return what is open now, for all workers where the store answers."""

        def rows_of(rows: dict[str, Any], _now: float) -> list[dict[str, Any]]:
            return [row for row in rows.get("rows", {}).values() if row["id"] and row["pattern"] in self.patterns]

        found = self._alone.update("", rows_of)
        if self.store is not None:
            found = [*found, *(self._step(rows_of) or ())]
        return [self._report(row) for row in found]

    def lasts(self) -> bool:
        """Say whether something lasts, or has not lines enough, as far as this process knows without asking."""
        return self._open or bool(
            self._alone.update("", lambda rows, _now: bool(rows.get("rows") or rows.get("ended")))
        )

    def _hold(self, lines: Lines) -> None:
        held = self._held.get(lines.pattern.id)
        if held is None:
            self._held[lines.pattern.id] = lines
        else:
            held.merge(lines)

    def _deliver(self) -> list[Happening] | None:
        """Add what is held to the shared store; None when that is away.

        A step whose answer was lost may have been taken. So what is on its way keeps its number until it has arrived,
        and what comes meanwhile waits.
        """
        happenings: list[Happening] = []
        while self._flight or self._held:
            if not self._flight:
                self._flight, self._held = self._held, {}
                self._number += 1
            noted = self._step(self._add)
            if noted is None:
                return happenings or None
            arrived, self._flight, self._open = self._flight, {}, True
            for pattern, one in noted.items():
                if one.row.get("id"):
                    self._known[pattern] = time.monotonic()
                lines = arrived[pattern]
                happenings += [self._happening(due, lines.trigger, shared=True) for due in one.due]
                happenings += self._forget_alone(lines, one.row.get("id", ""))
        return happenings

    def _add(self, rows: dict[str, Any], now: float) -> dict[str, Noted]:
        if not book.is_new(rows, self._shared.worker, self._number):
            known = rows.get("rows", {})
            return {pattern: Noted((), dict(known.get(pattern, {}))) for pattern in self._flight}
        moment = time.monotonic()
        return {
            pattern: book.note(rows, now, lines, (moment - lines.first, moment - lines.last), self._shared)
            for pattern, lines in self._flight.items()
        }

    def _forget_alone(self, lines: Lines, shared_id: str) -> list[Happening]:
        """Drop what this process had of a pattern by itself, now that the store has it."""
        row = self._alone.update("", lambda rows, _now: rows.get("rows", {}).pop(lines.pattern.id, None))
        if row is None or not lines.announced or lines.announced == shared_id:
            return []
        return [Happening(self._report(row), "resolved", "merged")]

    def _look_for_all(self, rows: dict[str, Any], now: float) -> list[Due]:
        found = book.look(rows, now, self.patterns, self._shared)
        self._open = bool(rows["rows"] or rows["ended"])
        return found

    def _look_alone(self) -> list[Happening]:
        before = self._alone.update("", lambda rows, _now: set(rows.get("rows", {})))
        found = self._alone.update("", lambda rows, now: book.look(rows, now, self.patterns, self._mine))
        after = self._alone.update("", lambda rows, _now: set(rows.get("rows", {})))
        for pattern in before - after:  # it is over, and has been counted
            self._held.pop(pattern, None)
            self._flight.pop(pattern, None)
        return [self._happening(one) for one in found]

    def _without_held(self, happenings: list[Happening], keep: Lines) -> list[Happening]:
        if self.store is not None and any(one.phase == "resolved" for one in happenings):
            # What was before it belongs to the one that is over, and has been counted there.
            self._flight.pop(keep.pattern.id, None)
            self._held[keep.pattern.id] = keep
        return happenings

    def _step(self, change: Callable[[dict[str, Any], float], Result]) -> Result | None:
        store = self.store
        if store is None:
            return None
        self._knocked = True
        # A fork in the middle of an import would leave the child half a module, and the first step imports much.
        with contextlib.nullcontext() if self._warm else not_in_fork():
            answer = self._breaker.call(_OPERATION, lambda: (store.update(self._scope, change),))
        if answer is None:
            return None
        self._warm = True
        return answer[0]

    def _happening(self, due: Due, trigger: dict[str, Any] | None = None, *, shared: bool = False) -> Happening:
        opened = due.phase == "opened" and not due.again
        return Happening(
            self._report(due.row), due.phase, due.resolution, due.again, shared, trigger if opened else None
        )

    def _report(self, row: Mapping[str, Any]) -> IncidentReport:
        return IncidentReport(
            row["id"], self.patterns[row["pattern"]], row["first"], row["last"], row["count"], tuple(row["ids"]),
            row["ip"], self._service, row["host"],
        )  # fmt: skip
