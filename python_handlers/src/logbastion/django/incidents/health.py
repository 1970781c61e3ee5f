"""A response that asks the databases how they are.

``responses={"database_health": {"function": "logbastion.django.incidents.health.database_health"}}``
"""

from __future__ import annotations

import time

from django.db import connections
from django.db.migrations.executor import MigrationExecutor

from logbastion.incidents.reports import IncidentReport


def database_health(_report: IncidentReport) -> str:
    """Return for each of ``DATABASES`` whether it answers, how soon, and how many migrations have not run.

    The connections are new ones: those of this thread.
    """
    return "; ".join(f"{alias}: {_health(alias)}" for alias in connections)


def _health(alias: str) -> str:
    begin = time.monotonic()
    connection = connections[alias]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
        answered = f"answers in {(time.monotonic() - begin) * 1000:.0f} ms"
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except Exception as error:  # that is what was to be found out
        return f"fails ({type(error).__name__}: {str(error).strip()[:200]})"
    else:
        return f"{answered}, {missing} migrations have not run" if missing else answered
    finally:
        connection.close()
