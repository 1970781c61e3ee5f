"""Asks a real Elasticsearch what Kibana would ask for each panel, saved search and control, and says which of them finds nothing."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.dashboards import kql, saved_objects
from tests.dashboards.lens import LensError, Panel

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Sends the body of a search to the indices of a data view's pattern."""


def fullest_request(ask: Ask) -> str:
    """Return the correlation id of the request of a known user with the most events from ERROR on."""
    worst = {"bool": {"filter": [{"terms": {"level": ["ERROR", "CRITICAL"]}}, {"exists": {"field": "user_id"}}]}}
    by = {"requests": {"terms": {"field": "correlation_id", "size": 1}}}
    answer = ask("logs-django.*", {"size": 0, "query": worst, "aggs": by})
    return str(answer["aggregations"]["requests"]["buckets"][0]["key"])


def narrowed(ask: Ask, correlation_id: str) -> Ask:
    """Return what asks with the filter that a click on an id adds to a dashboard."""
    chosen = {"term": {"correlation_id": correlation_id}}
    return lambda pattern, body: ask(
        pattern, {**body, "query": {"bool": {"filter": [chosen, body.get("query", {"match_all": {}})]}}}
    )


class Answers:
    """The answers to all that the saved objects ask.

    Args:
        ask: sends a search.
        objects: the saved objects.

    """

    def __init__(self, ask: Ask, objects: list[dict[str, Any]]) -> None:
        self._ask, self._objects = ask, objects
        views = saved_objects.of_kind(objects, "index-pattern")
        self._patterns = {view["id"]: view["attributes"]["title"] for view in views}
        self.asked = 0

    def _search(self, view: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked += 1
        return self._ask(self._patterns[view], body)

    def rows(self, panel: Panel, view: str) -> list[dict[str, Any]]:
        """Return the table that a panel draws."""
        return panel.rows(self._search(view, panel.request()))

    def newest(self, search: dict[str, Any], size: int = 8) -> list[dict[str, Any]]:
        """Return the first documents that a saved search lists."""
        source = saved_objects.search_source(search)
        ((field, direction),) = search["attributes"]["sort"]
        query = kql.parse(source["query"]["query"]).body
        body = {"size": size, "query": query, "sort": [{field: direction}], "track_total_hits": True}
        view = saved_objects.target(search, source["indexRefName"])
        return [hit["_source"] for hit in self._search(view, body)["hits"]["hits"]]

    def problems(self) -> Iterator[str]:
        """Yield what finds nothing, and what nobody here knows how to ask."""
        for search in saved_objects.of_kind(self._objects, "search"):
            if not self.newest(search):
                yield f"{search['id']} finds nothing"
        for dashboard in saved_objects.of_kind(self._objects, "dashboard"):
            name = dashboard["id"]
            for panel, view in saved_objects.lens_panels(dashboard):
                try:
                    yield from (f"{name}, {panel.title}: {problem}" for problem in self._of_panel(panel, view))
                except (LensError, kql.KqlError) as error:
                    yield f"{name}, {panel.title}: {error}"
            for key, control in saved_objects.controls(dashboard).items():
                view = saved_objects.target(dashboard, f"controlGroup_{key}:optionsListDataView")
                choices = {"terms": {"field": control["explicitInput"]["fieldName"]}}
                answer = self._search(view, {"size": 0, "aggs": {"choices": choices}})
                if not answer["aggregations"]["choices"]["buckets"]:
                    yield f"{name}: the control {control['explicitInput']['title']} has nothing to choose"

    def _of_panel(self, panel: Panel, view: str) -> Iterator[str]:
        rows = self.rows(panel, view)
        if not rows:
            yield "it shows nothing"
        for name in panel.values:
            if all(row[name] is None for row in rows):
                yield f"{panel.columns[name]['label']} has no value"
        for query in panel.queries():
            both = {"bool": {"filter": [kql.parse(panel.query).body, kql.parse(query).body]}}
            if not self._search(view, {"size": 0, "query": both})["hits"]["total"]["value"]:
                yield f"the query {query} finds nothing"
