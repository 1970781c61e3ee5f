"""What a store of incidents holds, and each step on it: one arithmetic for all stores.

A book is plain JSON, one for each service: ``rows`` (by pattern, what lasts or has not lines enough to open), ``ended``
(by incident, until somebody has told of the end), ``permits`` (when a response ran last), ``workers`` (when each was
seen last) and ``counted`` (the number of the lines that each has delivered last). All times are seconds since 1970 by
the clock of the store, so that hosts whose clocks differ share one window; lines say how long ago they were.

Whoever opens or ends an incident *owes* the event and the responses, for a lease. When it has not said by then that all
is done, because it was killed, the next one that looks owes them: at least once, with the same id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from logbastion.incidents.reports import Lines, Phase, add_ids, incident_id, shared_incident_id

Book = dict[str, Any]
Row = dict[str, Any]
HEARTBEAT: Final = 20.0
ALIVE: Final = 60.0
"""Seconds after which a worker that was not seen is taken for dead."""
_TELL_AGAIN: Final = 3
"""An incident that goes on is told again after this part of its quiet time."""
_MAX_ENDED: Final = 1000


@dataclass(frozen=True)
class Reader:
    """Who takes a step.

    Args:
        worker: of this process alone.
        scope: the service and its environment; empty for the book of one process.
        service: ``service.name``.
        host: the name of this host.
        lease: seconds in which it tells of what it owes.

    """

    worker: str
    scope: str
    service: str
    host: str
    lease: float


@dataclass(frozen=True)
class Due:
    """What the taker of a step has to tell.

    Args:
        row: of the incident.
        phase: what of it.
        resolution: why it is resolved: ``quiet``, ``process_end`` or ``merged``; else empty.
        again: whether another one may have told it before it died.

    """

    row: Row
    phase: Phase
    resolution: str = ""
    again: bool = False


@dataclass(frozen=True)
class Noted:
    """What became of lines: what is to be told, and the row that they are in now."""

    due: tuple[Due, ...]
    row: Row


def is_new(book: Book, worker: str, number: int) -> bool:
    """Say whether lines have not been counted yet, and note that they are: the answer to a step may be lost."""
    counted: dict[str, int] = book.setdefault("counted", {})
    new = counted.get(worker) != number
    counted[worker] = number
    return new


def note(book: Book, now: float, lines: Lines, ages: tuple[float, float], by: Reader) -> Noted:
    """Count lines.

    Args:
        book: changed in place.
        now: by the store's clock.
        lines: of one pattern.
        ages: how many seconds ago the first and the last were.
        by: who asks.

    """
    rows, pattern = book.setdefault("rows", {}), lines.pattern
    _beat(book, now, by)
    first, last = now - ages[0], now - ages[1]
    row, due = rows.get(pattern.id), []
    if row is not None and first - row["last"] >= pattern.quiet_seconds:
        due += _end(book, now, rows.pop(pattern.id), by, "quiet")
        row = None
    if row is None:
        row = rows[pattern.id] = {
            "pattern": pattern.id, "id": "", "first": first, "last": last, "count": 0, "ids": [], "ip": None,
            "host": by.host, "told": now, "told_count": 0, "owed": False, "lease": 0.0,
        }  # fmt: skip
    row["quiet"] = pattern.quiet_seconds
    row["first"], row["last"] = min(row["first"], first), max(row["last"], last)
    row["count"] += lines.count
    add_ids(row["ids"], lines.correlation_ids)
    row["ip"] = lines.source_ip or row["ip"]
    if not row["id"] and (lines.announced or row["count"] >= pattern.threshold):
        row["host"], row["told"], row["told_count"] = by.host, now, row["count"]
        row["id"] = lines.announced or _new_id(row, lines, by)
        if not lines.announced:
            row["owed"], row["lease"] = True, now + by.lease
            due.append(Due(dict(row), "opened"))
    return Noted(tuple(due), dict(row))


def _new_id(row: Row, lines: Lines, by: Reader) -> str:
    if by.scope:
        return shared_incident_id(lines.pattern.id, row["first"], by.scope)
    return incident_id(lines.pattern, row["first"], by.service, by.host)


def look(book: Book, now: float, known: Mapping[str, Any], by: Reader) -> list[Due]:
    """Return what is to be told now: ends, what goes on, and what a dead worker has left.

    Args:
        book: changed in place.
        now: by the store's clock.
        known: by pattern; rows of others are left to those who know them.
        by: who asks.

    """
    due = []
    rows, ended = book.setdefault("rows", {}), book.setdefault("ended", {})
    _beat(book, now, by)
    for row in list(rows.values()):
        if row["pattern"] not in known:
            continue
        owes = row["owed"] and now < row["lease"]
        if now - row["last"] >= row["quiet"] and not owes:
            due += _end(book, now, rows.pop(row["pattern"]), by, "quiet")
        elif row["owed"] and not owes:
            row["lease"] = now + by.lease
            due.append(Due(dict(row), "opened", again=True))
        elif row["id"] and row["count"] > row["told_count"] and now - row["told"] >= row["quiet"] / _TELL_AGAIN:
            row["told"], row["told_count"] = now, row["count"]
            due.append(Due(dict(row), "ongoing"))
    for row in ended.values():
        if row["pattern"] in known and now >= row["lease"]:
            row["lease"] = now + by.lease
            if row["owed"]:
                due.append(Due(dict(row), "opened", again=True))
            due.append(Due(dict(row), "resolved", row["resolution"], again=True))
    return due


def done(book: Book, now: float, incident: str, phase: str) -> None:
    """Note that an opening or an end has been told, and its responses have run."""
    if phase == "resolved":
        book.get("ended", {}).pop(incident, None)
        return
    for row in book.get("rows", {}).values():
        if row["id"] == incident:
            row["owed"] = False
    row = book.get("ended", {}).get(incident)
    if row is not None and row["owed"]:
        row["owed"], row["lease"] = False, now  # its end is due


def permit(book: Book, now: float, name: str, incident: str, cooldown: float, *, again: bool) -> bool:
    """Say whether a response may run, and note that it does.

    Args:
        book: changed in place.
        now: by the store's clock.
        name: of the response for a pattern.
        incident: for which.
        cooldown: seconds since the last run.
        again: whether the worker that had the permit for this incident is dead.

    """
    permits = book.setdefault("permits", {})
    for key, (time, _, seconds) in list(permits.items()):
        if now - time >= seconds:
            del permits[key]
    before = permits.get(name)
    if before is not None and now - before[0] < cooldown and not (again and before[1] == incident):
        return False
    permits[name] = [now, incident, cooldown if cooldown != float("inf") else 0]
    return True


def leave(book: Book, now: float, known: Mapping[str, Any], by: Reader) -> list[Due]:
    """Take a worker out; the last one ends what is open. Returns what is to be told."""
    workers = book.setdefault("workers", {})
    workers.pop(by.worker, None)
    book.get("counted", {}).pop(by.worker, None)
    if any(now - seen < ALIVE for seen in workers.values()):
        return []
    due = []
    for row in list(book.get("rows", {}).values()):
        if row["id"] and row["pattern"] in known:
            # Whoever owed its opening is dead, or is this worker, which has not come to it.
            due += _end(book, now, book["rows"].pop(row["pattern"]), by, "process_end", told=True)
    return due


def _end(book: Book, now: float, row: Row, by: Reader, why: str, *, told: bool = False) -> list[Due]:
    if not row["id"]:
        return []
    waits = row["owed"] and now < row["lease"] and not told  # who opened it is at it
    row["resolution"] = why
    if not waits:
        row["lease"] = now + by.lease
    ended = book.setdefault("ended", {})
    ended[row["id"]] = row
    while len(ended) > _MAX_ENDED:
        del ended[next(iter(ended))]
    if waits:
        return []
    opening = [Due(dict(row), "opened", again=True)] if row["owed"] else []
    return [*opening, Due(dict(row), "resolved", why)]


def _beat(book: Book, now: float, by: Reader) -> None:
    workers = book.setdefault("workers", {})
    if now - workers.get(by.worker, 0.0) >= HEARTBEAT:
        for worker in [worker for worker, seen in workers.items() if now - seen >= ALIVE]:
            del workers[worker]
            book.get("counted", {}).pop(worker, None)
        workers[by.worker] = now
