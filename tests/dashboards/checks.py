"""Says in sentences what is wrong with the saved objects themselves, and with their fields against the mapping."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final

from tests.dashboards import kql, saved_objects
from tests.dashboards.lens import Panel, Use

OLDEST_DEPLOYED: Final = (8, 19)
"""The oldest Kibana that the role deploys: nothing may need a newer one."""
COLUMNS: Final = 48
SHAPES: Final = {"dashboard": "8.7.0", "search": "7.9.3", "index-pattern": "7.11.0"}
"""Versions of the saved objects' shapes, those of the sample data in Kibana's own sources; newer Kibanas migrate them, older ones refuse newer."""
_NUMBERS: Final = frozenset({"long", "integer", "short", "byte", "double", "float", "half_float"})
_WORDS: Final = frozenset({"keyword", "ip", "boolean"})
_DATES: Final = frozenset({"date", "date_nanos"})
_ANY: Final = _NUMBERS | _WORDS | _DATES | {"text", "flattened"}
ALLOWED: Final = {
    "terms": _NUMBERS | _WORDS,
    "unique_count": _NUMBERS | _WORDS | _DATES,
    "date_histogram": _DATES,
    "percentile": _NUMBERS,
    "sum": _NUMBERS,
    "average": _NUMBERS,
    "max": _NUMBERS,
    "range": _NUMBERS | _DATES | {"ip"},
    "control": _WORDS,
    "match": _NUMBERS | _WORDS | {"text"},
    "exists": _ANY,
    "column": _ANY,
}
"""What can be done with fields of which type."""
_SEARCHES: Final = frozenset({"match", "range", "exists"})
_LENS_TYPES: Final = {**dict.fromkeys(_NUMBERS, "number"), "keyword": "string", "ip": "ip", "boolean": "boolean"}


def structure(objects: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with ids, references, versions and places."""
    known = Counter((one["type"], one["id"]) for one in objects)
    yield from (f"{kind} {name} is there {count} times" for (kind, name), count in known.items() if count > 1)
    for one in objects:
        name = f"{one['type']} {one['id']}"
        if one["typeMigrationVersion"] != SHAPES[one["type"]]:
            yield f"{name}: its shape is of version {one['typeMigrationVersion']}, which Kibana may not know"
        names = Counter(reference["name"] for reference in one["references"])
        used = Counter(_used_references(one))
        yield from (f"{name}: nothing has the reference {missing}" for missing in used - names)
        yield from (f"{name}: the reference {unused} is used by nothing" for unused in names - used)
        for reference in one["references"]:
            if (reference["type"], reference["id"]) not in known:
                yield f"{name}: {reference['name']} leads to {reference['type']} {reference['id']}, which is not there"
    for dashboard in saved_objects.of_kind(objects, "dashboard"):
        yield from _layout(dashboard)


def _used_references(one: dict[str, Any]) -> Iterator[str]:
    if one["type"] == "search":
        yield saved_objects.search_source(one)["indexRefName"]
    if one["type"] != "dashboard":
        return
    yield from (f"controlGroup_{key}:optionsListDataView" for key in saved_objects.controls(one))
    for panel in saved_objects.panels(one):
        index, config = panel["panelIndex"], panel["embeddableConfig"]
        if "panelRefName" in panel:
            yield f"{index}:{panel['panelRefName']}"
        attributes = config.get("attributes", {})
        yield from (f"{index}:{reference['name']}" for reference in attributes.get("references", []))
        yield from (f"{index}:{link['destinationRefName']}" for link in attributes.get("links", []))
        for event in config["enhancements"].get("dynamicActions", {}).get("events", []):
            yield f"{index}:drilldown:{event['action']['factoryId']}:{event['eventId']}:dashboardId"


