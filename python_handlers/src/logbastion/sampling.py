"""Samples of events that come too often to log each (guide, "Log Sampling and Rate Limiting").

Each logged event says how many calls it stands for, and these numbers add up: nothing is counted twice or forgotten.
"""

from __future__ import annotations

import math
import random
import threading
import time
import weakref
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

from logbastion.diagnosis import environment_in_use
from logbastion.environments import rules_of
from logbastion.jsonsafe import safe_str, shortened
from logbastion.processes import notice_fork, renew_after_fork

OVERFLOW: Final = "<other event types>"
"""Under this name :meth:`LogSampler.pending` gives the calls of event types that were folded away."""
DEFAULT_MAX_EVENT_TYPES: Final = 1000
_MAX_NAME_BYTES: Final = 1024

_samplers: weakref.WeakSet[LogSampler] = weakref.WeakSet()
renew_after_fork(_samplers, lambda sampler: sampler._begin())  # the module's own class


@dataclass
class _Kind:
    waiting: int = 0
    logged_at: float = -math.inf


class LogSampler:
    """Decides which calls of a frequent event are logged, and how many calls a logged one represents.

    At any moment the numbers that :meth:`should_log` has returned with True, those that :meth:`take_pending` has
    returned, and those in :meth:`pending` add up to the number of calls. That holds with any number of threads, for
    each process alone: the child of a fork counts from zero, because the parent represents its own calls.

    Memory is bounded. When there are more event types than ``max_event_types``, the one that was not asked about for
    the longest time is folded away: its unrepresented calls go to the key :data:`OVERFLOW` of :meth:`pending`, and if
    it comes again it begins as a new one. No later event of another type claims to represent them.

    A call that interrupts the sampler itself, from a signal handler or a finaliser, does not wait for the lock that
    its own thread holds. It is not logged, and it is counted.

    Args:
        sample_rate: the share of calls to log, 0 to 1. At 0 only ``force_interval_seconds`` logs anything. Without one
            it is that of the environment (:mod:`logbastion.environments`), asked for at the first call and not here:
            a sampler is often made before logging is set up.
        max_event_types: how many event types are told apart.

    Raises:
        ValueError: the rate is no number from 0 to 1, or there would be no room for a single event type.

    """

    def __init__(self, sample_rate: float | None = None, *, max_event_types: int = DEFAULT_MAX_EVENT_TYPES) -> None:
        is_number = isinstance(sample_rate, (int, float)) and not isinstance(sample_rate, bool)
        if sample_rate is not None and (not is_number or not 0 <= sample_rate <= 1):
            raise ValueError(
                f"A sample rate is a share of all calls, a number from 0 to 1; {safe_str(sample_rate)} is none."
            )
        if max_event_types < 1:
            raise ValueError("A sampler needs room for at least one event type: max_event_types must be 1 or more.")
        self._rate = None if sample_rate is None else float(sample_rate)
        self._max_kinds = max_event_types
        self._begin()
        _samplers.add(self)

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._kinds: OrderedDict[str, _Kind] = OrderedDict()
        self._folded = 0
        self._busy = False
        self._late: deque[str] = deque()
        # Not the module's functions: an application that has seeded those wants its own sequence.
        self._random = random.Random()  # noqa: S311 - nobody gains by guessing which events are logged

    @property
    def sample_rate(self) -> float:
        """The share of calls that is logged, 0 to 1."""
        if self._rate is None:
            self._rate = rules_of(environment_in_use()).sample_rate
        return self._rate

    def should_log(self, event_type: str, force_interval_seconds: float | None = None) -> tuple[bool, int]:
        """Count one call, and say whether it is to be logged.

        Args:
            event_type: its name; anything else is taken as text, and texts above 1024 bytes are cut.
            force_interval_seconds: log in any case when the last logged call of this type is at least so many seconds
                ago, or when there was none. Time is that of the monotonic clock.

        Returns:
            With True, how many calls of this type the event represents: itself, and all since the last logged one. With
            False, how many wait to be represented, this one included.

        Raises:
            ValueError: the interval is not above 0.

        """
        if force_interval_seconds is not None and not force_interval_seconds > 0:
            raise ValueError("An interval after which an event is logged in any case must be above 0 seconds.")
        notice_fork()
        name = shortened(safe_str(event_type), _MAX_NAME_BYTES)
        rate = self.sample_rate  # before the lock: the environment is asked for under the locks of logging
        with self._lock:
            if self._busy:  # this very thread is below: a signal handler or a finaliser has come in between
                self._late.append(name)
                return False, 1
            self._busy = True
            try:
                return self._decided(self._kind(name), rate, force_interval_seconds)
            finally:
                self._busy = False

    def pending(self) -> dict[str, int]:
        """Return the calls that no logged event represents yet, by event type; those that have none are left out."""
        return self._pending(take=False)

    def take_pending(self) -> dict[str, int]:
        """Return what :meth:`pending` does and set it to zero, in one step: whoever takes it is to log it.

        For the end of a process or of an interval: one event for each type, and one for :data:`OVERFLOW`.
        """
        return self._pending(take=True)

    def _pending(self, take: bool) -> dict[str, int]:
        notice_fork()
        with self._lock:
            if self._busy:
                return {}  # asked for by what has interrupted this thread; the counts are being changed
            self._busy = True
            try:
                self._count_late()
                found = {name: kind.waiting for name, kind in self._kinds.items() if kind.waiting}
                if self._folded:
                    found[OVERFLOW] = found.get(OVERFLOW, 0) + self._folded
                if take:
                    self._folded = 0
                    for kind in self._kinds.values():
                        kind.waiting = 0
                return found
            finally:
                self._busy = False

    def _decided(self, kind: _Kind, rate: float, force_interval_seconds: float | None) -> tuple[bool, int]:
        self._count_late(but=kind)
        kind.waiting += 1
        now = time.monotonic()
        forced = force_interval_seconds is not None and now - kind.logged_at >= force_interval_seconds
        if not forced and self._random.random() >= rate:
            return False, kind.waiting
        represented, kind.waiting = kind.waiting, 0
        kind.logged_at = now
        return True, represented

    def _kind(self, name: str) -> _Kind:
        kind = self._kinds.get(name)
        if kind is not None:
            self._kinds.move_to_end(name)
            return kind
        while len(self._kinds) >= self._max_kinds:
            self._folded += self._kinds.popitem(last=False)[1].waiting
        kind = self._kinds[name] = _Kind()
        return kind

    def _count_late(self, but: _Kind | None = None) -> None:
        """Count what has interrupted an earlier call. Never folds away the type that is being decided."""
        while self._late:
            name = self._late.popleft()
            kind = self._kinds.get(name)
            if kind is None and but is None:
                kind = self._kind(name)
            if kind is None:
                self._folded += 1
            else:
                kind.waiting += 1
