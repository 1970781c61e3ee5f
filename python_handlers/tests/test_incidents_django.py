"""Incidents in Django: visitors turned away during maintenance, and the database asked."""

import asyncio
import json
import time
from pathlib import Path

import django_settings
import pytest
from django.conf import settings

if not settings.configured:
    settings.configure(**{name: getattr(django_settings, name) for name in dir(django_settings) if name.isupper()})

import django
from django.db import connections
from django.http import HttpResponse
from django.test import RequestFactory, override_settings

from logbastion.django.incidents.health import database_health
from logbastion.django.incidents.middleware import MaintenanceMiddleware

django.setup()


class Staff:
    is_staff = True


def answer(path="/school/", user=None):
    request = RequestFactory().get(path)
    if user is not None:
        request.user = user
    return MaintenanceMiddleware(lambda _request: HttpResponse("served"))(request)


@pytest.fixture
def flag(tmp_path):
    file = tmp_path / "maintenance"
    with override_settings(LOGBASTION_MAINTENANCE_FILE=str(file)):
        yield file


def switch_on(flag: Path, seconds: float) -> None:
    flag.write_text(json.dumps({"until": time.time() + seconds}))


def test_visitors_are_turned_away_while_the_flag_lasts(flag):
    assert answer().content == b"served"
    switch_on(flag, 600)
    turned_away = answer()
    assert turned_away.status_code == 503
    assert 590 < int(turned_away["Retry-After"]) <= 600
    switch_on(flag, -1)
    assert answer().content == b"served"
    with override_settings(LOGBASTION_MAINTENANCE_FILE=None):
        assert answer().content == b"served"


def test_staff_the_log_in_and_quiet_paths_go_on(flag):
    switch_on(flag, 600)
    assert answer(user=Staff()).status_code == 200
    assert answer(user=django_settings.User()).status_code == 503
    assert answer("/healthz").status_code == 200
    assert answer("/accounts/login/?next=/").status_code == 200
    with override_settings(LOGBASTION_MAINTENANCE_OPEN=["/open/"]):
        assert answer("/open/page").status_code == 200
        assert answer("/accounts/login/").status_code == 503


def test_who_cannot_be_asked_is_no_staff(flag):
    class Broken:
        @property
        def is_staff(self):
            raise RuntimeError("the database is away")

    switch_on(flag, 600)
    assert answer(user=Broken()).status_code == 503


def test_it_works_on_an_event_loop(flag):
    async def serve(_request):
        return HttpResponse("served")

    middleware = MaintenanceMiddleware(serve)
    assert asyncio.run(middleware(RequestFactory().get("/"))).content == b"served"
    switch_on(flag, 600)
    assert asyncio.run(middleware(RequestFactory().get("/"))).status_code == 503


def test_the_health_of_the_database_is_said(tmp_path):
    from django.core.management import call_command

    connection = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "school.sqlite3")}
    away = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "nowhere/x.sqlite3")}
    configured = connections.configure_settings(
        {"default": connections.settings["default"], "a": connection, "b": away}
    )
    connections.settings.update({name: configured[name] for name in "ab"})
    try:
        before = dict(part.split(": ", 1) for part in database_health(None).split("; "))
        call_command("migrate", "logbastion_detection", database="a", verbosity=0)
        after = dict(part.split(": ", 1) for part in database_health(None).split("; "))
    finally:
        for name in "ab":
            connections[name].close()
            del connections[name], connections.settings[name]
    missing = [int(text.split(", ")[1].split()[0]) for text in (before["a"], after["a"])]
    assert missing[0] == missing[1] + 1
    assert before["a"].startswith("answers in ")
    assert before["b"] == "fails (OperationalError: unable to open database file)"
