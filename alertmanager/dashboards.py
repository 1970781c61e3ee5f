"""What `pages.yml` becomes: the pages that Prometheus serves, the dashboard for Grafana, and where an alert's link leads.

Run by `generate.py`.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "pages.yml"
CONSOLES = HERE / "consoles"
GRAFANA = HERE / "grafana/logbastion.json"

# https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/#unit
_GRAFANA_UNITS = {
    "share": "percentunit",
    "seconds": "s",
    "bytes": "bytes",
    "per_second": "suffix: /s",
    "per_minute": "suffix: /min",
    "count": "short",
}
_GRAFANA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS, _PANEL_WIDTH, _PANEL_HEIGHT = 24, 12, 9


@cache
def pages() -> list[dict[str, Any]]:
    """Return the pages of `pages.yml`, in their order."""
    return list(yaml.safe_load(SOURCE.read_text(encoding="utf-8"))["pages"])


def dashboard_url(alert: str, query: str) -> str:
    """Return the annotation of an alert: the panel that names it, or Prometheus' own plot of a query.

    Args:
        alert: its name.
        query: PromQL; what is plotted when no panel names the alert.

    """
    for page in pages():
        for panel in page["panels"]:
            if alert in panel.get("alerts", []):
                return f"{{{{ $externalURL }}}}/consoles/{page['page']}.html#{panel['panel']}"
    return f"{{{{ $externalURL }}}}{{{{ graphLink `{query}` }}}}"


def console(page: dict[str, Any]) -> str:
    """Return the console template of a page; what all pages share is in `consoles/pages.lib`."""
    lines = [_call("head", page["title"], page["page"], page["question"])]
    if "remark" in page:
        lines.append(_call("remark", page["remark"]))
    lines.append("<main>")
    for panel in page["panels"]:
        words = [panel[key] for key in ("panel", "question", "unit", "note", "query")]
        lines.append(_call("panel", *words, str(panel.get("threshold", ""))))
        if panel["panel"] == "alerts":
            lines.append(_call("firing"))
    return "\n".join([*lines, "</main>", _call("foot")]) + "\n"


def _call(template: str, *words: str) -> str:
    """Return a call of a template. Between back quotes Go takes every character as it is; PromQL can do without them."""
    if any("`" in word for word in words):
        raise ValueError(f"{SOURCE.name}: a back quote would end the text that it is in: {words}")
    arguments = f" (args {' '.join(f'`{word}`' for word in words)})" if words else ""
    return f'{{{{ template "logbastion.{template}"{arguments} }}}}'


def grafana() -> str:
    """Return the dashboard as JSON: a row for each page. The Prometheus is chosen in Grafana, by a variable."""
    panels: list[dict[str, Any]] = []
    y = 0
    for page in pages():
        panels.append(_row(len(panels) + 1, page["question"], y))
        y += 1
        for panel, x in _placed(page["panels"]):
            panels.append(_grafana_panel(len(panels) + 1, panel, x, y))
            y += _PANEL_HEIGHT if x or panel is page["panels"][-1] else 0
    return json.dumps(
        {
            "uid": "logbastion",
            "title": "Logbastion",
            "description": "Requests, security and the way of the logs. Made from alertmanager/pages.yml.",
            "tags": ["logbastion"],
            "schemaVersion": 39,
            "editable": True,
            "graphTooltip": 1,
            "timezone": "utc",
            "refresh": "1m",
            "time": {"from": "now-6h", "to": "now"},
            "templating": {
                "list": [{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}]
            },
            "annotations": {"list": []},
            "links": [],
            "panels": panels,
        },
        indent=2,
    ).join(("", "\n"))


def _placed(panels: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each panel with its place from the left."""
    for number, panel in enumerate(panels):
        yield panel, number * _PANEL_WIDTH % _COLUMNS


def _row(number: int, title: str, y: int) -> dict[str, Any]:
    place = {"h": 1, "w": _COLUMNS, "x": 0, "y": y}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _grafana_panel(number: int, panel: dict[str, Any], x: int, y: int) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "transparent", "value": None}]
    if "threshold" in panel:
        steps.append({"color": "red", "value": panel["threshold"]})
    return {
        "id": number,
        "type": "timeseries",
        "title": panel["question"],
        "description": panel["note"],
        "datasource": _GRAFANA_SOURCE,
        "gridPos": {"h": _PANEL_HEIGHT, "w": _PANEL_WIDTH, "x": x, "y": y},
        "targets": [{"refId": "A", "datasource": _GRAFANA_SOURCE, "expr": panel["query"], "legendFormat": "__auto"}],
        "fieldConfig": {
            "defaults": {
                "unit": _GRAFANA_UNITS[panel["unit"]],
                "noValue": "no data",
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": {"thresholdsStyle": {"mode": "dashed" if len(steps) > 1 else "off"}, "spanNulls": False},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }
