"""Detection in a Django site: from the failed log-in to the refused request, the command, the admin's page."""

import asyncio
import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from detection_helpers import Events
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import AsyncClient, Client, override_settings
from django.urls import path
from django_auth_site import PASSWORD, SITE, User, log_in, new_client
from prometheus_client import REGISTRY

import logbastion
from logbastion.client_address import set_trusted_proxies
from logbastion.detection import configure_detection, security_detector, trigger_ip_block
from logbastion.django.detection.models import AddressBlock, Subject
from logbastion.django.detection.setup import apply_detection

ATTACKER = "192.0.2.7"
MIDDLEWARE = [
    SITE["MIDDLEWARE"][0],
    "logbastion.django.detection.middleware.BlockedAddressMiddleware",
    *SITE["MIDDLEWARE"][1:],
]
BASE = {"STORE": "memory", "BLOCKING": "enforce"}
pytestmark = pytest.mark.integration  # the tables are made for each
ENVIRONMENT = {"PYTHONPATH": str(Path(logbastion.__file__).parent.parent)}


@pytest.fixture
def site(auth_site):
    """The site; call it with settings of detection to switch that on."""
    Subject.objects.all().delete()
    AddressBlock.objects.all().delete()
    changed = []

    def switch_on(**settings):
        changed.append(override_settings(MIDDLEWARE=MIDDLEWARE, LOGBASTION_DETECTION={**BASE, **settings}))
        changed[-1].enable()
        apply_detection()
        return new_client()

    yield switch_on
    for override in changed:
        override.disable()
    configure_detection(None)


@pytest.fixture
def events():
    handler = Events()
    logging.getLogger("security.events").addHandler(handler)
    yield handler
    logging.getLogger("security.events").removeHandler(handler)


def refused(mode):
    return REGISTRY.get_sample_value("logbastion_blocked_requests_total", {"mode": mode}) or 0


class AsyncFrom(AsyncClient):
    """A client with an address."""

    def __init__(self, address):
        super().__init__()
        self._address = address

    def _base_scope(self, **request):
        return {**super()._base_scope(**request), "client": [self._address, 80]}


class TestFromTheLoginToTheBlock:
    @pytest.mark.parametrize("store", ["memory", "database"])
    def test_five_wrong_passwords(self, site, maria, events, store):
        client = site(STORE=store)
        answers = [log_in(client, "wrong").status_code for _ in range(6)]
        assert answers == [200] * 5 + [403]
        assert events.types == ["brute_force_attack", "ip_blocked"]
        assert events.records[1].network == ATTACKER
        answer = log_in(client)
        assert answer.status_code == 403  # also with the right password
        assert 890 <= int(answer["Retry-After"]) <= 900
        assert (answer["Cache-Control"], answer["Content-Type"]) == ("no-store", "text/plain; charset=utf-8")
        assert "Try again in 15 min." in answer.content.decode()
        assert log_in(Client(REMOTE_ADDR="192.0.2.8")).status_code == 302

    def test_dry_run_is_the_default_and_counts(self, site, maria, events):
        client = site(BLOCKING="dry_run")
        before = refused("dry_run")
        assert [log_in(client, "wrong").status_code for _ in range(7)] == [200] * 7
        assert events.records[1].dry_run is True
        assert refused("dry_run") == before + 2

    def test_a_refused_request_is_counted_and_seen_with_its_correlation_id(self, site, auth_site):
        client = site()
        before = refused("enforce")
        trigger_ip_block(ATTACKER)
        answer = client.get("/login/")
        assert (answer.status_code, answer["X-Correlation-ID"]) == (403, "c-1")
        assert refused("enforce") == before + 1

    def test_a_client_cannot_pass_for_another(self, site):
        client = site()
        trigger_ip_block(ATTACKER)
        for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP", "True-Client-IP"):
            assert client.get("/login/", headers={header: "198.51.100.1"}).status_code == 403

    def test_the_proxy_is_never_blocked_and_its_clients_are_apart(self, site, maria):
        client = site()
        set_trusted_proxies([ATTACKER])
        for _ in range(6):
            client.post("/login/", {"username": "m", "password": "x"}, headers={"X-Forwarded-For": "1.1.1.1, 8.8.8.8"})
        blocked = [block.network for block in security_detector().blocks.listed()]
        assert blocked == ["8.8.8.8"]
        assert client.get("/login/").status_code == 200
        assert client.get("/login/", headers={"X-Forwarded-For": "1.1.1.1"}).status_code == 200
        assert client.get("/login/", headers={"X-Forwarded-For": "8.8.8.8"}).status_code == 403

    def test_asynchronously(self, site):
        site()
        trigger_ip_block("127.0.0.2")
        with override_settings(ROOT_URLCONF="django_settings"):
            assert security_detector().blocks.refusal("127.0.0.2") is None  # of this host
            trigger_ip_block(ATTACKER)
            for address, status in ((ATTACKER, 403), ("192.0.2.8", 200)):
                assert asyncio.run(AsyncFrom(address).get("/async/")).status_code == status

    def test_with_the_store_away_everything_goes_on(self, site, maria):
        client = site(STORE="redis", REDIS_URL="unix:///nonexistent/redis.sock")
        assert [log_in(client, "wrong").status_code for _ in range(7)] == [200] * 7
        assert log_in(client).status_code == 302


class TestCommand:
    def run(self, *arguments):
        output = io.StringIO()
        call_command("blocked_addresses", *arguments, stdout=output)
        return output.getvalue()

    def test_lists_and_lifts(self, site, events):
        site()
        assert self.run() == "No address is blocked.\n"
        trigger_ip_block(ATTACKER, "by_hand")
        assert self.run().startswith(f"{ATTACKER}  blocked until 20")
        assert self.run().endswith("UTC, by_hand\n")
        assert self.run("--lift", ATTACKER) == f"Lifted the block of {ATTACKER}.\n"
        assert events.types == ["ip_blocked", "ip_block_lifted"]
        assert events.records[1].lifted_by.startswith("command:")
        assert self.run() == "No address is blocked.\n"

    def test_what_it_cannot_do(self, site):
        with pytest.raises(CommandError, match="Detection is off"):
            self.run()
        site()
        with pytest.raises(CommandError, match=r"192\.0\.2\.7 is not blocked"):
            self.run("--lift", ATTACKER)
        with pytest.raises(CommandError, match="'maria' is no address"):
            self.run("--lift", "maria")
        site(STORE="redis", REDIS_URL="unix:///nonexistent/redis.sock")
        with pytest.raises(CommandError, match="The store of detection fails: ConnectionError"):
            self.run()


urlpatterns = [path("admin/", admin.site.urls), path("", lambda request: HttpResponse("home"))]
ADMIN = {
    "ROOT_URLCONF": "test_detection_django",
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
}
PAGE = "/admin/logbastion_detection/addressblock/"
LIFT = {"action": "lift_blocks"}


