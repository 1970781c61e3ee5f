"""What middleware that refuses some requests has in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase


class RefusingMiddleware:
    """Answers with :meth:`refusal` where there is one, and serves all else. Works under WSGI and ASGI."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def refusal(self, request: HttpRequest) -> HttpResponse | None:
        """Return the answer to a request that is refused, or None. It may wait for a store."""
        raise NotImplementedError

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve the request, or refuse it."""
        if self._is_async:
            return self._serve_async(request)
        response: HttpResponseBase = self.refusal(request) or self._get_response(request)
        return response

    async def _serve_async(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = await sync_to_async(self.refusal)(request) or await self._get_response(request)
        return response
