"""A connection of its own to one of the project's databases, for what must not wait for a view or fail with it."""

from __future__ import annotations

import copy
from typing import Any, Final

from django.db import connections

PREFIX: Final = "logbastion_"
VENDORS: Final = ("postgresql", "sqlite")
_CONNECT_SECONDS: Final = 2
_WAIT_MILLISECONDS: Final = 1000
_KEPT_SECONDS: Final = 60


def own_connection(alias: str) -> str:
    """Return the name of a connection of its own to a database; that of the database itself for SQLite.

    It gives up after two seconds without a connection, and after one without a lock or an answer.

    Raises:
        ValueError: there is no such database, or it is neither PostgreSQL nor SQLite.

    """
    if alias not in connections.settings:
        raise ValueError(f"DATABASES does not have {alias!r}, which is named for detection or incidents.")
    vendor = connections[alias].vendor
    if vendor not in VENDORS:
        raise ValueError(f"Detection and incidents count in PostgreSQL or SQLite, and not in {vendor}: use Redis.")
    if vendor == "sqlite":
        return alias
    own = copy.deepcopy(connections.settings[alias])
    options: dict[str, Any] = own["OPTIONS"]
    for name in ("pool", "isolation_level"):  # a lock is worth something under READ COMMITTED, the default
        options.pop(name, None)
    options.setdefault("connect_timeout", _CONNECT_SECONDS)
    waits = f"-c lock_timeout={_WAIT_MILLISECONDS} -c statement_timeout={_WAIT_MILLISECONDS}"
    options["options"] = f"{options.get('options', '')} {waits}".strip()
    own.update(ATOMIC_REQUESTS=False, AUTOCOMMIT=True, CONN_MAX_AGE=_KEPT_SECONDS, CONN_HEALTH_CHECKS=True)
    own["TEST"]["MIRROR"] = alias
    name = f"{PREFIX}{alias}"
    connections.settings[name] = own
    return name
