"""Django's system checks: what is unsafe stops ``manage.py``, and says what to do.

They run with each ``manage.py check``, ``runserver`` and other command that checks, under the tags ``security`` and
``logbastion``, and need no ``--deploy``. A server such as gunicorn runs no checks: have the deployment run ``manage.py
check`` with the settings and the environment of the server.

The ids are those of :mod:`logbastion.diagnosis_rules`, which documents them one by one. Made here are 001 to 009 and
070 to 072, in :mod:`logbastion.django.incidents.checks` 060 to 065; the rest comes from :mod:`logbastion.diagnosis` and
:mod:`logbastion.logging_tree`. The environment is that of :func:`logbastion.diagnosis.environment_in_use`: what the
live formatters write, or ``LOGBASTION_ENVIRONMENT``, and the strict one when they differ. A finding that has been
thought through is silenced with ``SILENCED_SYSTEM_CHECKS``.

No check raises: what cannot be looked at is W099.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.urls import get_resolver
from django.utils.log import AdminEmailHandler
from django.utils.module_loading import import_string

from logbastion import client_address, diagnosis
from logbastion.detection.stores.redis import in_the_open
from logbastion.diagnosis_rules import Finding, breach
from logbastion.django.incidents.checks import incident_store, maintenance
from logbastion.django.middleware import CorrelationIdMiddleware
from logbastion.django.places import places
from logbastion.logging_tree import attached_handlers, root_passes_gate
from logbastion.redaction import Classification

TAG: Final = "logbastion"
_AUTHENTICATION: Final = "authentication"
# By name: importing Django's views needs its models, which a project without log-ins has not installed.
_PASSWORD_RESET: Final = ("django.contrib.auth.views", "PasswordResetConfirmView")
_REFUSES: Final = "BlockedAddressMiddleware"
_Judge = Callable[[str], list[Finding]]


def debug(environment: str) -> list[Finding]:
    """Rule 001: ``DEBUG`` in a strict environment."""
    return breach(1, environment, "DEBUG is on.") if settings.DEBUG else []


def middleware(environment: str) -> list[Finding]:
    """Rule 002: the middleware, or a class derived from it, is the first."""
    classes = list(settings.MIDDLEWARE or ())
    if classes and _is_ours(classes[0]):
        return []
    where = "not the first in" if any(map(_is_ours, classes)) else "missing in"
    return breach(2, environment, f"The CorrelationIdMiddleware is {where} MIDDLEWARE.")


def _is_ours(name: str) -> bool:
    made = import_string(name)
    return isinstance(made, type) and issubclass(made, CorrelationIdMiddleware)


def url_patterns(environment: str) -> list[Finding]:
    """Rule 003: no pattern captures something with the name of a kind of the category ``authentication``.

    Django's own view for a new password is let off: a link in an e-mail has no other place for its token, which works
    once, and the view takes it out of the address with a redirect before it shows the form.
    """
    kind_of = Classification.standard().kind_of
    found = []
    for route, names in _routes(get_resolver(), "", ()):
        for name in names:
            kind = kind_of(name)
            if kind is not None and kind.category == _AUTHENTICATION:
                text = f"The URL pattern {route!r} captures {name!r}, which is log-in data ({kind.kind})."
                found += breach(3, environment, text)
    return found


def _routes(resolver: Any, prefix: str, outer: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for entry in resolver.url_patterns:
        route = prefix + str(entry.pattern)
        names = (*outer, *entry.pattern.regex.groupindex)
        if hasattr(entry, "url_patterns"):
            yield from _routes(entry, route, names)
        elif not _resets_a_password(entry.callback):
            yield route, names


def _resets_a_password(callback: Any) -> bool:
    view = getattr(callback, "view_class", None)
    return isinstance(view, type) and any((base.__module__, base.__name__) == _PASSWORD_RESET for base in view.__mro__)


def cache(environment: str) -> list[Finding]:
    """Rule 004: the default cache is one that workers share, or that at least is there."""
    backend = import_string(settings.CACHES["default"]["BACKEND"])
    if not issubclass(backend, (LocMemCache, DummyCache)):
        return []
    return breach(
        4,
        environment,
        f"The default cache ({backend.__name__}) is not shared: each worker knows its own attempts alone.",
    )


def gate(environment: str) -> list[Finding]:
    """Rule 005: the root logger has a handler through the gate, however it was configured."""
    return [] if root_passes_gate() else breach(5, environment, "No handler of the root logger passes the redaction.")


def error_mail(environment: str) -> list[Finding]:
    """Rule 006: nobody mails Django's error reports.

    The handler makes the report from the request and the exception, so that neither a formatter nor a filter redacts
    it; with ``include_html`` the local variables of every frame are in it.
    """
    found = []
    for logger, handler, _ in attached_handlers():
        if isinstance(handler, AdminEmailHandler):
            more = ", and the local variables of every frame" if handler.include_html else ""
            text = f"The handler {type(handler).__name__} of the logger {logger!r} mails the settings and the request"
            found += breach(6, environment, f"{text}{more}.")
    return found


def detection(environment: str) -> list[Finding]:
    """Rules 007 to 009: ``LOGBASTION_DETECTION`` sees all workers, keeps to itself, and blocks whom it means."""
    asked = getattr(settings, "LOGBASTION_DETECTION", None)
    if not asked:
        return []
    found = []
    if asked.get("STORE") == "memory":
        found += breach(7, environment, "LOGBASTION_DETECTION counts in the memory of each process.")
    host = in_the_open(asked.get("REDIS_URL") or "")
    if host is not None:
        found += breach(8, environment, f"LOGBASTION_DETECTION sends to Redis on {host} without TLS.")
    if asked.get("BLOCKING") == "enforce":
        if not any(name.endswith(_REFUSES) for name in settings.MIDDLEWARE or ()):
            found += breach(9, environment, f"Addresses are to be blocked, but {_REFUSES} is missing in MIDDLEWARE.")
        if getattr(settings, client_address.VARIABLE, os.environ.get(client_address.VARIABLE)) is None:
            text = f"Addresses are blocked, but {client_address.VARIABLE} does not say which proxies are your own."
            found += breach(9, environment, text)
    return found


def security_page(environment: str) -> list[Finding]:
    """Rules 040, 041 and 070 to 072: the page of the security log has what it needs, and its credential is private."""
    if not apps.is_installed("logbastion.django.security_page"):
        return []
    # Only where it is installed: its modules need those of the admin.
    from logbastion.django.security_page.checks import findings  # noqa: PLC0415

    return findings(environment)


def host(environment: str) -> list[Finding]:
    """Rules 010 to 043, for the places that the settings name, or else the environment variables."""
    return diagnosis.diagnose(environment, places())


JUDGES: Final[tuple[_Judge, ...]] = (
    debug,
    middleware,
    url_patterns,
    cache,
    gate,
    error_mail,
    detection,
    incident_store,
    maintenance,
    security_page,
    host,
    diagnosis.handler_findings,
)
"""What is asked; Django runs them in no order."""


def register() -> None:
    """Register the checks with Django; a second call changes nothing."""
    for check in _CHECKS:
        checks.register(check, checks.Tags.security, TAG)


def _check_of(judge: _Judge) -> Callable[..., list[Any]]:
    def check(**_options: Any) -> list[Any]:
        environment = "development"
        try:
            environment = diagnosis.environment_in_use()
            found = judge(environment)
        except Exception as error:  # a check that raises would hide what the others have found
            text = f"The check {judge.__name__!r} could not look: {type(error).__name__}."
            found = breach(99, environment, text)
        return [_message(finding) for finding in found]

    # functools.wraps would hide from Django that options are taken.
    check.__name__, check.__doc__ = judge.__name__, judge.__doc__
    return check


def _message(finding: Finding) -> Any:
    made = checks.Error if finding.level == "error" else checks.Warning
    return made(finding.message, hint=finding.hint, id=finding.id)


_CHECKS: Final = tuple(map(_check_of, JUDGES))
