import asyncio
import json
import logging
import os
import sys
import types

import pytest
from prometheus_client import REGISTRY

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_settings")
import django

django.setup()
from django.http import HttpResponse  # noqa: E402
from django.test import AsyncClient, Client, override_settings  # noqa: E402
from django.urls import get_resolver, include, path, re_path  # noqa: E402

from logbastion import CorrelationIdFilter, EventFormatter, get_correlation_id  # noqa: E402
from logbastion.django.middleware import CorrelationIdMiddleware  # noqa: E402
from logbastion.django.request_counts import known_routes  # noqa: E402


class Memory(logging.Handler):
    def __init__(self):
        super().__init__()
        self.addFilter(CorrelationIdFilter())
        self.events = []
        self.setFormatter(EventFormatter())

    def emit(self, record):
        self.events.append(json.loads(self.format(record)))

    def of(self, logger):
        return [event for event in self.events if event["logger"] == logger]


@pytest.fixture
def memory(root_logging):
    handler = Memory()
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.INFO)
    return handler


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


def test_a_well_formed_id_is_taken_over_and_on_every_record(client, memory):
    response = client.get("/hello/maria/", headers={"X-Correlation-ID": "traffic-1-7"})
    assert response.headers["X-Correlation-ID"] == "traffic-1-7"
    assert response.json() == {"correlation_id": "traffic-1-7"}
    assert [event["correlation_id"] for event in memory.events] == ["traffic-1-7"] * 3
    assert get_correlation_id() is None


@pytest.mark.parametrize("bad", ["a b", "a\x00", "x" * 129, "<script>", "", "á"])
def test_another_id_is_replaced(client, memory, bad):
    response = client.get("/hello/x/", headers={"X-Correlation-ID": bad})
    made = response.headers["X-Correlation-ID"]
    assert made != bad
    assert len(made) == 36
    assert {event["correlation_id"] for event in memory.events} == {made}


def test_what_django_logs_after_the_request_has_its_id_too(client, memory):
    client.get("/nothing-here/", headers={"X-Correlation-ID": "traffic-1-9"})
    (refused,) = memory.of("django.request")
    assert refused["message"].startswith("Not Found")
    assert [event["correlation_id"] for event in memory.events] == ["traffic-1-9"] * 2


@pytest.mark.parametrize(
    "request_", [None, "text", 7, object(), types.SimpleNamespace(logbastion_correlation_id=["x"])]
)
def test_what_is_no_request_of_ours_gives_no_id(memory, request_):
    logging.getLogger("business.hello").info("hello", extra={"request": request_})
    assert "correlation_id" not in memory.events[0]


def test_user_and_school_are_there_once_they_are_known(client, memory):
    client.get("/hello/x/")
    first, second = memory.of("business.hello")
    assert "user_id" not in first
    assert (second["user_id"], second["school_id"]) == (12, 3)
    assert memory.of("performance")[0]["user_id"] == 12


def test_one_event_for_each_request_with_the_pattern_not_the_path(client, memory):
    client.get("/hello/maria/?token=abc")
    (event,) = memory.of("performance")
    assert event["event_type"] == "http_request"
    assert event["performance"]["operation"] == "GET /hello/<str:name>/"
    assert event["performance"]["success"] is True
    assert event["performance"]["duration_ms"] > 0
    assert event["extra"] == {"http_method": "GET", "http_status": 200, "route": "/hello/<str:name>/"}
    assert event["security"] == {"source_ip": "127.0.0.1"}
    assert "maria" not in json.dumps(memory.events)


def test_a_failing_page_is_logged_with_its_id_and_without_the_query(client, memory):
    response = client.get("/broken/?token=abc", headers={"X-Correlation-ID": "c-1"})
    assert response.status_code == 500
    assert response.headers["X-Correlation-ID"] == "c-1"
    (error,) = memory.of("django.request")
    assert error["error"]["type"] == "ValueError"
    assert error["correlation_id"] == "c-1"
    assert error["extra"]["request"] == {"method": "GET", "path": "/broken/"}
    assert "abc" not in json.dumps(memory.events)
    assert memory.of("performance")[0]["performance"]["success"] is False


def test_unknown_paths_and_methods_do_not_make_new_operations(client, memory):
    client.get("/nothing/here/")
    client.generic("BREW", "/hello/x/")
    operations = [event["performance"]["operation"] for event in memory.of("performance")]
    assert operations == ["GET (no route)", "OTHER /hello/<str:name>/"]


def test_quiet_paths(client, memory):
    assert client.get("/healthz").headers["X-Correlation-ID"]
    assert memory.of("performance") == []


def test_under_asgi(memory):
    async def requests():
        client = AsyncClient()
        return await asyncio.gather(
            *(client.get("/async/", headers={"X-Correlation-ID": f"a-{number}"}) for number in range(10))
        )

    for number, response in enumerate(asyncio.run(requests())):
        assert response.json() == {"correlation_id": f"a-{number}"}
        assert response.headers["X-Correlation-ID"] == f"a-{number}"
    assert sorted(event["correlation_id"] for event in memory.of("performance")) == sorted(f"a-{n}" for n in range(10))


def test_a_lazy_user_is_not_loaded_for_a_log_record(rf_request):
    from django.utils.functional import SimpleLazyObject

    from logbastion.django.request import known_user_id

    asked = []
    user = type("User", (), {"is_authenticated": True, "pk": 9})()
    rf_request.user = SimpleLazyObject(lambda: asked.append(1) or user)
    assert known_user_id(rf_request) is None
    assert asked == []
    assert rf_request.user.is_authenticated
    assert known_user_id(rf_request) == 9


