"""Log-ins, failed log-ins and log-outs on ``accounts.auth``."""

import logging
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from logbastion import log_authentication_attempt
from logbastion.events import get_client_ip

_auth = logging.getLogger("accounts.auth")


@receiver(user_logged_in)
def _logged_in(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    log_authentication_attempt(user.email, success=True, request=request)


@receiver(user_login_failed)
def _login_failed(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    given = str(credentials.get("username", ""))
    log_authentication_attempt(given, success=False, failure_reason="invalid_credentials", request=request)


@receiver(user_logged_out)
def _logged_out(sender: Any, request: HttpRequest, user: Any, **_: Any) -> None:
    if user is not None:
        _auth.info(
            "User logged out", extra={"event_type": "logout", "user_id": user.pk, "source_ip": get_client_ip(request)}
        )
