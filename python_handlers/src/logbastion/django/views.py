"""The page that Prometheus reads."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from logbastion.metrics import scrape


@require_safe  # type: ignore[untyped-decorator, unused-ignore]
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer a scrape that brings the bearer token, with the sum over all workers.

    The token is the content of the file that ``LOGBASTION_METRICS_TOKEN_FILE`` names (a Django setting or, without
    it, an environment variable), read for each scrape so that a new one needs no restart. Without a configured file
    only ``DEBUG`` lets anybody in.
    """
    refusal = _refusal(request.headers.get("Authorization", ""))
    if refusal:
        response = HttpResponse(refusal + "\n", status=401, content_type="text/plain; charset=utf-8")
        response.headers["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return response
    body, content_type = scrape(request.headers.get("Accept", ""))
    return HttpResponse(body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})


def _refusal(authorization: str) -> str | None:
    """Return the sentence that refuses, or None."""
    file = getattr(settings, "LOGBASTION_METRICS_TOKEN_FILE", None) or os.environ.get("LOGBASTION_METRICS_TOKEN_FILE")
    if not file:
        if settings.DEBUG:
            return None
        return "Metrics are closed: this server has no LOGBASTION_METRICS_TOKEN_FILE. Name a file with a token there."
    try:
        token = Path(file).read_bytes().strip()
    except OSError:
        token = b""
    if not token:
        return "Metrics are closed: the file that LOGBASTION_METRICS_TOKEN_FILE names is empty or cannot be read."
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "bearer":
        return "Metrics need a token: send the header 'Authorization: Bearer <token>'."
    if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), token):
        return "The token is wrong: send the one from the file that LOGBASTION_METRICS_TOKEN_FILE names on the server."
    return None