def _layout(dashboard: dict[str, Any]) -> Iterator[str]:
    name, panels = dashboard["id"], saved_objects.panels(dashboard)
    indices = Counter(panel["panelIndex"] for panel in panels)
    yield from (
        f"{name}: the panel index {index} is there {count} times" for index, count in indices.items() if count > 1
    )
    for panel in panels:
        place, grid = f"{name}, {panel['title'] or panel['type']}", panel["gridData"]
        if grid["i"] != panel["panelIndex"]:
            yield f"{place}: its place belongs to another panel"
        if min(grid["x"], grid["y"], grid["w"] - 1, grid["h"] - 1) < 0 or grid["x"] + grid["w"] > COLUMNS:
            yield f"{place}: it is outside of the {COLUMNS} columns"
        if tuple(map(int, panel["version"].split(".")[:2])) > OLDEST_DEPLOYED:
            yield f"{place}: it needs Kibana {panel['version']}"
        if panel["type"] not in {"lens", "search", "links"}:
            yield f"{place}: nobody checks panels of type {panel['type']}"
        if panel["type"] == "lens":
            made = Panel(panel["title"], panel["embeddableConfig"])
            if sorted(made.shown()) != sorted([*made.buckets, *made.values]):
                yield f"{place}: what is shown and the columns differ"
    for one, other in combinations(panels, 2):
        if _overlap(one["gridData"], other["gridData"]):
            yield f"{name}: {one['title'] or one['type']} and {other['title'] or other['type']} overlap"


def _overlap(one: dict[str, Any], other: dict[str, Any]) -> bool:
    across = one["x"] < other["x"] + other["w"] and other["x"] < one["x"] + one["w"]
    return bool(across and one["y"] < other["y"] + other["h"] and other["y"] < one["y"] + one["h"])


def fields(objects: list[dict[str, Any]], capabilities: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield what is wrong with fields.

    Args:
        objects: the saved objects.
        capabilities: by id of the data view what Elasticsearch answers to `_field_caps`, which is what Kibana asks.

    """
    for place, view, use in _uses(objects):
        known = capabilities[view].get(use.field) if view in capabilities else None
        if known is None:
            yield f"{place}: the field {use.field} is not mapped in {view}"
            continue
        for kind, capability in known.items():
            if kind not in ALLOWED[use.operation]:
                yield f"{place}: {use.operation} cannot be done with {use.field}, which is {kind}"
            elif use.operation in _SEARCHES:
                if not capability["searchable"]:
                    yield f"{place}: {use.field} cannot be searched"
            elif use.operation != "column" and not capability["aggregatable"]:
                yield f"{place}: {use.field} cannot be counted by"
            if use.data_type is not None and _LENS_TYPES.get(kind) != use.data_type:
                yield f"{place}: the panel takes {use.field}, which is {kind}, for {use.data_type}"


def _uses(objects: list[dict[str, Any]]) -> Iterator[tuple[str, str, Use]]:
    for view in saved_objects.of_kind(objects, "index-pattern"):
        name, attributes = view["id"], view["attributes"]
        yield name, name, Use(attributes["timeFieldName"], "date_histogram")
        yield from ((name, name, Use(field, "column")) for field in json.loads(attributes["fieldFormatMap"]))
    for search in saved_objects.of_kind(objects, "search"):
        source = saved_objects.search_source(search)
        view_id = saved_objects.target(search, source["indexRefName"])
        columns = [*search["attributes"]["columns"], *(field for field, _ in search["attributes"]["sort"])]
        yield from ((search["id"], view_id, Use(field, "column")) for field in columns)
        asks = kql.parse(source["query"]["query"]).asks
        yield from ((search["id"], view_id, Use(field, ask)) for field, ask in asks)
    for dashboard in saved_objects.of_kind(objects, "dashboard"):
        for key, control in saved_objects.controls(dashboard).items():
            view_id = saved_objects.target(dashboard, f"controlGroup_{key}:optionsListDataView")
            yield dashboard["id"], view_id, Use(control["explicitInput"]["fieldName"], "control")
        for panel, view_id in saved_objects.lens_panels(dashboard):
            yield from ((f"{dashboard['id']}, {panel.title}", view_id, use) for use in panel.uses())
