"""Counts answered requests by the URL pattern that they have matched."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.http import HttpRequest
from django.urls import URLPattern, URLResolver, get_resolver

from logbastion.request_metrics import MAX_ROUTES, NO_ROUTE, count_request, know_routes


class RequestCounts:
    """Counts for :class:`~logbastion.django.middleware.CorrelationIdMiddleware`. Nothing here raises an ``Exception``.

    Args:
        quiet_paths: exact paths that are not counted, so they get no series either.

    """

    def __init__(self, quiet_paths: frozenset[str]) -> None:
        self._works = True
        try:
            # What is wrong with the URLconf is said by Django, with the first request at the latest.
            routes = list(islice(known_routes(quiet_paths), MAX_ROUTES))
        except Exception:
            routes = []
        self._guarded(know_routes, routes)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        if self._works:
            self._guarded(count_request, method, route, status, seconds)

    def _guarded(self, what: Any, *arguments: Any) -> None:
        try:
            what(*arguments)
        except Exception as error:
            self._works = False
            logging.getLogger("system.log_management").error(
                "Requests are not counted any more: %s. Look at PROMETHEUS_MULTIPROC_DIR and the disk.",
                error,
                extra={"event_type": "metrics_failed"},
            )


def route_of(request: HttpRequest) -> str:
    """Return the URL pattern that a request has matched, after a slash. Paths may hold names, patterns do not."""
    match = getattr(request, "resolver_match", None)
    return f"/{match.route}" if match is not None else NO_ROUTE


def known_routes(quiet_paths: frozenset[str] = frozenset()) -> Iterator[str]:
    """Return the routes of the URLconf, spelled as :func:`route_of` does, in its order."""
    for route in _routes(get_resolver()):
        if f"/{route}" not in quiet_paths:
            yield f"/{route}"


def _routes(resolver: URLResolver) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        own = str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield own
        elif isinstance(pattern, URLResolver):
            for route in _routes(pattern):
                # As Django joins them: a `^` inside says nothing.
                yield own + route.removeprefix("^") if own else route
