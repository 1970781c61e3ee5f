"""Makes from `dashboards/*.yml` what Kibana imports: data views, saved searches and dashboards, as NDJSON in `dashboards/built`.

Run it by `make dashboards`; `tests/unit/test_dashboards.py` fails when what it made differs from its sources. It is our own because the compiler that
there is (`kb-dashboard-cli`) needs Python 3.12, makes no data views and no saved searches, and does not know whether a field exists.
"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import kibana_lens
import yaml
from kibana_lens import DashboardError, kuery, stable_id

SOURCES: Final = Path(__file__).resolve().parent / "dashboards"
BUILT: Final = SOURCES / "built"
COMMON: Final = "common"
MINIMUM_VERSION: Final = "8.12.0"
"""The oldest Kibana that shows all of it: it is the first with a panel of links that is kept within its dashboard."""
# Versions of the saved objects' shape. Kibana migrates older ones when it imports them and refuses newer ones, so these are as old as the shape allows.
_CORE_VERSION: Final = "8.8.0"
_TYPE_VERSIONS: Final = {"dashboard": "8.7.0", "search": "7.9.3", "index-pattern": "7.11.0"}
_DRILLDOWN: Final = "DASHBOARD_TO_DASHBOARD_DRILLDOWN"
_LINKS_HEIGHT: Final = 3
COLUMNS: Final = 48
"""Width of Kibana's grid."""


def main() -> int:
    """Write the files, remove those without a source, and say what has changed."""
    wanted = made()
    for path in sorted(BUILT.glob("*.ndjson")):
        if path not in wanted:
            path.unlink()
            print(f"removed: {path.relative_to(SOURCES.parent.parent)}")
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(SOURCES.parent.parent)}")
    return 0


def made() -> dict[Path, str]:
    """Return the files that are made, with their texts.

    Raises:
        DashboardError: a source says something that cannot work.

    """
    common = _read(SOURCES / f"{COMMON}.yml")
    sources = [_read(path) for path in sorted(SOURCES.glob("*.yml")) if path.stem != COMMON]
    by_name = {source["dashboard"]: source for source in sources}
    ordered = [by_name.pop(name) for name in common["order"] if name in by_name]
    if by_name or len(ordered) != len(common["order"]):
        raise DashboardError(f"{COMMON}.yml: `order` has to name each dashboard once; {sorted(by_name)} differ.")
    files = {
        "data_views": [_data_view(view) for view in common["data_views"]],
        "saved_searches": [_search(search) for search in common["searches"]],
    }
    files |= {source["dashboard"]: [_dashboard(source, ordered, common)] for source in ordered}
    return {BUILT / f"{name}.ndjson": _lines(objects) for name, objects in files.items()}


