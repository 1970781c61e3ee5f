"""What Django signals about log-ins and refusals, through its own views and middleware."""

import asyncio
import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.test.utils import CaptureQueriesContext
from django_auth_site import MARIA, OTHER, SECURITY, log_in, new_client

import logbastion
from logbastion.client_address import get_client_ip, set_trusted_proxies
from logbastion.django import signals
from logbastion.django.options import apply_settings
from logbastion.metrics import security_event_type
from logbastion.pseudonym_keys import add_key
from logbastion.pseudonyms import configure_pseudonyms, configured_pseudonymizer

ENVIRONMENT = {"PYTHONPATH": str(Path(logbastion.__file__).parent.parent)}
pytestmark = pytest.mark.usefixtures("auth_site")


@pytest.fixture
def memory(auth_site):
    return auth_site


@pytest.fixture
def client(auth_site):
    return new_client()


class TestLoggingInAndOut:
    def test_log_in(self, client, memory, maria):
        assert log_in(client).status_code == 302
        (event,) = memory.auth()
        assert (event["event_type"], event["level"]) == ("authentication_attempt", "INFO")
        assert event["event"]["dataset"] == "django.security"
        assert (event["user_id"], event["security"], event["correlation_id"]) == (maria.pk, SECURITY, "c-1")
        assert event["extra"] == {"email": "m***@example.org", "success": True}

    def test_a_failed_one_without_what_was_typed(self, client, memory, maria):
        assert log_in(client, "wrong password of maria").status_code == 200
        (event,) = memory.auth()
        assert (event["event_type"], event["level"]) == ("authentication_attempt", "WARNING")
        assert event["security"] == SECURITY
        assert event["extra"] == {
            "email": "m***@example.org",
            "success": False,
            "failure_reason": "invalid_credentials",
        }
        assert "user_id" not in event
        assert security_event_type(next(r for r in memory.records if r.name == "accounts.auth")) == (
            "authentication_failure"
        )
        assert "wrong password" not in memory.raw()
        assert "maria" not in json.dumps(memory.auth())

    def test_both_have_the_same_pseudonym_once_there_is_a_key(self, client, memory, maria, tmp_path):
        add_key(tmp_path / "keys", "first")
        with override_settings(LOGBASTION_PSEUDONYM_KEYS_FILE=tmp_path / "keys"):
            apply_settings()
        log_in(client, "wrong")
        log_in(client, username=MARIA.upper(), password="wrong")
        log_in(client)
        made = {event["extra"]["email_pseudonym"] for event in memory.auth()}
        assert made == {configured_pseudonymizer().pseudonym("email", MARIA)}
        assert len(memory.auth()) == 3

    def test_log_out(self, client, memory, maria):
        log_in(client)
        client.post("/logout/")
        event = memory.auth()[-1]
        assert (event["event_type"], event["level"], event["user_id"]) == ("logout", "INFO", maria.pk)
        assert event["security"] == SECURITY
        assert event["extra"] == {"success": True}

    def test_log_out_of_somebody_who_was_not_logged_in_says_nothing(self, client, memory):
        assert client.post("/logout/").status_code == 302
        assert memory.auth() == []

    def test_attempts_outside_of_a_request_and_with_other_credentials(self, memory, maria):
        assert authenticate(None, username=MARIA, password="secret-1") is None
        user_login_failed.send(sender="x", credentials={"email": "jo@example.org", "otp": "secret-2"}, request=None)
        user_login_failed.send(sender="x", credentials={"token": "secret-3"}, request=None)
        user_login_failed.send(sender="x", credentials={"username": ["secret-4"]}, request=None)
        user_login_failed.send(sender="x", credentials=None)
        shown = [event["extra"]["email"] for event in memory.auth()]
        assert shown == ["m***@example.org", "***@example.org", "***", "***", "***"]
        assert "secret" not in memory.raw()

    def test_the_client_behind_a_trusted_proxy(self, memory, maria):
        with override_settings(LOGBASTION_TRUSTED_PROXIES=["192.0.2.7"]):
            apply_settings()
        client = Client(REMOTE_ADDR="192.0.2.7", headers={"X-Forwarded-For": "1.1.1.1, 203.0.113.9"})
        log_in(client)
        found = {(event["event"]["dataset"], event["security"]["source_ip"]) for event in memory.events}
        assert ("django.security", "203.0.113.9") in found
        # Where it does not serve security, the redaction keeps the network alone.
        assert found <= {("django.security", "203.0.113.9"), ("django.performance", "203.0.113.0")}

    @pytest.mark.parametrize("lines", [["1.1.1.1", "203.0.113.9"], ["1.1.1.1, 203.0.113.9", "192.0.2.7"]])
    def test_several_header_lines_are_one_list(self, lines):
        scope = {
            "type": "http", "method": "GET", "path": "/", "query_string": b"", "client": ("192.0.2.7", 1),
            "headers": [(b"x-forwarded-for", line.encode()) for line in lines],
        }  # fmt: skip
        assert get_client_ip(ASGIRequest(scope, io.BytesIO()), "192.0.2.7") == "203.0.113.9"
        assert get_client_ip(ASGIRequest({**scope, "client": None}, io.BytesIO()), "192.0.2.7") is None
        assert get_client_ip(ASGIRequest({**scope, "client": None}, io.BytesIO()), "unix 192.0.2.7") == "203.0.113.9"


