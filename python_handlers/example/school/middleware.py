"""Tells the logging which school a request is about."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class SchoolMiddleware:
    """Sets ``request.school_id``, which the correlation middleware puts on every record.

    It asks for ``request.user`` only when there is a session: a visitor without one causes no query.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.session.session_key and request.user.is_authenticated:
            membership = getattr(request.user, "membership", None)
            if membership is not None:
                request.school_id = membership.school_id
        return self._get_response(request)
