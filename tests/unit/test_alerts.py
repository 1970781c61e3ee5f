"""What holds for every alert: what it tells, the labels that it is routed and inhibited by, the cases that its tests have, and what is generated."""

import re
from functools import cache
from pathlib import Path

import dashboards
import generate
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ALERTMANAGER = ROOT / "alertmanager"
CASES = {"fires", "just below", "first increment", "counter reset", "gap", "resolves"}
GUIDE = {
    "HighErrorRate": ("2m", "warning", "django"),
    "SecurityBreach": ("1m", "critical", "security"),
    "PaymentSystemDown": ("0m", "critical", "payments"),
    "SlowPerformance": ("3m", "warning", "performance"),
}


@cache
def rules() -> dict[str, dict]:
    files = [yaml.safe_load(path.read_text()) for path in sorted((ALERTMANAGER / "rules").glob("*.yml"))]
    alerts = [rule for file in files for group in file["groups"] for rule in group["rules"] if "alert" in rule]
    assert len({rule["alert"] for rule in alerts}) == len(alerts)
    return {rule["alert"]: rule for rule in alerts}


def squeezed(query: str) -> str:
    return " ".join(query.split())


def labels_of(rule: dict) -> set[str]:
    """Return the labels that the alert carries whatever happens: its own, and those that no aggregation takes away."""
    query = squeezed(rule["expr"])
    clauses = [set(labels.split(", ")) for labels in re.findall(r"by \(([^)]*)\)", query)]
    clauses += [set(level.split("_")) - {""} for level in re.findall(r"\b([a-z_]+):[a-z_]+:\w+", query)]
    kept = set.intersection(*clauses) if clauses else {"job", "instance"}
    if query.startswith(("vector(", "absent(")):
        kept = set(re.findall(r'(\w+)="', query))
    return kept | set(rule["labels"]) | {"alertname"}


def test_the_guides_alerts_are_there():
    shipped = {name: (r.get("for"), r["labels"]["severity"], r["labels"]["service"]) for name, r in rules().items()}
    assert {name: shipped[name] for name in GUIDE} == GUIDE


@pytest.mark.parametrize("name", rules())
def test_alert_tells_what_a_person_needs(name):
    rule = rules()[name]
    annotations = rule["annotations"]
    assert annotations["summary"]
    assert "$value" in annotations["description"] or name == "Watchdog"
    assert annotations["runbook_url"] == f"{{{{ $externalURL }}}}/consoles/runbooks/{name}.md"
    plot = re.fullmatch(r"\{\{ \$externalURL \}\}\{\{ graphLink `([^`]+)` \}\}", annotations["dashboard_url"])
    assert annotations["dashboard_url"] == dashboards.dashboard_url(name, plot[1] if plot else "")
    assert plot is None or squeezed(plot[1]) in squeezed(rule["expr"])


@pytest.mark.parametrize("name", rules())
def test_alert_has_the_labels_that_routing_needs(name):
    labels = rules()[name]["labels"]
    assert set(labels) == {"severity", "service"}
    assert labels["severity"] in {"critical", "warning", "none"}
    assert re.fullmatch(r"[a-z]+", labels["service"])
    assert (labels["severity"] == "none") == (name == "Watchdog")


def test_alerts_have_the_labels_that_inhibition_compares():
    # The role lets an inhibition see only alerts that carry each label of `equal` (prometheus/alertmanager#1727). What silences has to
    # carry them; of what it might silence, an alert that is about the whole application and not about one instance is told all the same.
    defaults = yaml.safe_load((ROOT / "roles/alertmanager/defaults/main.yml").read_text())
    assert defaults["alertmanager_inhibit_rules"]
    for inhibition in defaults["alertmanager_inhibit_rules"]:
        compared = set(inhibition["equal"])
        sources, targets = (selected(inhibition[side]) for side in ("source_matchers", "target_matchers"))
        assert sources, inhibition
        for name in sources:
            assert compared <= labels_of(rules()[name]), (inhibition, name)
        assert any(compared <= labels_of(rules()[name]) for name in targets), inhibition


def selected(matchers: list[str]) -> list[str]:
    """Return the names of the alerts that Alertmanager's matchers select, as far as their fixed labels say."""
    found = []
    for name, rule in rules().items():
        fixed = {**rule["labels"], "alertname": name}
        for matcher in matchers:
            label, operator, value = re.fullmatch(r"\s*(\w+)\s*(=~|!~|!=|=)\s*\"?(.*?)\"?\s*", matcher).groups()
            if label not in fixed:
                continue
            same = bool(re.fullmatch(value, fixed[label])) if "~" in operator else fixed[label] == value
            if same == operator.startswith("!"):
                break
        else:
            found.append(name)
    return found


@cache
def cases_in_tests() -> dict[str, set[str]]:
    """Return by alert the cases that its tests are named after, or give a reason for not having."""
    found: dict[str, set[str]] = {}
    for path in sorted((ALERTMANAGER / "tests").glob("*.yml")):
        text = path.read_text()
        named = [name.split(": ", 2) for name in re.findall(r"^  - name: [\"'](.*)[\"']$", text, re.MULTILINE)]
        reasons = re.findall(r"^ *# ([A-Z]\w+(?:, \w+)*): ([a-z ,]+): do(?:es)? not apply: \S.*", text, re.MULTILINE)
        for alerts, cases, *_ in [*named, *reasons]:
            for alert in alerts.split(", "):
                found.setdefault(alert, set()).update(cases.split(", ") if alert != "recordings" else [])
    return found


@pytest.mark.parametrize("name", rules())
def test_alert_is_tested_in_every_case(name):
    assert cases_in_tests().get(name) == CASES


def test_no_test_names_an_alert_that_is_gone():
    assert set(cases_in_tests()) - {"recordings"} == set(rules())


@pytest.mark.parametrize("path", generate.made(), ids=lambda path: path.name)
def test_what_is_generated_follows_its_source(path):
    assert path.read_text() == generate.made()[path](), "run `make alert-rules`"
