"""Rules and pages ask for metrics that exist, and for times that a histogram has an edge at."""

import re
import sys
from pathlib import Path

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


def test_edges_at_every_threshold_of_a_rule():
    for name, expression in expressions().items():
        for metric, selector in re.findall(r"(\w+)_bucket\{([^}]*)\}", expression):
            for edge in re.findall(r'\ble="([^"]+)"', selector):
                assert edge == "+Inf" or float(edge) in EDGES[metric], f"{name}: {metric} has no edge at {edge}"
        threshold = re.search(r"histogram_quantile\([^)]*\)\s*>\s*([0-9.]+)", expression)
        if threshold:
            histogram = next(metric for metric in EDGES if metric in expression)
            assert float(threshold.group(1)) in EDGES[histogram], f"{name}: no edge at {threshold.group(1)}"


def test_metrics_of_rules_exist():
    existing = names_that_exist()
    for name, expression in expressions().items():
        plain = RECORDED.sub("", re.sub(r'"[^"]*"', "", expression))
        plain = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", "", plain)
        unknown = set(OURS.findall(plain)) - existing
        assert not unknown, f"{name} asks for {sorted(unknown)}"
