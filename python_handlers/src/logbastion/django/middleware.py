"""Correlation ids, who is asking, and one event per request."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from logbastion.correlation import REQUEST_ATTRIBUTE, bind, is_well_formed, new_correlation_id
from logbastion.django.options import signals_are_on
from logbastion.django.request import current_request, known_user_id
from logbastion.django.request_counts import RequestCounts, route_of
from logbastion.django.signals import log_permission_denied
from logbastion.events import get_client_ip
from logbastion.metrics import REQUEST_EVENT_TYPE
from logbastion.request_metrics import METHODS

HEADER: Final = "X-Correlation-ID"
_performance = logging.getLogger("performance")
_SERVER_ERROR: Final = 500
_FORBIDDEN: Final = 403


class CorrelationIdMiddleware:
    """Put it first in ``MIDDLEWARE``. Works under WSGI and ASGI.

    * A well-formed ``X-Correlation-ID`` of the request is taken over, otherwise a UUID is made; it is in the response.
    * Every record of the request has ``correlation_id``, and ``user_id`` and ``school_id`` when they are known: the
      user once the application itself has asked for ``request.user`` (logging never causes a query, nor a ``Vary:
      Cookie``), the school when the application sets ``request.school_id``.
    * The request is logged on ``performance``, event type ``http_request``, with its duration; the Prometheus handler
      fills ``django_request_duration_seconds`` from it. The operation is the URL *pattern*: paths may hold names.
    * The request is counted by method, URL pattern and class of status; see :mod:`logbastion.request_metrics`.
    * With ``logbastion.django`` among the installed applications, an answer 403 is logged as ``permission_denied`` on
      ``accounts.auth``, whatever made it: ``PermissionDenied``, a refusal of the CSRF check, an answer of the view. A
      quiet path has this event, too.

    The setting ``LOGBASTION_QUIET_PATHS`` lists exact paths that get no event and are not counted, such as a health
    check; by default none. The body of a streaming response is produced later, outside of the context.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        self._quiet = frozenset(getattr(settings, "LOGBASTION_QUIET_PATHS", ()))
        self._denials = signals_are_on()
        self._counts = RequestCounts(self._quiet)
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

    @contextlib.contextmanager
    def _bound(self, request: HttpRequest, correlation_id: str) -> Iterator[None]:
        token = current_request.set(request)
        setattr(request, REQUEST_ATTRIBUTE, correlation_id)
        try:
            with bind(
                correlation_id,
                user_id=lambda: known_user_id(request),
                school_id=lambda: getattr(request, "school_id", None),
            ):
                yield
        finally:
            current_request.reset(token)

    def _log(self, request: HttpRequest, status: int, seconds: float) -> None:
        denied = status == _FORBIDDEN and self._denials
        quiet = request.path in self._quiet
        if quiet and not denied:
            return
        method = request.method if request.method in METHODS else "OTHER"
        route = route_of(request)
        if denied:
            log_permission_denied(request, method, route, status)
        if quiet:
            return
        self._counts.count(method, route, status, seconds)
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
