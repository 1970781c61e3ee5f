"""Refuses the requests of blocked addresses."""

from __future__ import annotations

import math
from typing import Final

from django.http import HttpRequest, HttpResponse

from logbastion.client_address import get_client_ip
from logbastion.detection import security_detector
from logbastion.django.refusing import RefusingMiddleware
from logbastion.metrics import count_blocked_request

_FORBIDDEN: Final = 403
_MINUTE: Final = 60


class BlockedAddressMiddleware(RefusingMiddleware):
    """Put it after ``CorrelationIdMiddleware``, before all others. Works under WSGI and ASGI.

    A blocked address gets 403, a page of one sentence and ``Retry-After`` (RFC 9110, 10.2.3). With dry run, and when
    the store is away, the request goes on and is counted.
    """

    def refusal(self, request: HttpRequest) -> HttpResponse | None:
        """See :func:`refusal_of`."""
        return refusal_of(request)


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
