"""Rules and pages ask for metrics that exist, and for times that a histogram has an edge at."""

import json
import re
import sys
from pathlib import Path

import dashboards
import yaml
from logbastion import metrics, request_metrics
from logbastion.metrics import scrape
from logbastion.request_metrics import know_routes
from logbastion.shipping_metrics import ShippingMetrics
from prometheus_client import REGISTRY

ROOT = Path(__file__).parents[2]
# A program of the role, not a package.
sys.path.insert(0, str(ROOT / "roles/rsyslog_ingest/files/deliver"))
from delivery import metrics as delivery_metrics  # noqa: E402
from delivery import queue_statistics  # noqa: E402

EDGES = {
    "django_request_duration_seconds": metrics.BUCKETS,
    "django_http_request_duration_seconds": request_metrics.BUCKETS,
    delivery_metrics.DELAY: delivery_metrics.EDGES_SECONDS,
}
OURS = re.compile(r"\b(?:django|security|logbastion)_[a-z_]+\b")
# Rules that the guide has, and recordings, have names of their own with colons, which the pattern above does not take.
RECORDED = re.compile(r"\b[a-z_]+:[a-z_]+(?::[a-z0-9_]+)?\b")
# Those of Prometheus and Alertmanager. Pages may have those that the rules have; that Prometheus exports its own is tested in molecule/prometheus.
THEIRS = re.compile(r"\b(?:prometheus|alertmanager)_[a-z_]+\b")
# What else stands in a query as a word: functions, operators, and the series that Prometheus makes by itself.
LANGUAGE = {
    "avg", "by", "histogram_quantile", "increase", "label_replace", "max", "min", "or", "rate", "sum", "time", "topk",
    "ALERTS", "up",
}  # fmt: skip


def names_that_exist() -> set[str]:
    know_routes(["/"])
    ShippingMetrics()
    scrape()
    found = {"error_rate"}
    for name, (kind, _) in (delivery_metrics._HELP | queue_statistics._HELP).items():
        found.update({f"{name}_{end}" for end in ("bucket", "count", "sum")} if kind == "histogram" else {name})
    for metric in REGISTRY.collect():
        found.add(metric.name)
        found.update({f"{metric.name}_total"} if metric.type == "counter" else set())
        found.update(f"{metric.name}_{end}" for end in ("bucket", "count", "sum") if metric.type == "histogram")
    return found


def expressions() -> dict[str, str]:
    """Return every expression of the application's rules, by alert or recording."""
    found = {}
    for path in sorted((ROOT / "alertmanager/rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                found[rule.get("alert") or rule["record"]] = rule["expr"]
    return found


def shown() -> dict[str, str]:
    """Return every query of the pages and of the dashboard for Grafana, by its place."""
    found = {
        f"{page['page']}.html#{panel['panel']}": panel["query"]
        for page in dashboards.pages()
        for panel in page["panels"]
    }
    for panel in json.loads(dashboards.GRAFANA.read_text())["panels"]:
        found.update({f"Grafana: {panel['title']}": target["expr"] for target in panel.get("targets", [])})
    return found


def test_edges_at_every_threshold():
    for name, expression in (expressions() | shown()).items():
        for metric, selector in re.findall(r"(\w+)_bucket\{([^}]*)\}", expression):
            for edge in re.findall(r'\ble="([^"]+)"', selector):
                assert edge == "+Inf" or float(edge) in EDGES[metric], f"{name}: {metric} has no edge at {edge}"
        threshold = re.search(r"histogram_quantile\([^)]*\)\s*>\s*([0-9.]+)", expression)
        if threshold:
            histogram = next(metric for metric in EDGES if metric in expression)
            assert float(threshold.group(1)) in EDGES[histogram], f"{name}: no edge at {threshold.group(1)}"


def test_metrics_of_rules_and_pages_exist():
    existing = names_that_exist()
    for name, expression in (expressions() | shown()).items():
        plain = RECORDED.sub("", re.sub(r'"[^"]*"', "", expression))
        plain = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", "", plain)
        unknown = set(OURS.findall(plain)) - existing
        assert not unknown, f"{name} asks for {sorted(unknown)}"


def test_pages_ask_for_nothing_but_exported_metrics_and_their_labels():
    exported = names_that_exist()
    read_by_rules = set(THEIRS.findall(" ".join(expressions().values())))
    labels = {"job", "instance", "alertname", "alertstate", "severity"}
    labels |= {label for metric in REGISTRY.collect() for sample in metric.samples for label in sample.labels} | {"le"}
    # A certificate, and a request that took its time, have labels only once there is one; `stage` is the ingest's.
    labels |= {"name", "route", "method", "stage"}
    assert len(shown()) > 20
    for place, query in shown().items():
        plain = re.sub(r'"[^"]*"', "", query)
        grouped = re.findall(r"\bby \(([^)]*)\)", plain)
        selected = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)(?!\s*\d)", plain)
        unknown = {*selected, *(label for group in grouped for label in group.split(", "))} - labels
        assert not unknown, f"{place} asks for the labels {sorted(unknown)}"
        words = re.findall(r"\b[A-Za-z_]\w*", re.sub(r"\bby \([^)]*\)|\{[^}]*\}|\[[^]]*\]", "", plain))
        unknown = set(words) - LANGUAGE - exported - read_by_rules
        assert not unknown, f"{place} asks for {sorted(unknown)}"


def test_thresholds_of_pages_are_those_of_the_alerts():
    rules = expressions()
    drawn = [panel for page in dashboards.pages() for panel in page["panels"] if "threshold" in panel]
    assert drawn
    for panel in drawn:
        expression = rules[panel["alerts"][0]]
        compared = {float(number) for number in re.findall(r"[<>]\s*([0-9.]+)", expression)}
        assert panel["threshold"] in compared, panel["question"]


def test_alerts_that_pages_name_exist():
    named = [alert for page in dashboards.pages() for panel in page["panels"] for alert in panel.get("alerts", [])]
    assert set(named) <= set(expressions())
    assert len(set(named)) == len(named), "an alert's link can lead to one panel only"
