import pytest
from prometheus_client import REGISTRY

from logbastion import request_metrics
from logbastion.request_metrics import BUCKETS, NO_ROUTE, count_request, know_routes


def value(name, **labels):
    return REGISTRY.get_sample_value(f"django_http_{name}", labels)


@pytest.fixture
def fresh_routes(monkeypatch):
    monkeypatch.setattr(request_metrics._instruments(), "routes", set())
    monkeypatch.setattr(request_metrics, "MAX_ROUTES", 5)


def test_a_request_counts_once_in_both():
    labels = {"method": "PUT", "route": "/counted/"}
    count_request("PUT", "/counted/", 204, 0.5)
    count_request("PUT", "/counted/", 500, 0.6)
    assert value("requests_total", status_class="2xx", **labels) == 1
    assert value("requests_total", status_class="5xx", **labels) == 1
    assert value("request_duration_seconds_bucket", le="0.5", **labels) == 1
    assert value("request_duration_seconds_bucket", le="1.0", **labels) == 2


def test_the_first_request_of_another_method_makes_its_classes():
    count_request("DELETE", "/born/", 204, 0.1)
    assert value("requests_total", method="DELETE", route="/born/", status_class="5xx") == 0


@pytest.mark.parametrize(
    ("status", "status_class"), [(100, "1xx"), (302, "3xx"), (599, "5xx"), (0, "1xx"), (999, "5xx")]
)
def test_statuses_have_five_classes(status, status_class):
    before = value("requests_total", method="GET", route=NO_ROUTE, status_class=status_class) or 0
    count_request("GET", NO_ROUTE, status, 0.1)
    assert value("requests_total", method="GET", route=NO_ROUTE, status_class=status_class) == before + 1


@pytest.mark.parametrize("method", ["get", "OTHER", "BREW", "x" * 1000])
def test_an_unknown_method_is_other(method):
    before = value("requests_total", method="other", route=NO_ROUTE, status_class="4xx") or 0
    count_request(method, NO_ROUTE, 405, 0.1)
    assert value("requests_total", method="other", route=NO_ROUTE, status_class="4xx") == before + 1


@pytest.mark.usefixtures("fresh_routes")
def test_routes_are_bounded():
    know_routes(f"/bounded/{number}/" for number in range(4))
    count_request("GET", "/bounded/last/", 200, 0.1)
    before = value("requests_total", method="GET", route="other", status_class="2xx")
    count_request("GET", "/bounded/too many/", 200, 0.1)
    count_request("GET", "/bounded/0/", 200, 0.1)
    assert value("requests_total", method="GET", route="other", status_class="2xx") == before + 1
    assert value("requests_total", method="GET", route="/bounded/too many/", status_class="2xx") is None
    assert value("requests_total", method="GET", route="/bounded/last/", status_class="2xx") == 1
    assert value("requests_total", method="GET", route="/bounded/0/", status_class="2xx") == 1


def test_edges_at_the_objectives():
    assert {0.5, 1.0, 2.0} <= set(BUCKETS)
