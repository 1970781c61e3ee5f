"""Refuses the requests of blocked addresses."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from logbastion.client_address import get_client_ip
from logbastion.detection import security_detector
from logbastion.metrics import count_blocked_request

_FORBIDDEN: Final = 403
_MINUTE: Final = 60


class BlockedAddressMiddleware:
    """Put it after ``CorrelationIdMiddleware``, before all others. Works under WSGI and ASGI.

    A blocked address gets 403, a page of one sentence and ``Retry-After`` (RFC 9110, 10.2.3). With dry run, and when
    the store is away, the request goes on and is counted.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve the request, or refuse it."""
        if self._is_async:
            return self._serve_async(request)
        response: HttpResponseBase = refusal_of(request) or self._get_response(request)
        return response

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await sync_to_async(refusal_of)(request) or await self._get_response(request)
        return response


def refusal_of(request: HttpRequest) -> HttpResponse | None:
    """Return the answer to a blocked address, or None."""
    detector = security_detector()
    block = detector.blocks.refusal(get_client_ip(request)) if detector is not None else None
    if block is None:
        return None
    count_blocked_request("dry_run" if block.dry_run else "enforce")
    if block.dry_run:
        return None
    seconds = max(1, math.ceil(block.remaining))
    text = f"Your address is blocked after too many failed attempts. Try again in {math.ceil(seconds / _MINUTE)} min.\n"
    headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
    return HttpResponse(text, status=_FORBIDDEN, content_type="text/plain; charset=utf-8", headers=headers)