def _read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def _lines(objects: Iterable[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(one, sort_keys=True, ensure_ascii=False)}\n" for one in objects)


def _text(value: Any) -> str:
    """Return JSON as Kibana keeps it within JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _object(kind: str, name: str, attributes: dict[str, Any], references: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "type": kind,
        "id": name,
        "attributes": attributes,
        "references": references,
        "coreMigrationVersion": _CORE_VERSION,
        "typeMigrationVersion": _TYPE_VERSIONS[kind],
        "managed": False,
    }


def _reference(kind: str, name: str, target: str) -> dict[str, str]:
    return {"type": kind, "name": name, "id": target}


def _data_view(view: dict[str, Any]) -> dict[str, Any]:
    attributes = {
        "title": view["pattern"],
        "name": view["name"],
        "timeFieldName": "@timestamp",
        "allowNoIndex": True,  # on the first day there is no stream yet
        "fields": "[]",
        "runtimeFieldMap": "{}",
        "typeMeta": "{}",
        "fieldFormatMap": _text(view.get("formats", {})),
    }
    return _object("index-pattern", view["id"], attributes, [])


def _search(search: dict[str, Any]) -> dict[str, Any]:
    index = "kibanaSavedObjectMeta.searchSourceJSON.index"
    source = {"query": kuery(search.get("query", "")), "filter": [], "indexRefName": index}
    attributes = {
        "title": search["title"],
        "description": search["note"],
        "columns": search["columns"],
        "sort": [["@timestamp", search.get("direction", "desc")]],
        "hits": 0,
        "version": 1,
        "kibanaSavedObjectMeta": {"searchSourceJSON": _text(source)},
    }
    return _object("search", search["id"], attributes, [_reference("index-pattern", index, search["data_view"])])


def dashboard_id(name: str) -> str:
    """Return the id of a dashboard."""
    return f"logbastion-{name}"


def _dashboard(source: dict[str, Any], ordered: list[dict[str, Any]], common: dict[str, Any]) -> dict[str, Any]:
    name = source["dashboard"]
    panels, references = _links(name, ordered)
    built = [panels]
    for panel in source["panels"]:
        made_panel, more = _panel(name, {"data_view": source["data_view"], **panel})
        built.append(made_panel)
        references += more
    controls, more = _controls(name, source["data_view"], common["controls"])
    attributes = {
        "title": source["title"],
        "description": source["question"],
        "panelsJSON": _text(built),
        "optionsJSON": _text(
            {
                "useMargins": True,
                "syncColors": False,
                "syncCursor": True,
                "syncTooltips": False,
                "hidePanelTitles": False,
            }
        ),
        "kibanaSavedObjectMeta": {"searchSourceJSON": _text({"query": kuery(""), "filter": []})},
        "controlGroupInput": controls,
        "timeRestore": True,
        "timeFrom": source.get("since", "now-24h"),
        "timeTo": "now",
        "refreshInterval": {"pause": True, "value": 60000},
        "version": 1,
    }
    return _object("dashboard", dashboard_id(name), attributes, [*references, *more])


def _placed(index: str, kind: str, title: str, at: list[int], config: dict[str, Any]) -> dict[str, Any]:
    x, y, width, height = at
    return {
        "version": MINIMUM_VERSION,
        "type": kind,
        "panelIndex": index,
        "gridData": {"x": x, "y": y, "w": width, "h": height, "i": index},
        "title": title,
        "embeddableConfig": config,
    }


def _links(name: str, ordered: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the panel at the top that leads to the other dashboards, with the chosen filters and time."""
    index, links, references = stable_id(name, "links"), [], []
    for number, other in enumerate(ordered):
        link = stable_id(name, "link", other["dashboard"])
        target = f"link_{link}_dashboard"
        links.append(
            {
                "type": "dashboardLink",
                "id": link,
                "order": number,
                "label": other["title"],
                "destinationRefName": target,
                "options": {"openInNewTab": False, "useCurrentDateRange": True, "useCurrentFilters": True},
            }
        )
        references.append(_reference("dashboard", f"{index}:{target}", dashboard_id(other["dashboard"])))
    config = {"attributes": {"layout": "horizontal", "links": links}, "enhancements": {}, "hidePanelTitles": True}
    return _placed(index, "links", "", [0, 0, COLUMNS, _LINKS_HEIGHT], config), references


def _panel(name: str, panel: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    place = f"{name}/{panel['panel']}"
    index = stable_id(place)
    x, y, width, height = panel["at"]
    at = [x, y + _LINKS_HEIGHT, width, height]
    title, note = panel["question"], panel.get("note", "")
    if panel["show"] == "search":
        reference = f"panel_{index}"
        made_panel = _placed(index, "search", title, at, {"enhancements": {}, "description": note})
        made_panel["panelRefName"] = reference
        return made_panel, [_reference("search", f"{index}:{reference}", panel["search"])]
    attributes = kibana_lens.attributes(place, panel)
    enhancements: dict[str, Any] = {}
    references = [{**one, "name": f"{index}:{one['name']}"} for one in attributes["references"]]
    if "leads_to" in panel:
        event = stable_id(place, "drilldown")
        enhancements = {"dynamicActions": {"events": [_drilldown(event)]}}
        target = dashboard_id(panel["leads_to"])
        references.append(_reference("dashboard", f"{index}:drilldown:{_DRILLDOWN}:{event}:dashboardId", target))
    config = {"attributes": attributes, "enhancements": enhancements, "description": note, "hidePanelTitles": False}
    return _placed(index, "lens", title, at, config), references


def _drilldown(event: str) -> dict[str, Any]:
    return {
        "eventId": event,
        "triggers": ["FILTER_TRIGGER"],
        "action": {
            "factoryId": _DRILLDOWN,
            "name": "What else happened in this request?",
            "config": {"useCurrentFilters": True, "useCurrentDateRange": True, "openInNewTab": False},
        },
    }


def _controls(name: str, data_view: str, controls: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return the lists above the panels. The time has its own control in Kibana's header."""
    panels, references = {}, []
    for number, control in enumerate(controls):
        key = stable_id(name, "control", control["field"])
        panels[key] = {
            "order": number,
            "width": "medium",
            "grow": False,
            "type": "optionsListControl",
            "explicitInput": {"id": key, "fieldName": control["field"], "title": control["label"], "enhancements": {}},
        }
        references.append(_reference("index-pattern", f"controlGroup_{key}:optionsListDataView", data_view))
    return {
        "controlStyle": "oneLine",
        "chainingSystem": "HIERARCHICAL",
        "panelsJSON": _text(panels),
        "ignoreParentSettingsJSON": _text(
            {"ignoreFilters": False, "ignoreQuery": False, "ignoreTimerange": False, "ignoreValidations": False}
        ),
    }, references


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DashboardError as problem:
        sys.exit(str(problem))