class TestAdmin:
    @pytest.fixture
    def officer(self, site):
        site()
        override = override_settings(
            **ADMIN, MIDDLEWARE=[*MIDDLEWARE, "django.contrib.messages.middleware.MessageMiddleware"]
        )
        override.enable()
        user = User.objects.create_user("officer", password=PASSWORD, is_staff=True)
        client = Client(REMOTE_ADDR="198.51.100.9")
        client.force_login(user)
        yield client, user
        override.disable()

    def allow(self, user, *codenames):
        from django.contrib.auth.models import Permission

        user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))

    def test_who_may_not_see(self, officer):
        client, _ = officer
        assert client.get(PAGE).status_code == 403
        assert Client().get(PAGE).status_code == 302

    def test_who_may_see_but_not_lift(self, officer):
        client, user = officer
        self.allow(user, "view_addressblock")
        trigger_ip_block(ATTACKER, "<script>alert(1)</script>")
        page = client.get(PAGE).content.decode()
        assert ATTACKER in page
        assert "<script>alert" not in page
        assert 'type="checkbox"' not in page
        assert client.post(PAGE, {**LIFT, "_selected_action": ATTACKER}).status_code == 403
        assert security_detector().blocks.refusal(ATTACKER) is not None

    def test_who_may_lift(self, officer, events):
        client, user = officer
        self.allow(user, "view_addressblock", "delete_addressblock")
        trigger_ip_block(ATTACKER)
        assert f'value="{ATTACKER}"' in client.get(PAGE).content.decode()
        chosen = {**LIFT, "_selected_action": [ATTACKER, "192.0.2.8", "x"]}
        page = client.post(PAGE, chosen, follow=True).content.decode()
        assert f"{ATTACKER} is lifted." in page
        assert "192.0.2.8 was not blocked." in page
        assert "is no address." in page
        assert [(record.event_type, record.lifted_by) for record in events.of("ip_block_lifted")] == [
            ("ip_block_lifted", f"user:{user.pk}")
        ]
        assert security_detector().blocks.listed() == []

    def test_what_the_action_needs(self, officer):
        client, user = officer
        self.allow(user, "view_addressblock", "delete_addressblock")
        trigger_ip_block(ATTACKER)
        assert "Nothing was chosen" in client.post(PAGE, LIFT, follow=True).content.decode()
        for action in ("delete_selected", "change_view", ""):  # none of the page's
            answer = client.post(PAGE, {"action": action, "_selected_action": ATTACKER})
            assert answer.status_code == 403
        assert [block.network for block in security_detector().blocks.listed()] == [ATTACKER]

    def test_there_is_no_other_way_to_change_a_block(self, officer):
        client, user = officer
        user.is_superuser = True
        user.save()
        AddressBlock.objects.create(network=ATTACKER, until=4e9)
        for page in ("add/", f"{ATTACKER}/change/", f"{ATTACKER}/delete/", f"{ATTACKER}/history/"):
            assert client.get(PAGE + page).status_code == 403
            assert client.post(PAGE + page, {"post": "yes"}).status_code == 403
        assert AddressBlock.objects.count() == 1

    def test_with_the_store_away_or_off(self, officer, site):
        client, user = officer
        self.allow(user, "view_addressblock")
        with override_settings(LOGBASTION_DETECTION={"STORE": "redis", "REDIS_URL": "unix:///nonexistent/r.sock"}):
            apply_detection()
        assert "The store of detection fails: ConnectionError." in client.get(PAGE).content.decode()
        configure_detection(None)
        assert "Detection is off" in client.get(PAGE).content.decode()


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            ("redis", "must be a dict"),
            ({"STORAGE": "redis"}, "does not know STORAGE"),
            ({"STORE": "file"}, "must be one of redis, database, memory, and not 'file'"),
            ({"STORE": "redis"}, "needs REDIS_URL"),
            (
                {"STORE": "redis", "REDIS_URL": "http://x"},
                "cannot be used: Redis URL must specify",
            ),
            ({"STORE": "database", "DATABASE": "other"}, "DATABASES does not have 'other'"),
            ({"STORE": "memory", "BLOCKING": "on"}, "the modes off, dry_run, enforce"),
            ({"STORE": "memory", "BLOCK_SECONDS": "long"}, "'BLOCK_SECONDS'\\] must be a number"),
            ({"STORE": "memory", "ALLOWED_NETWORKS": "192.0.2.0/24"}, "must be a list"),
            ({"STORE": "memory", "ALLOWED_NETWORKS": ["here"]}, "allowed network 'here' is none"),
            ({"STORE": "memory", "ALLOWED_USERS": "school.nowhere"}, "does not define a"),
            ({"STORE": "memory", "RULES": {"address": {"threshold": 1}}}, "a threshold from 2"),
        ],
    )
    def test_wrong_ones_say_so(self, settings, sentence):
        with override_settings(LOGBASTION_DETECTION=settings), pytest.raises(ImproperlyConfigured, match=sentence):
            apply_detection()

    def test_staff_by_a_function(self, site, events):
        site(ALLOWED_USERS="test_detection_django.is_staff")
        security_detector().detect_data_access_anomalies(1, range(9))
        assert events.records == []
        security_detector().detect_data_access_anomalies(2, range(9))
        assert events.types == ["data_access_anomaly"]

    def test_it_is_applied_at_the_start_and_there_is_no_migration_to_make(self):
        program = (
            "from django.conf import settings; import django\n"
            "settings.configure(INSTALLED_APPS=['logbastion.django', 'logbastion.django.detection',"
            " 'django.contrib.auth', 'django.contrib.contenttypes'], SECRET_KEY='k',"
            " DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}},"
            " DEFAULT_AUTO_FIELD='django.db.models.BigAutoField',"
            " LOGBASTION_DETECTION={'STORE': 'database'})\n"
            "django.setup()\n"
            "from django.core.management import call_command\n"
            "from logbastion.detection import security_detector\n"
            "assert security_detector().blocks.mode == 'dry_run'\n"
            "call_command('makemigrations', 'logbastion_detection', check=True, dry_run=True)\n"
        )
        subprocess.run([sys.executable, "-c", program], check=True, env=ENVIRONMENT)


def is_staff(user_id):
    return user_id == 1
