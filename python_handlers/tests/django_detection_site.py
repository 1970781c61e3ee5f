"""The store in a database: of a process of its own, and of the tests."""

import contextlib
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_settings")


def with_connection(connection):
    """Make the connection Django's second one; returns its name."""
    import django

    django.setup()
    from django.db import connections

    configured = {"default": connections.settings["default"], "server": dict(connection)}
    connections.settings["server"] = connections.configure_settings(configured)["server"]
    return "server"


@contextlib.contextmanager
def migrated(connection):
    """Give the name of a connection with the tables of detection and of incidents."""
    alias = with_connection(connection)
    from django.core.management import call_command
    from django.db import connections

    for application in ("logbastion_detection", "logbastion_incidents"):
        call_command("migrate", application, database=alias, verbosity=0)
    yield alias
    connections[alias].close()
    del connections[alias], connections.settings[alias]


def empty_store(alias, clock=None, **options):
    """Return the store in a database that has nothing in it."""
    import django

    django.setup()
    from django.core.management import call_command

    from logbastion.django.detection.models import AddressBlock, Subject
    from logbastion.django.detection.store import DatabaseStore

    if alias == "default":
        call_command("migrate", "logbastion_detection", verbosity=0)
    for model in (Subject, AddressBlock):
        model.objects.using(alias).all().delete()
    return DatabaseStore(alias, clock=clock, **options)


def store(connection):
    """Return the store of one of many processes, which waits as long as it must."""
    alias = with_connection(connection)
    from logbastion.django.detection.store import DatabaseStore

    return DatabaseStore(alias)
