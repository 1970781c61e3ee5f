"""In the project's database, where there is no Redis: a row for each service, locked while it is changed.

Tested with PostgreSQL and SQLite. The connection is one of its own, see
:func:`logbastion.django.connection.own_connection`: each worker has one more for its thread of incidents.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any, Final

from django.db import connections, transaction

from logbastion.django.connection import own_connection
from logbastion.django.incidents.models import IncidentBook
from logbastion.incidents.stores.base import Result
from logbastion.incidents.stores.named import provide_store

_KEPT_SECONDS: Final = 8 * 86_400


class DatabaseIncidentStore:
    """Incidents in the database.

    Args:
        using: the connection.

    """

    shared: Final = True

    def __init__(self, using: str = "default") -> None:
        self._using = using

    def update(self, scope: str, change: Callable[[dict[str, Any], float], Result]) -> Result:
        """Change a book; what changes nothing takes no lock.

        Raises:
            django.db.DatabaseError: the database is away, or the row was locked for too long.

        """
        key = hashlib.sha256(scope.encode()).hexdigest()
        try:
            seen = IncidentBook.objects.using(self._using).filter(pk=key).values_list("content", flat=True).first()
            if seen is not None:
                book = json.loads(seen)
                before = copy.deepcopy(book)
                result = change(book, self._time())
                if book == before:
                    return result
            return self._locked(key, change)
        except Exception:
            # One that is broken stays so: no request of Django's begins or ends in this thread, and would close it.
            if not connections[self._using].in_atomic_block:
                with contextlib.suppress(Exception):
                    connections[self._using].close()
            raise

    def _locked(self, key: str, change: Callable[[dict[str, Any], float], Result]) -> Result:
        rows = IncidentBook.objects.using(self._using)
        with transaction.atomic(using=self._using):
            # The first statement writes, so SQLite takes its lock here and not in the middle.
            rows.bulk_create([IncidentBook(scope=key)], ignore_conflicts=True)
            row = rows.select_for_update().get(pk=key)
            now = self._time()  # after the lock: others have waited for theirs, too
            book = json.loads(row.content)
            result = change(book, now)
            row.content, row.forget_at = json.dumps(book), now + _KEPT_SECONDS
            row.save(using=self._using, force_update=True)
            rows.filter(forget_at__lt=now, forget_at__gt=0).exclude(pk=key).delete()  # of services that are gone
        return result

    def _time(self) -> float:
        connection = connections[self._using]
        if connection.vendor != "postgresql":
            return time.time()
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())::double precision")
            return float(cursor.fetchone()[0])


def provide() -> None:
    """Have the setting of incidents know the store ``database``."""
    provide_store("database", lambda database="default": DatabaseIncidentStore(own_connection(database)))