class HostileUser:
    USERNAME_FIELD = "username"

    @property
    def pk(self):
        raise RuntimeError("secret-of-the-user")

    def save(self, **_):
        """Django notes the time of the log-in."""

    def get_username(self):
        raise RuntimeError("secret-of-the-user")


@pytest.mark.parametrize("signal", [user_logged_in, user_logged_out])
def test_a_fault_is_told_of_and_never_reaches_the_log_in(memory, signal):
    signal.send(sender=HostileUser, request=None, user=HostileUser())
    signal.send(sender=HostileUser, request=object(), user=HostileUser())
    assert {event["logger"] for event in memory.events} == {"system.log_management"}
    assert [event["event_type"] for event in memory.events] == ["security_event_lost"] * 2
    assert "secret-of-the-user" not in memory.raw()


def test_a_logger_that_raises_never_reaches_the_log_in(client, maria):
    class Broken(logging.Filter):
        def filter(self, record):
            raise RuntimeError("broken")

    filter_ = Broken()
    loggers = [logging.getLogger("accounts.auth"), logging.getLogger("system.log_management")]
    for logger in loggers:
        logger.addFilter(filter_)
        logger.setLevel(logging.INFO)
    try:
        assert log_in(client, "wrong").status_code == 200
        assert log_in(client).status_code == 302
        assert client.get("/denied/maria/").status_code == 403
        assert client.post("/logout/").status_code == 302
    finally:
        for logger in loggers:
            logger.removeFilter(filter_)
            logger.setLevel(logging.NOTSET)


