"""Turns visitors away while the maintenance flag is there."""

from __future__ import annotations

import math
import time
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from logbastion.django.refusing import RefusingMiddleware
from logbastion.incidents.responses.maintenance import maintenance_until

SETTING: Final = "LOGBASTION_MAINTENANCE_FILE"
_UNAVAILABLE: Final = 503


class MaintenanceMiddleware(RefusingMiddleware):
    """Put it after ``AuthenticationMiddleware``: staff go on working. Works under WSGI and ASGI.

    Until the time in the file that ``LOGBASTION_MAINTENANCE_FILE`` names, others get 503, a page of one sentence and
    ``Retry-After`` (RFC 9110, 15.6.4). Let through are ``LOGBASTION_QUIET_PATHS`` and the paths that begin with one of
    ``LOGBASTION_MAINTENANCE_OPEN``, by default the log-in at ``LOGIN_URL`` where that is a path.
    """

    def refusal(self, request: HttpRequest) -> HttpResponse | None:
        """See :func:`turned_away`."""
        return turned_away(request)


def turned_away(request: HttpRequest) -> HttpResponse | None:
    """Return the answer during maintenance, or None."""
    path = getattr(settings, SETTING, None)
    remaining = maintenance_until(path) - time.time() if path else 0
    if remaining <= 0 or request.path in getattr(settings, "LOGBASTION_QUIET_PATHS", ()):
        return None
    login = (settings.LOGIN_URL,) if str(settings.LOGIN_URL).startswith("/") else ()
    if request.path.startswith(tuple(getattr(settings, "LOGBASTION_MAINTENANCE_OPEN", login))):
        return None
    if _is_staff(request):
        return None
    headers = {"Retry-After": str(math.ceil(remaining)), "Cache-Control": "no-store"}
    text = "We are at work here for a moment. Please try again later.\n"
    return HttpResponse(text, status=_UNAVAILABLE, content_type="text/plain; charset=utf-8", headers=headers)


def _is_staff(request: HttpRequest) -> bool:
    try:
        return bool(getattr(request.user, "is_staff", False))
    except Exception:  # the database with the sessions is away: it may be why maintenance is on
        return False
