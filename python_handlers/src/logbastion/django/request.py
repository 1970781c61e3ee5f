"""The request that is being served, for signals that do not bring it along."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from django.http import HttpRequest
from django.utils.functional import LazyObject, empty

current_request: ContextVar[HttpRequest | None] = ContextVar("logbastion_request", default=None)
"""Set by :class:`logbastion.django.middleware.CorrelationIdMiddleware`."""


def known_user_id(request: HttpRequest) -> Any:
    """Return the primary key of ``request.user`` when somebody is logged in and the user has been loaded already."""
    user = request.__dict__.get("user")
    if isinstance(user, LazyObject) and user._wrapped is empty:  # no public way to ask without loading
        user = getattr(request, "_acached_user", None)
    if user is None or not user.is_authenticated:
        return None
    return user.pk
