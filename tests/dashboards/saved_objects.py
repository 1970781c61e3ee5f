"""What `elk_templates/dashboards/built` has for Kibana, read back."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.dashboards.lens import Panel

BUILT = Path(__file__).resolve().parents[2] / "elk_templates/dashboards/built"


def read() -> list[dict[str, Any]]:
    """Return all saved objects, those that dashboards show before the dashboards."""
    lines = [line for path in sorted(BUILT.glob("*.ndjson")) for line in path.read_text(encoding="utf-8").splitlines()]
    objects = [json.loads(line) for line in lines]
    return sorted(objects, key=lambda one: ["index-pattern", "search", "dashboard"].index(one["type"]))


def copied(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return objects of their own, to change something in."""
    return copy.deepcopy(objects)


def of_kind(objects: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a type."""
    yield from (one for one in objects if one["type"] == kind)


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the panels of a dashboard as they lie within it."""
    return list(json.loads(dashboard["attributes"]["panelsJSON"]))


def with_panels(dashboard: dict[str, Any], changed: list[dict[str, Any]]) -> None:
    """Put panels back into a dashboard."""
    dashboard["attributes"]["panelsJSON"] = json.dumps(changed)


def controls(dashboard: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the controls of a dashboard by their ids."""
    return dict(json.loads(dashboard["attributes"]["controlGroupInput"]["panelsJSON"]))


def target(holder: dict[str, Any], name: str) -> str:
    """Return the id that a reference of an object leads to; nothing when there is none."""
    return next((str(one["id"]) for one in holder["references"] if one["name"] == name), "")


def lens_panel(dashboard: dict[str, Any], panel: dict[str, Any]) -> tuple[Panel, str]:
    """Return a panel of kind Lens with the id of its data view."""
    made = Panel(panel["title"], panel["embeddableConfig"])
    return made, target(dashboard, f"{panel['panelIndex']}:indexpattern-datasource-layer-{made.layer}")


def lens_panels(dashboard: dict[str, Any]) -> Iterator[tuple[Panel, str]]:
    """Yield the Lens panels of a dashboard, each with the id of its data view."""
    yield from (lens_panel(dashboard, panel) for panel in panels(dashboard) if panel["type"] == "lens")


def search_source(search: dict[str, Any]) -> dict[str, Any]:
    """Return query and reference of a saved search."""
    return dict(json.loads(search["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"]))
