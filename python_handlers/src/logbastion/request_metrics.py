"""Requests by route, method and class of status, for Prometheus.

The labels are bounded: nothing of them comes from a request but the method, and that only when it is a known one.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Final

from prometheus_client import Counter, Histogram

from logbastion.metrics import OTHER, serially

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
"""Values of the label ``method`` (RFC 9110, 9; RFC 5789); everything else counts as ``other``."""
NO_ROUTE: Final = "(no route)"
"""The label ``route`` of a request for which the URLconf has no pattern."""
MAX_ROUTES: Final = 100
"""Values of the label ``route`` at most, beside ``(no route)`` and ``other``. What comes later counts as ``other``."""
# Each edge is a series for each route and method: half a second and one are objectives, two is the alert's.
BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
# No final answer is of class 1 (RFC 9110, 15.2).
_BORN_CLASSES: Final = _CLASSES[1:]
_BORN_METHODS: Final = ("GET", "POST")


class _Instruments:
    def __init__(self) -> None:
        self.requests = Counter(
            "django_http_requests_total", "Requests that were answered", ["method", "route", "status_class"]
        )
        self.duration = Histogram(
            "django_http_request_duration_seconds", "Time until the answer", ["method", "route"], buckets=BUCKETS
        )
        self.routes: set[str] = set()


@cache
def _instruments() -> _Instruments:
    return _Instruments()


def know_routes(routes: Iterable[str]) -> None:
    """Make the series of these routes, at 0: an alert on ``increase()`` cannot see a series whose first value is 1.

    Which methods a view answers cannot be told from outside, so the counters of GET and POST are made; those of other
    methods, and the durations, with the first such request. Of more than :data:`MAX_ROUTES` routes the first count.

    Raises:
        OSError: ``PROMETHEUS_MULTIPROC_DIR`` is set to a directory that is not there or cannot be written.

    """
    serially(_know, [NO_ROUTE, OTHER, *routes])


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request.

    Args:
        method: of the request.
        route: the pattern of the URLconf that it has matched, :data:`NO_ROUTE` without one; never a path.
        status: of the answer, 100 to 599.
        seconds: until the answer was there.

    Raises:
        OSError: see :func:`know_routes`.

    """
    serially(_count, method, route, status, seconds)


def _know(routes: Iterable[str]) -> None:
    for route in routes:
        label = _route_label(route)
        for method in _BORN_METHODS:
            _born(method, label)


def _count(method: str, route: str, status: int, seconds: float) -> None:
    label = _route_label(route)
    method = method if method in METHODS else OTHER
    _counter(method, label, _CLASSES[min(max(status // 100, 1), 5) - 1]).inc()
    _duration(method, label).observe(max(seconds, 0.0))


def _route_label(route: str) -> str:
    routes = _instruments().routes
    if route in routes or route in (NO_ROUTE, OTHER):
        return route
    if len(routes) >= MAX_ROUTES:
        return OTHER
    routes.add(route)
    return route


def _born(method: str, label: str) -> None:
    for status_class in _BORN_CLASSES:
        _instruments().requests.labels(method=method, route=label, status_class=status_class)


# Looking for a child of a metric costs more than counting.
@lru_cache(maxsize=4096)
def _counter(method: str, label: str, status_class: str) -> Counter:
    _born(method, label)
    return _instruments().requests.labels(method=method, route=label, status_class=status_class)


@lru_cache(maxsize=1024)
def _duration(method: str, label: str) -> Histogram:
    return _instruments().duration.labels(method=method, route=label)
