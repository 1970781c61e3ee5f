"""Correlation ids, who is asking, and one event per request."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.functional import LazyObject, empty

from logbastion.correlation import bind, is_well_formed, new_correlation_id
from logbastion.events import get_client_ip
from logbastion.metrics import REQUEST_EVENT_TYPE

HEADER: Final = "X-Correlation-ID"
_performance = logging.getLogger("performance")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
_SERVER_ERROR: Final = 500


class CorrelationIdMiddleware:
    """Put it first in ``MIDDLEWARE``. Works under WSGI and ASGI.

    * A well-formed ``X-Correlation-ID`` of the request is taken over, otherwise a UUID is made; it is in the response.
    * Every record of the request has ``correlation_id``, and ``user_id`` and ``school_id`` when they are known: the
      user once the application itself has asked for ``request.user`` (logging never causes a query, nor a ``Vary:
      Cookie``), the school when the application sets ``request.school_id``.
    * The request is logged on ``performance``, event type ``http_request``, with its duration; the Prometheus handler
      fills ``django_request_duration_seconds`` from it. The operation is the URL *pattern*: paths may hold names.

    The setting ``LOGBASTION_QUIET_PATHS`` lists exact paths that get no event and no duration, such as a health check;
    by default none. The body of a streaming response is produced later, outside of the context.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        self._quiet = frozenset(getattr(settings, "LOGBASTION_QUIET_PATHS", ()))
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve the request."""
        if self._is_async:
            return self._serve_async(request)
        return self._serve(request)

    def _serve(self, request: HttpRequest) -> HttpResponseBase:
        correlation_id = _correlation_id_of(request)
        with self._bound(request, correlation_id):
            status, begin = _SERVER_ERROR, time.perf_counter()
            try:
                response: HttpResponseBase = self._get_response(request)
                status = response.status_code
            finally:
                self._log(request, status, time.perf_counter() - begin)
        response.headers[HEADER] = correlation_id
        return response

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        correlation_id = _correlation_id_of(request)
        with self._bound(request, correlation_id):
            status, begin = _SERVER_ERROR, time.perf_counter()
            try:
                response: HttpResponseBase = await self._get_response(request)
                status = response.status_code
            finally:
                self._log(request, status, time.perf_counter() - begin)
        response.headers[HEADER] = correlation_id
        return response

    def _bound(self, request: HttpRequest, correlation_id: str) -> Any:
        return bind(
            correlation_id,
            user_id=lambda: _user_id_of(request),
            school_id=lambda: getattr(request, "school_id", None),
        )

    def _log(self, request: HttpRequest, status: int, seconds: float) -> None:
        if request.path in self._quiet:
            return
        method = request.method if request.method in _METHODS else "OTHER"
        match = getattr(request, "resolver_match", None)
        route = f"/{match.route}" if match is not None else "(no route)"
        _performance.info(
            "%s %s answered %s",
            method,
            route,
            status,
            extra={
                "event_type": REQUEST_EVENT_TYPE,
                "operation": f"{method} {route}",
                "duration_ms": round(seconds * 1000, 3),
                "success": status < _SERVER_ERROR,
                "http_method": method,
                "http_status": status,
                "route": route,
                "source_ip": get_client_ip(request),
            },
        )


def _correlation_id_of(request: HttpRequest) -> str:
    given = request.headers.get(HEADER)
    return given if given is not None and is_well_formed(given) else new_correlation_id()


def _user_id_of(request: HttpRequest) -> int | None:
    user = request.__dict__.get("user")
    if isinstance(user, LazyObject) and user._wrapped is empty:  # no public way to ask without loading
        user = getattr(request, "_acached_user", None)
    if user is None or not user.is_authenticated:
        return None
    key: int | None = user.pk
    return key