@pytest.fixture
def rf_request():
    from django.test import RequestFactory

    return RequestFactory().get("/")


class TestMetricsPage:
    def test_without_a_token_file_only_debug_is_let_in(self, client, clean_environment):
        response = client.get("/metrics")
        assert response.status_code == 401
        assert b"LOGBASTION_METRICS_TOKEN_FILE" in response.content
        with override_settings(DEBUG=True):
            assert client.get("/metrics").status_code == 200

    @pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic dG9rZW4=", "Bearer", "Bearer tokenx", "Bearer á"])
    def test_absent_or_wrong_tokens(self, client, tmp_path, header):
        (tmp_path / "token").write_text("token\n")
        with override_settings(LOGBASTION_METRICS_TOKEN_FILE=tmp_path / "token", DEBUG=True):
            response = client.get("/metrics", headers={"Authorization": header} if header else {})
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert b"django_log_messages_total" not in response.content

    @pytest.mark.parametrize("content", ["", "\n", None])
    def test_an_empty_or_missing_token_file_lets_nobody_in(self, client, tmp_path, content):
        if content is not None:
            (tmp_path / "token").write_text(content)
        with override_settings(LOGBASTION_METRICS_TOKEN_FILE=tmp_path / "token", DEBUG=True):
            response = client.get("/metrics", headers={"Authorization": "Bearer "})
        assert response.status_code == 401
        assert b"empty or cannot be read" in response.content

    def test_the_right_token_from_the_environment(self, client, tmp_path, monkeypatch):
        (tmp_path / "token").write_text("token\n")
        monkeypatch.setenv("LOGBASTION_METRICS_TOKEN_FILE", str(tmp_path / "token"))
        response = client.get("/metrics", headers={"Authorization": "Bearer token"})
        assert response.status_code == 200
        assert b"django_log_messages_total" in response.content
        assert client.post("/metrics", headers={"Authorization": "Bearer token"}).status_code == 405


def counted(name, **labels):
    return REGISTRY.get_sample_value(f"django_http_{name}", labels)


@pytest.mark.parametrize(
    ("url", "method", "route", "label", "status_class"),
    [
        ("/hello/maria/", "get", "/hello/<str:name>/", "GET", "2xx"),
        ("/hello/joao/", "post", "/hello/<str:name>/", "POST", "2xx"),
        ("/broken/", "get", "/broken/", "GET", "5xx"),
        ("/metrics", "get", "/metrics", "GET", "4xx"),
        ("/nowhere/maria@example.org/", "get", "(no route)", "GET", "4xx"),
        ("/hello/x/", "MARIA", "/hello/<str:name>/", "other", "2xx"),
    ],
)
def test_requests_are_counted_by_what_they_have_matched(url, method, route, label, status_class):
    client = Client(raise_request_exception=False)
    before = counted("requests_total", method=label, route=route, status_class=status_class) or 0
    timed = counted("request_duration_seconds_count", method=label, route=route) or 0
    client.generic(method.upper(), url)
    assert counted("requests_total", method=label, route=route, status_class=status_class) == before + 1
    assert counted("request_duration_seconds_count", method=label, route=route) == timed + 1


def test_known_routes_are_those_that_requests_match(settings_urls):
    patterns, paths = settings_urls
    matched = {f"/{get_resolver().resolve(path).route}" for path in paths}
    assert matched == set(known_routes()) == set(patterns)


@pytest.fixture
def settings_urls():
    def view(request):
        return HttpResponse("ok")

    inner = [re_path(r"^code/(?P<code>[0-9]+)/$", view), path("", view)]
    module = types.ModuleType("urls_of_test")
    module.urlpatterns = [
        path("schools/<int:school>/", include((inner, "inner"))),
        re_path(r"^old/", include([path("page/", view)])),
        path("", include([path("top/", view)])),
    ]
    sys.modules[module.__name__] = module
    with override_settings(ROOT_URLCONF=module.__name__):
        yield (
            ["/schools/<int:school>/code/(?P<code>[0-9]+)/$", "/schools/<int:school>/", "/^old/page/", "/top/"],
            ["/schools/3/code/12/", "/schools/3/", "/old/page/", "/top/"],
        )
    del sys.modules[module.__name__]


def test_routes_are_born_at_zero_when_the_server_starts():
    CorrelationIdMiddleware(lambda request: HttpResponse())
    for status_class in ("2xx", "3xx", "4xx", "5xx"):
        assert counted("requests_total", method="POST", route="/async/", status_class=status_class) is not None
    assert counted("requests_total", method="GET", route="/healthz", status_class="2xx") is None


def test_a_quiet_path_is_not_counted(client):
    before = sum(sample.value for sample in requests_total())
    client.get("/healthz")
    assert sum(sample.value for sample in requests_total()) == before


def requests_total():
    return [
        sample
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "django_http_requests_total"
    ]


def test_a_request_is_answered_when_counting_fails(client, monkeypatch, caplog):
    def fails(*_):
        raise OSError("no room")

    monkeypatch.setattr("logbastion.django.request_counts.count_request", fails)
    assert [client.get("/hello/x/").status_code for _ in range(2)] == [200, 200]
    assert [record.getMessage() for record in caplog.records if "counted" in record.getMessage()] == [
        "Requests are not counted any more: no room. Look at PROMETHEUS_MULTIPROC_DIR and the disk."
    ]
