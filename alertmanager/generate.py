"""Makes what is generated here: burn-rate rules from `objectives.yml`, pages and dashboard from `pages.yml`, the index of the runbooks from the rules.

Run it by `make alert-rules`; `tests/unit/test_alerts.py` fails when what it made differs from its sources.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import dashboards
import yaml

HERE = Path(__file__).resolve().parent
OBJECTIVES = HERE / "objectives.yml"
BURN_RATES = HERE / "rules/burn_rates.yml"
INDEX = HERE / "runbooks/README.md"

_RULES_HEAD = "# Made from objectives.yml by `make alert-rules`: change that file.\n"
_INDEX_HEAD = """\
# Runbooks

One page per alert: what it means, what it costs, how to find the cause, what helps. This list is made by `make alert-rules`.

Prometheus serves these pages as `/consoles/runbooks/<alert>.md`, which is where the `runbook_url` of an alert points; it asks for the
password of Prometheus' pages. Commands are for root on the host that is named before them, with the names that the roles choose by default
(`django-app` for the application).

| Alert | Severity | Says |
|---|---|---|
"""


class _Indented(yaml.SafeDumper):
    """Lists stand further in than what they belong to, as in the files that people write."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Begin a level, whatever the emitter says of lists."""
        super().increase_indent(flow, False)


def main() -> int:
    """Write the files and say which of them has changed."""
    for path, make in made().items():
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(HERE.parent)}")
    return 0


def made() -> dict[Path, Callable[[], str]]:
    """Return the files that are made, each with what returns its text; the index comes after the rules that it lists."""
    consoles = {
        dashboards.CONSOLES / f"{page['page']}.html": partial(dashboards.console, page) for page in dashboards.pages()
    }
    return {BURN_RATES: burn_rates, INDEX: index, dashboards.GRAFANA: dashboards.grafana, **consoles}


def burn_rates() -> str:
    """Return the text of the rule file: recordings of both rates, and the alerts."""
    source = yaml.safe_load(OBJECTIVES.read_text(encoding="utf-8"))
    pairs = [pair for alert in source["alerts"] for pair in alert["pairs"]]
    rules = []
    for objective in source["objectives"]:
        rules += _recordings(objective, pairs)
        rules += [_alert(objective, alert, source["minimum_requests_per_second"]) for alert in source["alerts"]]
    # One group: its rules are evaluated in their order, each with what the ones before it have just recorded.
    groups = [{"name": "burn_rates", "rules": rules}]
    return _RULES_HEAD + yaml.dump({"groups": groups}, Dumper=_Indented, sort_keys=False, width=120)


def _recordings(objective: dict[str, Any], pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rates, then their averages: averages of one recorded series cost little, also over three days."""
    label = objective["objective"]

    def record(name: str, query: str) -> dict[str, Any]:
        return {"record": f"job_objective:{name}", "expr": " ".join(query.split()), "labels": {"objective": label}}

    def average(kind: str, window: str) -> str:
        return f'avg_over_time(job_objective:{kind}:rate5m{{objective="{label}"}}[{window}])'

    longs = dict.fromkeys(pair["long"] for pair in pairs)
    windows = dict.fromkeys(window for pair in pairs for window in (pair["short"], pair["long"]))
    return [
        record("requests:rate5m", objective["all"]),
        record("requests_bad:rate5m", objective["bad"]),
        *(record(f"requests:average{window}", average("requests", window)) for window in longs),
        *(
            record(f"requests_bad:share{window}", f"{average('requests_bad', window)} / {average('requests', window)}")
            for window in windows
        ),
    ]


def _alert(objective: dict[str, Any], alert: dict[str, Any], minimum: float) -> dict[str, Any]:
    name, label = f"{objective['name']}{alert['suffix']}", objective["objective"]
    budget = 1 - objective["target"]

    def recorded(kind: str) -> str:
        return f'job_objective:{kind}{{objective="{label}"}}'

    halves = []
    for pair in alert["pairs"]:
        share, limit = "requests_bad:share", f"{pair['burn'] * budget:.6g}"
        halves.append(
            f"({recorded(share + pair['long'])} > {limit} and {recorded(share + pair['short'])} > {limit}"
            f" and {recorded('requests:average' + pair['long'])} > {minimum})"
        )
    limits = " or ".join(f"{pair['burn'] * budget:.4g} in {pair['long']}" for pair in alert["pairs"])
    shown = recorded(f"requests_bad:share{alert['pairs'][0]['long']}")
    return {
        "alert": name,
        "expr": " or ".join(halves),
        "labels": {"severity": alert["severity"], "service": objective["service"]},
        "annotations": {
            "summary": f"The {label} of {{{{ $labels.job }}}} is below its objective",
            "description": (
                f"{{{{ humanizePercentage $value }}}} of the requests to {{{{ $labels.job }}}} {objective['failure']}"
                f" (thresholds: {limits}). The objective allows {budget:.2%} in 30 days."
            ),
            "runbook_url": f"{{{{ $externalURL }}}}/consoles/runbooks/{name}.md",
            "dashboard_url": dashboards.dashboard_url(name, shown),
        },
    }


def alerts() -> list[dict[str, Any]]:
    """Return all alerts of `rules/`, by file and place in it."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((HERE / "rules").glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"] if "alert" in rule]


def index() -> str:
    """Return the text of the index: each alert, with the first sentence of its runbook's Meaning."""
    rows = [
        f"| [{alert['alert']}]({alert['alert']}.md) | {alert['labels']['severity']} | {_first_sentence(alert['alert'])} |\n"
        for alert in alerts()
    ]
    return _INDEX_HEAD + "".join(rows)


def _first_sentence(name: str) -> str:
    text = (HERE / "runbooks" / f"{name}.md").read_text(encoding="utf-8")
    meaning = text.partition("## Meaning\n")[2].partition("\n## ")[0]
    return " ".join(meaning.split()).partition(". ")[0].rstrip(".") + "."


if __name__ == "__main__":
    sys.exit(main())
