"""Who may see the security log, and the record of who looked or was refused (guide, "Role-Based Access Control").

PCI DSS v4.0.1, 10.2.1.3: all access to audit logs is logged.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from django.http import HttpRequest

from logbastion.django.security_page.apps import CODENAME
from logbastion.events import get_client_ip, get_user_agent

PERMISSION: Final = f"admin.{CODENAME}"
EVENT_TYPE: Final = "security_log_access"
LOGGER: Final = "security.events"


def refusal_reason(user: Any, superuser_only: bool) -> str | None:
    """Return why somebody may not see the page, in a word; None for those who may.

    Args:
        user: of the request.
        superuser_only: whether the permission is not enough (the guide's rule).

    """
    if user is None or not user.is_authenticated:
        return "anonymous"
    if not (user.is_active and user.is_staff):
        return "not_staff"
    if not user.has_perm(PERMISSION):
        return "no_permission"
    return "not_superuser" if superuser_only and not user.is_superuser else None


def log_access(request: HttpRequest, refused: str | None, asked: dict[str, Any]) -> None:
    """Log that somebody looked or was refused.

    Args:
        request: of Django.
        refused: see :func:`refusal_reason`.
        asked: the filter, without what would name a person.

    """
    user = getattr(request, "user", None)
    key = user.pk if user is not None and user.is_authenticated else None
    extra = {
        "event_type": EVENT_TYPE,
        "user_id": key if key is None or isinstance(key, int) else str(key),
        "source_ip": get_client_ip(request),
        "user_agent": get_user_agent(request),
        "filter": asked or None,
        "reason": refused,
        "access_denied" if refused else "access_granted": True,
    }
    present = {name: value for name, value in extra.items() if value is not None}
    if refused:
        logging.getLogger(LOGGER).warning("Access to the security log denied", extra=present)
    else:
        logging.getLogger(LOGGER).info("Security log accessed by authorized user", extra=present)
