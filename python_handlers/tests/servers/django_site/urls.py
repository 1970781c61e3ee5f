"""One page that logs five numbers for each request."""

import os

from django.http import HttpRequest, HttpResponse
from django.urls import path
from numbered_events import log_numbers


def numbers(_request: HttpRequest, first: int) -> HttpResponse:
    log_numbers(first, first + 5)
    return HttpResponse(str(os.getpid()))


urlpatterns = [path("<int:first>", numbers)]
