"""System checks of incidents: rules 060 to 065 of :mod:`logbastion.diagnosis_rules`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.db import connections
from django.utils.module_loading import import_string

from logbastion.detection.stores.redis import in_the_open
from logbastion.diagnosis_rules import Finding, breach
from logbastion.django.connection import VENDORS
from logbastion.django.incidents.middleware import SETTING
from logbastion.incidents.handler import IncidentDetectionHandler
from logbastion.incidents.stores.named import checked_store
from logbastion.logging_tree import attached_handlers

_APPLICATION: Final = "logbastion.django.incidents"
# By name: importing Django's needs its models, which a project without log-ins has not installed.
_KNOWS_STAFF: Final = ("django.contrib.auth.middleware", "AuthenticationMiddleware")
_REFUSES: Final = ("logbastion.django.incidents.middleware", "MaintenanceMiddleware")


def incident_store(environment: str) -> list[Finding]:
    """Rules 063 to 065: incidents are those of all workers, and their store can be reached as it should."""
    found = []
    for options in _options():
        store = checked_store(options.get("store"))
        host = in_the_open(str(store.get("url") or ""))
        if store["kind"] == "memory":
            found += breach(63, environment, "Incidents are in the memory of each process: each worker has its own.")
        elif host is not None:
            found += breach(64, environment, f"The store of incidents is a Redis on {host} without TLS.")
        elif store["kind"] == "database":
            found += _database(environment, store.get("database", "default"))
    return found


def _database(environment: str, alias: str) -> list[Finding]:
    if not apps.is_installed(_APPLICATION):
        return breach(65, environment, f"Incidents are to be in the database, and {_APPLICATION!r} is not installed.")
    if alias not in connections.settings:
        return breach(65, environment, f"Incidents are to be in the database {alias!r}, which DATABASES does not have.")
    vendor = connections[alias].vendor
    return [] if vendor in VENDORS else breach(65, environment, f"Incidents cannot be in the database of {vendor}.")


def maintenance(environment: str) -> list[Finding]:
    """Rules 060 to 062: the flag is read, by a middleware that knows staff, and written by nobody else."""
    path, classes = getattr(settings, SETTING, None), list(settings.MIDDLEWARE or ())
    place = _first(classes, _REFUSES)
    found = []
    for written in _flags():
        if written != (os.fspath(path) if path else None):
            text = f"The response writes the maintenance flag {written}, and {SETTING} is {path}."
            found += breach(60, environment, text)
    if not path:
        if place is not None:
            found += breach(60, environment, f"MaintenanceMiddleware is in MIDDLEWARE, and {SETTING} is not set.")
        return found
    if place is None:
        found += breach(60, environment, f"{SETTING} is set, and MaintenanceMiddleware is missing in MIDDLEWARE.")
    else:
        known = _first(classes, _KNOWS_STAFF)
        if known is None or known > place:
            text = "MaintenanceMiddleware is not after AuthenticationMiddleware, so that staff are turned away, too."
            found += breach(60, environment, text)
    return found + _flag_findings(environment, os.fspath(path))


def _flag_findings(environment: str, path: str) -> list[Finding]:
    found, directory = [], os.path.dirname(path) or "."
    for looked_at in (directory, path):
        try:
            mode = os.stat(looked_at).st_mode
        except FileNotFoundError:
            continue
        if mode & stat.S_IWOTH:
            text = (
                f"Others may write {looked_at} (mode {stat.S_IMODE(mode):04o}), so each user of this host can switch "
            )
            found += breach(61, environment, f"{text}maintenance on or keep it off.")
    if not os.path.isabs(path):
        found += breach(60, environment, f"{SETTING} is {path}, which is no absolute path.")
    elif not os.access(directory, os.W_OK | os.X_OK):
        found += breach(62, environment, f"The maintenance flag cannot be written: {directory} is missing or closed.")
    return found


def _first(classes: list[str], kind: tuple[str, str]) -> int | None:
    for number, name in enumerate(classes):
        try:
            made = import_string(name)
        except ImportError:  # the check of the other middleware says so
            continue
        if isinstance(made, type) and any((base.__module__, base.__name__) == kind for base in made.__mro__):
            return number
    return None


def _options() -> Iterator[Mapping[str, Any]]:
    for _, handler, _ in attached_handlers():
        if isinstance(handler, IncidentDetectionHandler):
            yield handler.options


def _flags() -> Iterator[str]:
    for options in _options():
        asked = (options.get("responses") or {}).get("maintenance")
        if asked is not None:
            yield os.fspath(asked.get("file", ""))
