"""The system checks, as Django runs them."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_settings")
import django

django.setup()
from django.conf import settings  # noqa: E402
from django.contrib.auth.views import PasswordResetConfirmView  # noqa: E402
from django.core.cache.backends.locmem import LocMemCache  # noqa: E402
from django.core.checks import Tags, registry, run_checks  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.urls import include, path, re_path  # noqa: E402
from django.utils.log import AdminEmailHandler  # noqa: E402
from django_auth_site import SITE  # noqa: E402

import logbastion  # noqa: E402
from logbastion import EventFormatter, IncidentDetectionHandler, RedactionFilter  # noqa: E402
from logbastion.django import checks  # noqa: E402
from logbastion.django.middleware import CorrelationIdMiddleware  # noqa: E402
from logbastion.files import StreamFileHandler  # noqa: E402
from logbastion.pseudonym_keys import add_key  # noqa: E402

pytestmark = pytest.mark.usefixtures("clean_environment", "only_the_gate")
OURS = "logbastion.django.middleware.CorrelationIdMiddleware"
AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
MAINTENANCE = "logbastion.django.incidents.middleware.MaintenanceMiddleware"
SHARED = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://localhost"}}


def view(request, **options):
    return HttpResponse("")


class OwnReset(PasswordResetConfirmView):
    pass


class OwnCache(LocMemCache):
    pass


class OwnMiddleware(CorrelationIdMiddleware):
    pass


class Urls:
    """A URLconf; Django takes any object with this attribute."""

    def __init__(self, *patterns):
        self.urlpatterns = list(patterns)


@pytest.fixture
def only_the_gate(root_logging, monkeypatch):
    """A process whose one handler is a good one, whatever other tests and pytest have attached."""
    monkeypatch.setattr(logging.root.manager, "loggerDict", {})
    before = list(logging.root.handlers)
    handler = logging.StreamHandler()
    handler.setFormatter(EventFormatter())
    logging.root.handlers[:] = [handler]
    yield handler
    logging.root.handlers[:] = before


@pytest.fixture
def good(tmp_path, only_the_gate):
    """Production with nothing to find."""
    handler = StreamFileHandler(tmp_path / "logs")
    handler.setFormatter(EventFormatter("school", "production"))
    logging.root.handlers[:] = [handler]
    keys = tmp_path / "keys"
    add_key(keys)
    with override_settings(**SITE | {"CACHES": SHARED, "LOGBASTION_PSEUDONYM_KEYS_FILE": keys, "DEBUG": False}):
        yield


def messages(tags=("logbastion",)):
    """Run the checks without the handlers that pytest attaches to the root when the test begins."""
    root = logging.root
    root.handlers[:] = [one for one in root.handlers if not type(one).__module__.startswith("_pytest")]
    return sorted((one for one in run_checks(tags=tags) if "logbastion" in one.id), key=lambda one: one.id)


def found():
    return [message.id.removeprefix("logbastion.") for message in messages()]


@pytest.mark.usefixtures("good")
class TestProduction:
    def test_all_is_well(self):
        assert messages() == []

    def test_debug(self):
        with override_settings(DEBUG=True):
            (message,) = messages()
        assert (message.id, message.is_serious()) == ("logbastion.E001", True)
        assert message.hint.startswith("Set DEBUG = False")

    def test_they_run_with_every_check_and_can_be_silenced(self):
        with override_settings(DEBUG=True, SILENCED_SYSTEM_CHECKS=["logbastion.W001"]):
            for tags in (None, [Tags.security], ["logbastion"]):
                assert [(one.id, one.is_silenced()) for one in messages(tags)] == [("logbastion.E001", False)]
        with override_settings(DEBUG=True, SILENCED_SYSTEM_CHECKS=["logbastion.E001"]):
            assert [one.is_silenced() for one in messages()] == [True]

    def test_registering_twice_is_registering_once(self):
        before = set(registry.registry.registered_checks)
        checks.register()
        assert set(registry.registry.registered_checks) == before
        assert len([one for one in before if checks.TAG in getattr(one, "tags", ())]) == len(checks.JUDGES)

    @pytest.mark.parametrize(
        ("detection", "ids"),
        [
            ({"STORE": "database"}, []),
            ({"STORE": "memory"}, ["W007"]),
            ({"STORE": "redis", "REDIS_URL": "redis://10.0.0.9"}, ["E008"]),
            ({"STORE": "redis", "REDIS_URL": "rediss://10.0.0.9"}, []),
            ({"STORE": "database", "BLOCKING": "enforce"}, ["W009", "W009"]),
        ],
    )
    def test_detection(self, detection, ids):
        with override_settings(LOGBASTION_DETECTION=detection):
            assert found() == ids

    @pytest.mark.parametrize(
        ("store", "ids"),
        [
            ("memory", ["W063"]),
            (None, ["W063"]),
            ({"kind": "redis", "url": "redis://10.0.0.9"}, ["E064"]),
            ({"kind": "redis", "url": "rediss://10.0.0.9"}, []),
            ({"kind": "redis", "url": "unix:///run/redis.sock"}, []),
            ("database", []),
            ({"kind": "database", "database": "other"}, ["E065"]),
        ],
    )
    def test_store_of_incidents(self, store, ids):
        handler = IncidentDetectionHandler(options={"store": store})
        logging.root.handlers.append(handler)
        try:
            assert found() == ids
        finally:
            handler.close()

    def test_store_of_incidents_without_its_application(self):
        handler = IncidentDetectionHandler(options={"store": "database"})
        logging.root.handlers.append(handler)
        installed = [one for one in settings.INSTALLED_APPS if one != "logbastion.django.incidents"]
        try:
            with override_settings(INSTALLED_APPS=installed):
                (message,) = messages()
            assert (message.id, "is not installed" in message.msg) == ("logbastion.E065", True)
        finally:
            handler.close()

    @pytest.mark.parametrize(
        ("middleware", "setting", "ids"),
        [
            ([OURS], None, []),
            ([OURS, AUTHENTICATION, MAINTENANCE], "flag", []),
            ([OURS, AUTHENTICATION], "flag", ["W060"]),
            ([OURS, AUTHENTICATION, MAINTENANCE], None, ["W060"]),
            ([OURS, MAINTENANCE, AUTHENTICATION], "flag", ["W060"]),
            ([OURS, MAINTENANCE], "flag", ["W060"]),
            ([OURS, AUTHENTICATION, MAINTENANCE], "missing/flag", ["W062"]),
            ([OURS, AUTHENTICATION, MAINTENANCE], "open/flag", ["E061"]),
        ],
    )
    def test_maintenance(self, tmp_path, middleware, setting, ids):
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o777)
        path = str(tmp_path / setting) if setting else None
        with override_settings(MIDDLEWARE=middleware, LOGBASTION_MAINTENANCE_FILE=path):
            assert found() == ids

    def test_a_flag_that_others_may_write_or_that_is_another_one(self, tmp_path):
        flag = tmp_path / "flag"
        flag.touch()
        flag.chmod(0o666)
        answer = {"maintenance": {"file": str(tmp_path / "another"), "on": ["disk_full"]}}
        handler = IncidentDetectionHandler(options={"store": "database", "responses": answer})
        logging.root.handlers.append(handler)
        try:
            middleware = [OURS, AUTHENTICATION, MAINTENANCE]
            with override_settings(MIDDLEWARE=middleware, LOGBASTION_MAINTENANCE_FILE=str(flag)):
                assert found() == ["E061", "W060"]
        finally:
            handler.close()

    def test_detection_that_blocks_as_it_should(self):
        refusing = [OURS, "logbastion.django.detection.middleware.BlockedAddressMiddleware"]
        detection = {"STORE": "database", "BLOCKING": "enforce"}
        with override_settings(LOGBASTION_DETECTION=detection, MIDDLEWARE=refusing):
            assert found() == ["W009"]
            with override_settings(LOGBASTION_TRUSTED_PROXIES=[]):
                assert found() == []

    @pytest.mark.parametrize(
        ("classes", "words"),
        [
            ([], "missing"),
            (["django.middleware.common.CommonMiddleware"], "missing"),
            (["django.middleware.common.CommonMiddleware", OURS], "not the first"),
        ],
    )
    def test_middleware(self, classes, words):
        with override_settings(MIDDLEWARE=classes):
            (message,) = messages()
        assert message.id == "logbastion.W002"
        assert words in message.msg

    def test_a_derived_middleware_is_fine(self):
        with override_settings(MIDDLEWARE=[f"{__name__}.OwnMiddleware"]):
            assert found() == []

    @pytest.mark.parametrize(
        ("pattern", "route"),
        [
            (path("in/<str:access_token>/", view), "in/<str:access_token>/"),
            (re_path(r"^in/(?P<password>\w+)/$", view), r"^in/(?P<password>\w+)/$"),
            (path("in/<session_id>/", include([path("x/", view)])), "in/<session_id>/x/"),
            (path("api/", include([path("<otp>", view)])), "api/<otp>"),
            (path("<uidb64>/<token>/", view), "<uidb64>/<token>/"),
        ],
    )
    def test_log_in_data_in_a_url(self, pattern, route):
        with override_settings(ROOT_URLCONF=Urls(path("fine/<int:pk>/<slug:name>/", view), pattern)):
            (message,) = messages()
        assert message.id == "logbastion.E003"
        assert repr(route) in message.msg

    def test_url_patterns_that_are_fine(self):
        patterns = [
            path("<int:pk>/<str:email>/", view),
            path("tokens/", view),
            re_path(r"^(\w+)/(?P<token_type>\w+)$", view),
            path("reset/<uidb64>/<token>/", OwnReset.as_view()),
            path("accounts/", include("django.contrib.auth.urls")),
        ]
        with override_settings(ROOT_URLCONF=Urls(*patterns)):
            assert found() == []

    @pytest.mark.parametrize(
        "backend",
        ["django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.dummy.DummyCache",
         f"{__name__}.OwnCache"],
    )  # fmt: skip
    def test_a_cache_that_is_not_shared(self, backend):
        with override_settings(CACHES={"default": {"BACKEND": backend}}):
            (message,) = messages()
        assert message.id == "logbastion.W004"
        assert "not counted together" in message.hint

    def test_without_the_gate(self, only_the_gate, monkeypatch):
        monkeypatch.setattr(logging.root, "handlers", [])
        monkeypatch.setenv("LOGBASTION_ENVIRONMENT", "production")
        assert found() == ["E005"]
        logging.root.addHandler(logging.NullHandler())
        assert found() == ["E005"]

    @pytest.mark.parametrize("with_variables", [True, False])
    def test_error_reports_by_mail(self, with_variables):
        handler = AdminEmailHandler(include_html=with_variables)
        handler.addFilter(RedactionFilter())
        logging.getLogger("django.request").addHandler(handler)
        (message,) = messages()
        assert message.id == "logbastion.E006"
        assert ("local variables" in message.msg) == with_variables
        assert "'django.request'" in message.msg

    def test_a_handler_beside_the_gate(self):
        logging.root.addHandler(logging.StreamHandler())
        assert found() == ["E050"]

    @pytest.mark.parametrize("where", ["settings", "environment"])
    def test_places_that_the_settings_or_the_environment_name(self, tmp_path, monkeypatch, where):
        logs, spool, token = tmp_path / "logs", tmp_path / "spool", tmp_path / "token"
        for directory in (logs, spool):
            directory.mkdir()
            directory.chmod(0o755)
        token.write_text("secret")
        token.chmod(0o644)
        handlers = {
            "files": {"()": "logbastion.files.StreamFileHandler", "directory": str(logs)},
            "shipping": {"()": "logbastion.config.shipping_handler", "spool_directory": str(spool)},
            "other": {"class": "other.Handler", "directory": "/dev/null/x"},
        }
        options = {"LOGGING": {"version": 1, "handlers": handlers}, "LOGBASTION_METRICS_TOKEN_FILE": token}
        if where == "environment":
            options = {}
            for name, value in (("LOG_DIRECTORY", logs), ("SPOOL_DIRECTORY", spool), ("METRICS_TOKEN_FILE", token)):
                monkeypatch.setenv(f"LOGBASTION_{name}", str(value))
        with override_settings(**options):
            assert found() == ["E020", "E023", "E040"]

    def test_a_missing_key(self):
        with override_settings(LOGBASTION_PSEUDONYM_KEYS_FILE=None):
            assert found() == ["E030"]

    @pytest.mark.parametrize(
        ("options", "check"),
        [
            ({"ROOT_URLCONF": "no_such_module"}, "url_patterns"),
            ({"MIDDLEWARE": ["no.such.Middleware"]}, "middleware"),
            ({"CACHES": {}}, "cache"),
            ({"LOGGING": {"handlers": 3}}, "host"),
        ],
    )
    def test_what_cannot_be_looked_at_hides_nothing_else(self, options, check):
        with override_settings(DEBUG=True, **options):
            debug, unseen = messages()
        assert (debug.id, unseen.id) == ("logbastion.E001", "logbastion.W099")
        assert repr(check) in unseen.msg


class TestElsewhere:
    def test_development_is_only_warned_and_only_of_what_concerns_it(self):
        everything = {
            "DEBUG": True,
            "MIDDLEWARE": [],
            "ROOT_URLCONF": Urls(path("<token>/", view)),
            "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        }
        with override_settings(**everything):
            assert found() == ["W002", "W003"]
            logging.root.handlers[:] = [logging.StreamHandler()]
            assert found() == ["W002", "W003", "W005", "W050"]

    def test_the_variable_makes_it_strict(self, monkeypatch):
        monkeypatch.setenv("LOGBASTION_ENVIRONMENT", "staging")
        with override_settings(DEBUG=True, CACHES=SHARED):
            assert found() == ["E001", "E030", "W053"]


PROGRAM = """
import sys
from django.conf import settings
import logbastion
settings.configure(
    INSTALLED_APPS=["logbastion.django"], DEBUG=sys.argv[1] == "on", MIDDLEWARE=[%r], ROOT_URLCONF="logbastion.django.urls",
    LOGGING=logbastion.logging_config("production", log_directory=sys.argv[2]),
    CACHES={"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": sys.argv[2]}},
)
import django
django.setup()
from django.core.management import call_command
call_command("check")
"""  # noqa: E501


@pytest.mark.parametrize("debug", ["on", "off"])
def test_a_project_of_its_own_is_refused_or_let_pass(tmp_path, debug):
    """With the real ``LOGGING``, without log-ins among the applications."""
    add_key(tmp_path / "keys")
    environment = dict(os.environ) | {
        "PYTHONPATH": str(Path(logbastion.__file__).parent.parent),
        "LOGBASTION_PSEUDONYM_KEYS_FILE": str(tmp_path / "keys"),
    }
    command = [sys.executable, "-c", PROGRAM % OURS, debug, str(tmp_path / "logs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (done.returncode != 0) == (debug == "on"), done.stderr
    assert ("logbastion.E001" in done.stderr) == (debug == "on")
    if debug == "off":
        assert "no issues" in done.stdout + done.stderr
