"""The one table that says which logger goes to which stream (guide, logger tree; specification, system 21).

A stream is a file (``<stream>.log``), a data stream (``logs-django.<stream>-<environment>``) and a retention class.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Final

APPLICATION: Final = "application"
SECURITY: Final = "security"
AUDIT: Final = "audit"
PERFORMANCE: Final = "performance"
DEBUG: Final = "debug"

STREAMS: Final[tuple[str, ...]] = (APPLICATION, SECURITY, AUDIT, PERFORMANCE, DEBUG)

LOGGER_STREAMS: Final[dict[str, str]] = {
    "accounts.auth": SECURITY,
    "security": SECURITY,  # security.events and whatever a team puts beside it
    "incidents": SECURITY,
    "django.security": SECURITY,  # SuspiciousOperation, DisallowedHost, CSRF
    # Money is kept for seven years (guide, RETENTION_POLICIES: "7 years for financial compliance"), so it is audit.
    "finances": AUDIT,
    "privacy": AUDIT,  # privacy.gdpr: proof that a request of a person was answered
    # What happened to the logs themselves is evidence too (PCI DSS v4.0.1, 10.2.1.6).
    "system.log_management": AUDIT,
    "performance": PERFORMANCE,
    "business": APPLICATION,
    "django": APPLICATION,
}
"""Logger name to stream; a logger that is not here belongs to its nearest parent that is."""


@lru_cache(maxsize=1024)
def _named_stream(logger_name: str) -> str:
    name = logger_name
    while name:
        stream = LOGGER_STREAMS.get(name)
        if stream is not None:
            return stream
        name = name.rpartition(".")[0]
    return APPLICATION


def stream_for(logger_name: str, level: int = logging.INFO) -> str:
    """Return the stream of an event.

    The longest prefix of dotted names in :data:`LOGGER_STREAMS` decides; unknown loggers go to ``application``.
    Records at ``DEBUG`` or below go to ``debug`` when their logger belongs to ``application``. Those of the other
    streams stay where they are: ``debug`` is deleted after seven days, and a security or audit record that somebody
    logged at a low level has to outlive that.

    Args:
        logger_name: the record's ``name``.
        level: the record's ``levelno``.

    """
    stream = _named_stream(logger_name)
    if stream == APPLICATION and level <= logging.DEBUG:
        return DEBUG
    return stream
