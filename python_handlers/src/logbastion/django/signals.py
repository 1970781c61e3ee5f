"""Logs what Django itself signals, on ``accounts.auth``, without a line of the application's code.

=======================  ==================================================  ========================================
Event                    Level, ``event_type``                               Seen through
=======================  ==================================================  ========================================
log-in                   INFO, ``authentication_attempt``                    ``user_logged_in``
failed log-in            WARNING, ``authentication_attempt``                 ``user_login_failed``
log-out                  INFO, ``logout``                                    ``user_logged_out``, of a known user
permission denied        WARNING, ``permission_denied``                      an answer 403 that the middleware sees
password changed         INFO, ``password_changed``                          saving a user whose password differs
=======================  ==================================================  ========================================

That is what PCI DSS v4.0.1, 10.2.1.4 and 10.2.1.5 ask for, with the data of 10.2.2: who, what, when, outcome and from
where.

Django has no signal for a changed password. A digest of the stored hash is noted when a user is loaded, and compared
when it is saved; neither costs a query, and the hash is never logged. Not seen: ``QuerySet.update`` and
``bulk_update``, which send no signals, SQL, fixtures, a user whose password was not loaded (``only``, ``defer``) and is
then assigned without ``set_password``, and such an assignment saved with ``update_fields=["password"]`` after
``set_password`` on the same object: Django renews outdated hashes like that. Seen although another process did it: a
password that came with ``refresh_from_db`` and is saved afterwards. The event is logged when the transaction commits.
Creating an account is no change.

No receiver raises: a fault here is logged on ``system.log_management`` and the log-in goes on.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import ImproperlyConfigured
from django.db import models, transaction
from django.db.models.signals import post_init, post_save

from logbastion.django.request import current_request, known_user_id
from logbastion.events import get_client_ip, get_user_agent, log_authentication_attempt

LOGGER: Final = "accounts.auth"
_NOTE: Final = "_logbastion_password_note"
_UID: Final = "logbastion"
_Receiver = TypeVar("_Receiver", bound=Callable[..., None])


def connect() -> None:
    """Connect the receivers; a second call changes nothing. Needs loaded models: call it in ``AppConfig.ready``."""
    user_logged_in.connect(_logged_in, dispatch_uid=f"{_UID}.logged_in")
    user_login_failed.connect(_login_failed, dispatch_uid=f"{_UID}.login_failed")
    user_logged_out.connect(_logged_out, dispatch_uid=f"{_UID}.logged_out")
    for model in _user_models():
        post_init.connect(_user_loaded, sender=model, dispatch_uid=f"{_UID}.user_loaded")
        post_save.connect(_user_saved, sender=model, dispatch_uid=f"{_UID}.user_saved")


def disconnect() -> None:
    """Take the receivers away again."""
    user_logged_in.disconnect(dispatch_uid=f"{_UID}.logged_in")
    user_login_failed.disconnect(dispatch_uid=f"{_UID}.login_failed")
    user_logged_out.disconnect(dispatch_uid=f"{_UID}.logged_out")
    for model in _user_models():
        post_init.disconnect(sender=model, dispatch_uid=f"{_UID}.user_loaded")
        post_save.disconnect(sender=model, dispatch_uid=f"{_UID}.user_saved")


def log_permission_denied(request: Any, method: str, route: str, status: int) -> None:
    """Log that a request was refused. The middleware calls this; never raises.

    Args:
        request: the Django request.
        method: its method, one of a closed list.
        route: the URL pattern: paths may hold names.
        status: of the answer, 403.

    """
    _permission_denied(request=request, method=method, route=route, status=status)


def _user_models() -> list[type[models.Model]]:
    """Return the user model with its proxies and children: a signal is sent by the class that was saved."""
    try:
        user = get_user_model()
    except ImproperlyConfigured:  # the application has no users
        return []
    return [model for model in apps.get_models(include_auto_created=True) if issubclass(model, user)]


def _never_raising(receiver: _Receiver) -> _Receiver:
    @functools.wraps(receiver)
    def guarded(*arguments: Any, **values: Any) -> None:
        try:
            receiver(*arguments, **values)
        except Exception as error:
            _report(receiver.__name__, error)

    return guarded  # type: ignore[return-value]


def _report(what: str, error: Exception) -> None:
    try:
        # Without the error's text and traceback: credentials may be in them.
        logging.getLogger("system.log_management").error(
            "A security event could not be logged: %s raised %s",
            what.strip("_"),
            type(error).__name__,
            extra={"event_type": "security_event_lost"},
        )
    except Exception:  # logging itself is broken, and the log-in goes on
        return


@_never_raising
def _logged_in(sender: Any, request: Any = None, user: Any = None, **_: Any) -> None:
    log_authentication_attempt(_identifier_of(user), True, request=_request(request), user_id=_key_of(user))


@_never_raising
def _login_failed(sender: Any, credentials: Any = None, request: Any = None, **_: Any) -> None:
    log_authentication_attempt(_identifier_in(credentials), False, "invalid_credentials", _request(request))


@_never_raising
def _logged_out(sender: Any, request: Any = None, user: Any = None, **_: Any) -> None:
    if user is not None:  # somebody without a session has asked to log out
        _log(logging.INFO, "User logged out", "logout", _request(request), user_id=_key_of(user), success=True)


@_never_raising
def _permission_denied(request: Any, method: str, route: str, status: int) -> None:
    _log(
        logging.WARNING,
        "Permission denied",
        "permission_denied",
        request,
        user_id=known_user_id(request),
        success=False,
        access_denied=True,
        http_method=method,
        http_status=status,
        route=route,
    )


@_never_raising
def _user_loaded(sender: Any, instance: Any, **_: Any) -> None:
    _note(instance)


@_never_raising
def _user_saved(
    sender: Any, instance: Any, *, created: bool, raw: bool, using: str, update_fields: Any, **_: Any
) -> None:
    if raw or (update_fields is not None and "password" not in update_fields):
        return
    before = instance.__dict__.get(_NOTE)
    after = _note(instance)
    if created or not _is_change(instance, before, after, update_fields):
        return
    request = _request(None)
    actor = known_user_id(request) if request is not None else None
    details = {"user_id": _key_of(instance), "changed_by_user_id": _json_key(actor), "success": True}
    transaction.on_commit(
        lambda: _log_guarded(logging.INFO, "Password changed", "password_changed", request, **details),
        using=using,
        robust=True,
    )


def _is_change(instance: Any, before: bytes | None, after: bytes, update_fields: Any) -> bool:
    # Django keeps the new password in `_password` from `set_password` until the user is saved.
    if getattr(instance, "_password", None) is not None:
        return True
    # When Django renews an outdated hash at a log-in, it takes `_password` away again and saves this field alone.
    renewed = "_password" in instance.__dict__ and update_fields is not None and set(update_fields) == {"password"}
    return before is not None and before != after and not renewed


def _note(user: Any) -> bytes:
    """Note which password the user has, as far as it is loaded: asking for a deferred field would be a query."""
    stored = user.__dict__.get("password")
    if stored is None:
        user.__dict__.pop(_NOTE, None)
        return b""
    # Not the hash itself, so that no second place holds it; the same in all processes, because users are pickled.
    note = hashlib.blake2b(str(stored).encode("utf-8", "surrogatepass"), digest_size=8, person=b"logbastion").digest()
    user.__dict__[_NOTE] = note
    return note


def _log(level: int, message: str, event_type: str, request: Any, **values: Any) -> None:
    extra = {
        "event_type": event_type,
        "source_ip": get_client_ip(request),
        "user_agent": get_user_agent(request),
        **values,
    }
    present = {name: value for name, value in extra.items() if value is not None}
    logging.getLogger(LOGGER).log(level, message, extra=present)


_log_guarded = _never_raising(_log)


def _request(given: Any) -> Any:
    """Return the request of the signal or, where it has none, the one that is being served."""
    return given if given is not None else current_request.get()


def _key_of(user: Any) -> Any:
    return _json_key(getattr(user, "pk", None))


def _json_key(key: Any) -> Any:
    return key if key is None or isinstance(key, (int, str)) else str(key)  # UUIDs


def _identifier_of(user: Any) -> str:
    """Return what the user logs in with: then failed and successful attempts have the same pseudonym."""
    name = getattr(type(user), "USERNAME_FIELD", None)
    # Not `getattr` for a model: a deferred field would be a query.
    value = user.__dict__.get(name) if name and isinstance(user, models.Model) else user.get_username()
    return value if isinstance(value, str) else ""


def _identifier_in(credentials: Any) -> str:
    """Return the user name or address among the credentials; nothing else of them is looked at."""
    if not isinstance(credentials, Mapping):
        return ""
    try:
        own = getattr(get_user_model(), "USERNAME_FIELD", "username")
    except ImproperlyConfigured:
        own = "username"
    for name in (own, "username", "email"):
        value = credentials.get(name)
        if isinstance(value, str) and value:
            return value
    return ""
