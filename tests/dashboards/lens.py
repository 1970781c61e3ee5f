"""Reads a Lens panel as it was built, and makes of it the search that Kibana sends: aggregations of its columns, its query, its filters."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from tests.dashboards import kql

RECORDS: Final = "___records___"
INTERVAL: Final = "30m"
"""What `auto` is for a day: Kibana aims at about fifty buckets."""
INTERVAL_MINUTES: Final = 30
_METRICS: Final = {"unique_count": "cardinality", "sum": "sum", "average": "avg", "max": "max"}
_COUNTED: Final = "count"
_PARTS: Final = frozenset({"math", "formula"})


class LensError(ValueError):
    """The panel has something that is not known here, so nobody has checked it."""


@dataclass(frozen=True)
class Use:
    """What a panel does with a field."""

    field: str
    operation: str
    data_type: str | None = None
    """What the built panel takes the field for, where Lens keeps that."""


class Panel:
    """A panel of kind Lens."""

    def __init__(self, title: str, config: dict[str, Any]) -> None:
        attributes = config["attributes"]
        self.title, self.kind = title, attributes["visualizationType"]
        self.note = config.get("description", "")
        state = attributes["state"]
        self.query = state["query"]["query"]
        ((self.layer, layer),) = state["datasourceStates"]["formBased"]["layers"].items()
        self.visualization = state["visualization"]
        self.columns: dict[str, dict[str, Any]] = {name: layer["columns"][name] for name in layer["columnOrder"]}
        if len(self.columns) != len(layer["columns"]):
            raise LensError(f"{title}: columns and their order differ")
        self.references = attributes["references"]
        self.buckets = [name for name, column in self.columns.items() if column["isBucketed"]]
        self.values = [
            name
            for name, column in self.columns.items()
            if not column["isBucketed"] and not _is_part(name, self.columns)
        ]

    def shown(self) -> list[str]:
        """Return the ids of the columns that the visualisation names."""
        state = self.visualization
        if self.kind == "lnsMetric":
            return [state[key] for key in ("metricAccessor", "secondaryMetricAccessor") if key in state]
        if self.kind == "lnsDatatable":
            return [column["columnId"] for column in state["columns"]]
        if self.kind == "lnsXY":
            (layer,) = state["layers"]
            return [
                layer["xAccessor"],
                *([layer["splitAccessor"]] if "splitAccessor" in layer else []),
                *layer["accessors"],
            ]
        raise LensError(f"{self.title}: the kind {self.kind} is not known here")

    def uses(self) -> Iterator[Use]:
        """Yield what is done with which field."""
        for column in self.columns.values():
            operation, field = column["operationType"], column.get("sourceField")
            if field and field != RECORDS:
                yield Use(field, operation, column["dataType"] if operation == "terms" else None)
        for text in self.queries():
            yield from (Use(field, ask) for field, ask in kql.parse(text).asks)

    def queries(self) -> Iterator[str]:
        """Yield the panel's query and those of its columns."""
        yield self.query
        for column in self.columns.values():
            if "filter" in column:
                yield column["filter"]["query"]
            for one in column["params"].get("filters", []):
                yield one["input"]["query"]

    def request(self) -> dict[str, Any]:
        """Return the body of the search."""
        metrics: dict[str, Any] = {}
        for name in self.columns:
            metrics |= self._metric(name)
        inner = metrics
        for name in reversed(self.buckets):
            inner = {name: {**self._bucket(name), **({"aggs": inner} if inner else {})}}
            if name != self.buckets[0]:
                inner |= metrics  # what the level above is ordered by
        return {
            "size": 0,
            "track_total_hits": True,
            "query": kql.parse(self.query).body,
            **({"aggs": inner} if inner else {}),
        }

    def _metric(self, name: str) -> dict[str, Any]:
        column = self.columns[name]
        operation = column["operationType"]
        if column["isBucketed"] or operation in _PARTS:
            return {}
        query = column.get("filter")
        if operation == _COUNTED:
            return {name: {"filter": kql.parse(query["query"]).body}} if query else {}
        if operation == "percentile":
            body = {"percentiles": {"field": column["sourceField"], "percents": [column["params"]["percentile"]]}}
        elif operation in _METRICS:
            body = {_METRICS[operation]: {"field": column["sourceField"]}}
        else:
            raise LensError(f"{self.title}: the calculation {operation} is not known here")
        if query:
            return {name: {"filter": kql.parse(query["query"]).body, "aggs": {name: body}}}
        return {name: body}

    def _bucket(self, name: str) -> dict[str, Any]:
        column = self.columns[name]
        operation, params = column["operationType"], column["params"]
        if operation == "date_histogram":
            return {"date_histogram": {"field": column["sourceField"], "fixed_interval": INTERVAL, "min_doc_count": 0}}
        if operation == "filters":
            queries = {one["label"]: kql.parse(one["input"]["query"]).body for one in params["filters"]}
            return {"filters": {"filters": queries}}
        if operation == "terms":
            order = params["orderBy"]["columnId"]
            return {
                "terms": {
                    "field": column["sourceField"],
                    "size": params["size"],
                    "order": {self._order(order): params["orderDirection"]},
                }
            }
        raise LensError(f"{self.title}: buckets by {operation} are not known here")

    def _order(self, name: str) -> str:
        column = self.columns[name]
        if column["operationType"] == _COUNTED:
            return name if "filter" in column else "_count"
        if column["operationType"] == "percentile":
            return f"{name}.{column['params']['percentile']}"
        return name

    def rows(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the table that Lens draws: for each combination of buckets a row of column ids and values."""
        whole = {"doc_count": answer["hits"]["total"]["value"], **answer.get("aggregations", {})}
        return list(self._rows(self.buckets, whole, {}))

    def _rows(self, names: list[str], bucket: dict[str, Any], known: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if not names:
            yield {**known, **{name: self._number(name, bucket) for name in self.values}}
            return
        found = bucket[names[0]]["buckets"]
        if isinstance(found, dict):  # filters, in the order in which the panel has them
            pairs = [(one["label"], found[one["label"]]) for one in self.columns[names[0]]["params"]["filters"]]
        else:
            pairs = [(one["key"], one) for one in found]
        for key, inner in pairs:
            yield from self._rows(names[1:], inner, {**known, names[0]: key})

    def _number(self, name: str, bucket: dict[str, Any]) -> float | None:
        column = self.columns[name]
        operation = column["operationType"]
        if operation == "formula":
            part, whole = self.columns[column["references"][0]]["references"]
            every = self._number(whole, bucket) or 0
            return (self._number(part, bucket) or 0) / every if every else None
        if operation == _COUNTED:
            count = bucket[name]["doc_count"] if "filter" in column else bucket["doc_count"]
            return count / INTERVAL_MINUTES if column.get("timeScale") == "m" else count
        found = bucket[name][name] if "filter" in column else bucket[name]
        if operation == "percentile":
            (number,) = found["values"].values()
            return None if number in {None, "NaN"} else number
        value: float | None = found["value"]
        return value


def _is_part(name: str, columns: dict[str, dict[str, Any]]) -> bool:
    """Say whether a column only serves a formula."""
    return any(name in other.get("references", []) for other in columns.values())