class TestPermissionDenied:
    @pytest.mark.parametrize("page", ["forbidden", "denied"])
    def test_a_403_of_any_origin_with_the_pattern_not_the_path(self, client, memory, maria, page):
        log_in(client)
        client.get("/save/")
        client.get(f"/{page}/maria/")
        event = memory.auth()[-1]
        assert (event["event_type"], event["level"]) == ("permission_denied", "WARNING")
        assert event["security"] == SECURITY
        assert event["extra"] == {
            "success": False,
            "access_denied": True,
            "http_method": "GET",
            "http_status": 403,
            "route": f"/{page}/<str:name>/",
        }
        assert "maria" not in json.dumps(memory.auth())
        assert [event["event_type"] for event in memory.auth()].count("permission_denied") == 1

    def test_who_it_was_when_that_is_known_and_no_query_when_not(self, client, memory, maria):
        log_in(client)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get("/denied/x/")
        assert queries.captured_queries == []
        assert "user_id" not in memory.auth()[-1]

    def test_a_refusal_of_the_csrf_check(self, memory):
        client = Client(enforce_csrf_checks=True)
        assert log_in(client).status_code == 403
        assert [event["event_type"] for event in memory.auth()] == ["permission_denied"]

    def test_under_asgi(self, memory):
        async def request():
            return await AsyncClient().get("/denied-async/", headers={"X-Correlation-ID": "a-1"})

        assert asyncio.run(request()).status_code == 403
        (event,) = memory.auth()
        assert (event["event_type"], event["correlation_id"]) == ("permission_denied", "a-1")

    def test_other_answers_say_nothing(self, client, memory):
        client.get("/nothing/")
        client.get("/save/")
        assert memory.auth() == []

    def test_a_quiet_path_has_this_event_but_no_other(self, memory):
        with override_settings(LOGBASTION_QUIET_PATHS=("/denied/x/",)):
            Client().get("/denied/x/")
        assert [event["logger"] for event in memory.events] == ["django.request", "accounts.auth"]

    def test_not_when_switched_off_or_not_installed(self, memory):
        with override_settings(LOGBASTION_SIGNALS=False):
            Client().get("/denied/x/")
        with override_settings(INSTALLED_APPS=[]):
            Client().get("/denied/x/")
        assert memory.auth() == []
        Client().get("/denied/x/")
        assert len(memory.auth()) == 1


class TestSettings:
    def test_the_application_is_usable_by_its_name(self):
        config = apps.get_app_config("logbastion")
        assert config.name == "logbastion.django"

    @pytest.mark.parametrize(
        ("setting", "value", "sentence"),
        [
            ("LOGBASTION_TRUSTED_PROXIES", ["everybody"], "The trusted proxy 'everybody' is no network"),
            ("LOGBASTION_TRUSTED_PROXIES", "0.0.0.0/0", "is everybody"),
            ("LOGBASTION_PSEUDONYM_KEYS_FILE", "/nowhere/keys", "cannot be opened"),
        ],
    )
    def test_a_wrong_setting_or_variable_stops_the_start_with_a_sentence(self, monkeypatch, setting, value, sentence):
        with override_settings(**{setting: value}), pytest.raises(ImproperlyConfigured, match=sentence):
            apply_settings()
        set_trusted_proxies(None)
        configure_pseudonyms(None)
        monkeypatch.setenv(setting, value if isinstance(value, str) else ",".join(value))
        with pytest.raises(ImproperlyConfigured, match=sentence):
            apply_settings()

    @pytest.mark.parametrize("installed", [["logbastion.django"], ["logbastion.django", "django.contrib.auth"]])
    def test_it_starts_first_in_the_list_and_without_users(self, installed):
        """A process of its own, because Django is set up once: models must not be imported before they may be."""
        installed = [*installed, "django.contrib.contenttypes"] if len(installed) > 1 else installed
        program = (
            "import django, logbastion.django.signals, logbastion.django.middleware\n"
            "from django.conf import settings\n"
            f"settings.configure(INSTALLED_APPS={installed!r})\n"
            "django.setup()\n"
            "from django.db.models.signals import post_save\n"
            "print(len(post_save.receivers))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60, env=ENVIRONMENT
        )
        assert (done.stderr, done.stdout.strip()) == ("", str(len(installed) // 2))

    def test_signals_can_be_switched_off(self, memory, maria):
        signals.disconnect()
        try:
            with override_settings(LOGBASTION_SIGNALS=False):
                apps.get_app_config("logbastion").ready()
                assert authenticate(RequestFactory().get("/"), username=MARIA, password="x") is None
                maria.set_password(OTHER)
                maria.save()
            assert memory.auth() == []
        finally:
            apps.get_app_config("logbastion").ready()
        authenticate(RequestFactory().get("/"), username=MARIA, password="x")
        assert len(memory.auth()) == 1
