"""The state of a Lens visualisation (Kibana 8.12 or newer), made from a panel of `dashboards/*.yml`.

The structure is that of the sample data's dashboards in Kibana's sources (`sample_data/data_sets`). Run by `kibana_dashboards.py`.
"""

import uuid
from typing import Any, Final

NAMESPACE: Final = uuid.UUID("5f0f6d1c-6a1e-4c0e-9a0a-3f4f8f6f2b11")
"""Ids are made from names under it (UUID version 5), so that the same source gives the same ids for ever."""
RECORDS: Final = "___records___"
FORMATS: Final[dict[str, dict[str, Any]]] = {
    "count": {"id": "number", "params": {"decimals": 0}},
    "per_minute": {"id": "number", "params": {"decimals": 1, "suffix": " /min"}},
    "milliseconds": {"id": "number", "params": {"decimals": 0, "suffix": " ms"}},
    "share": {"id": "percent", "params": {"decimals": 1}},
    "money": {"id": "number", "params": {"decimals": 2}},
}
"""Lens's format of a unit."""
CALCULATIONS: Final = frozenset({"count", "unique_count", "sum", "average", "max", "percentile", "share"})
BLUE, RED = "#3B6FB6", "#B8432F"
COLOURS: Final = {"neutral": BLUE, "bad": RED}
_SERIES: Final = {
    "line": "line",
    "bars": "bar_stacked",
    "ranking": "bar_horizontal",
}


class DashboardError(ValueError):
    """A source of a dashboard says something that cannot work; the message is a sentence for who wrote it."""


def stable_id(*names: str) -> str:
    """Return the id of something that is named by where it stands."""
    return str(uuid.uuid5(NAMESPACE, "/".join(names)))


def kuery(query: str) -> dict[str, str]:
    """Return a query in Kibana's language as Lens keeps it."""
    return {"query": query, "language": "kuery"}


def attributes(place: str, panel: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of a Lens panel that is kept within its dashboard.

    Args:
        place: names dashboard and panel; ids are made from it.
        panel: as in the source, `data_view` filled in.

    Raises:
        DashboardError: the panel cannot be shown.

    """
    layer = stable_id(place, "layer")
    columns, buckets, values = _columns(place, panel)
    kind, visualization = _visualization(layer, panel, buckets, values)
    return {
        "title": "",
        "type": "lens",
        "visualizationType": kind,
        "references": [
            {"type": "index-pattern", "id": panel["data_view"], "name": f"indexpattern-datasource-layer-{layer}"}
        ],
        "state": {
            "visualization": visualization,
            "query": kuery(panel.get("query", "")),
            "filters": [],
            "datasourceStates": {
                "formBased": {
                    "layers": {
                        layer: {"columns": columns, "columnOrder": list(columns), "incompleteColumns": {}},
                    }
                }
            },
            "internalReferences": [],
            "adHocDataViews": {},
        },
    }


def _columns(place: str, panel: dict[str, Any]) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return all columns in Lens's order (buckets first), the ids of the buckets and those of the shown values."""
    values: dict[str, Any] = {}
    shown: list[str] = []
    for number, value in enumerate(panel["values"]):
        column = stable_id(place, "value", str(number))
        values |= _value(place, column, value)
        shown.append(column)
    if not shown:
        raise DashboardError(f"{place}: a panel shows at least one value.")
    orderable = [name for name in shown if values[name]["operationType"] != "formula"]
    buckets: dict[str, Any] = {}
    for number, bucket in enumerate(panel.get("by", [])):
        buckets[stable_id(place, "by", str(number))] = _bucket(place, bucket, orderable)
    names = list(buckets)
    if panel["show"] in _SERIES and len(names) == 2:
        # What divides a plot comes first: the top values of all the time, not of each bar.
        buckets = {name: buckets[name] for name in reversed(names)}
    return {**buckets, **values}, names, shown


def _bucket(place: str, bucket: dict[str, Any], orderable: list[str]) -> dict[str, Any]:
    field = bucket.get("field", "")
    if bucket.get("time"):
        params: dict[str, Any] = {"interval": "auto", "includeEmptyRows": True, "dropPartials": False}
        return _column("date_histogram", "Time", "date", "interval", bucketed=True, field="@timestamp", params=params)
    if "queries" in bucket:
        filters = [{"input": kuery(query), "label": label} for label, query in bucket["queries"].items()]
        return _column("filters", bucket["label"], "string", "ordinal", bucketed=True, params={"filters": filters})
    if not field:
        raise DashboardError(f"{place}: `by` needs `time: true`, `field` or `queries`.")
    if not orderable:
        raise DashboardError(f"{place}: top values of {field} need a value to be ordered by; a share alone is none.")
    return _column(
        "terms", bucket["label"], bucket.get("type", "string"), "ordinal", bucketed=True, field=field,
        params={
            "size": bucket.get("size", 5),
            "orderBy": {"type": "column", "columnId": orderable[0]},
            "orderDirection": "desc",
            "otherBucket": False,
            "missingBucket": False,
            "parentFormat": {"id": "terms"},
        },
    )  # fmt: skip


def _column(
    operation: str,
    label: str,
    data_type: str,
    scale: str,
    *,
    bucketed: bool = False,
    field: str | None = None,
    params: dict[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "label": label,
        "customLabel": True,
        "dataType": data_type,
        "operationType": operation,
        "isBucketed": bucketed,
        "scale": scale,
        **({"sourceField": field} if field else {}),
        "params": params or {},
    }


def _value(place: str, column: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of one value: one, or four where it is a share (a formula and its parts)."""
    label, unit = value["label"], value.get("unit", "count")
    if unit not in FORMATS:
        raise DashboardError(f"{place}: the unit {unit!r} is none of {', '.join(FORMATS)}.")
    calculation = value["calculate"]
    if calculation not in CALCULATIONS:
        raise DashboardError(f"{place}: {calculation!r} is none of {', '.join(sorted(CALCULATIONS))}.")
    if calculation == "share":
        return _share(column, label, value["of"], FORMATS[unit])
    params: dict[str, Any] = {"format": FORMATS[unit]}
    if calculation in {"count", "unique_count", "sum"}:
        params["emptyAsNull"] = False
    if calculation == "percentile":
        params["percentile"] = value["percentile"]
    field = RECORDS if calculation == "count" else value["field"]
    made = _column(calculation, label, "number", "ratio", field=field, params=params)
    if unit == "per_minute":
        made["timeScale"] = "m"
    if "query" in value:
        made["filter"] = kuery(value["query"])
    return {column: made}


def _share(column: str, label: str, query: str, unit: dict[str, Any]) -> dict[str, Any]:
    """Return a formula, the part of all records that a query finds, with the parts that Lens keeps of it."""
    if "'" in query:
        raise DashboardError(f"{label}: an apostrophe would end the query {query} within its formula.")
    formula = f"count(kql='{query}') / count()"
    parts = [f"{column}X{number}" for number in range(3)]
    some = _column("count", f"Part of {label}", "number", "ratio", field=RECORDS, params={"emptyAsNull": False})
    whole = _column("count", f"Part of {label}", "number", "ratio", field=RECORDS, params={"emptyAsNull": False})
    tree = {
        "type": "function",
        "name": "divide",
        "args": parts[:2],
        "location": {"min": 0, "max": len(formula)},
        "text": formula,
    }
    division = _column("math", f"Part of {label}", "number", "ratio", params={"tinymathAst": tree})
    shown = _column(
        "formula", label, "number", "ratio", params={"formula": formula, "isFormulaBroken": False, "format": unit}
    )
    return {
        parts[0]: {**some, "filter": kuery(query)},
        parts[1]: whole,
        parts[2]: {**division, "references": parts[:2]},
        column: {**shown, "references": [parts[2]]},
    }


def _visualization(
    layer: str, panel: dict[str, Any], buckets: list[str], values: list[str]
) -> tuple[str, dict[str, Any]]:
    """Return Lens's name of the kind and the state of what is drawn."""
    show = panel["show"]
    if show == "number":
        return "lnsMetric", _number(layer, panel, buckets, values)
    if show == "table":
        columns = [
            *({"columnId": name, "isTransposed": False, "oneClickFilter": True} for name in buckets),
            *({"columnId": name, "isTransposed": False, "isMetric": True} for name in values),
        ]
        return "lnsDatatable", {
            "layerId": layer,
            "layerType": "data",
            "columns": columns,
            "rowHeight": "single",
            "rowHeightLines": 1,
        }
    if show in _SERIES:
        return "lnsXY", _plot(layer, panel, buckets, values)
    raise DashboardError(f"{panel['panel']}: `show: {show}` is none of number, table, {', '.join(_SERIES)}.")


def _number(layer: str, panel: dict[str, Any], buckets: list[str], values: list[str]) -> dict[str, Any]:
    if buckets or len(values) > 2:
        raise DashboardError(f"{panel['panel']}: a number has one value, or two, and no `by`.")
    secondary = {"secondaryMetricAccessor": values[1]} if len(values) == 2 else {}
    colour = COLOURS[panel.get("colour", "neutral")]
    return {"layerId": layer, "layerType": "data", "metricAccessor": values[0], "color": colour, **secondary}


def _plot(layer: str, panel: dict[str, Any], buckets: list[str], values: list[str]) -> dict[str, Any]:
    if not 1 <= len(buckets) <= 2:
        raise DashboardError(f"{panel['panel']}: a plot has one or two `by`: what is along it, and what divides it.")
    colour = COLOURS[panel.get("colour", "neutral")]
    data: dict[str, Any] = {
        "layerId": layer,
        "layerType": "data",
        "seriesType": _SERIES[panel["show"]],
        "accessors": values,
        "xAccessor": buckets[0],
    }
    if len(buckets) == 2:
        # One hue in steps: the plots are read by their order and legend, not by eight colours.
        data |= {"splitAccessor": buckets[1], "palette": {"type": "palette", "name": "cool"}}
    else:
        colours = [colour, "#7A7F87", "#A9B6C8"]
        data["yConfig"] = [
            {"forAccessor": name, "color": colours[number % 3], "axisMode": "left"}
            for number, name in enumerate(values)
        ]
    return {
        "preferredSeriesType": data["seriesType"],
        "layers": [data],
        "legend": {"isVisible": len(buckets) == 2 or len(values) > 1, "position": "bottom", "showSingleSeries": False},
        "valueLabels": "show" if panel["show"] == "ranking" else "hide",
        "fittingFunction": "None",
        "yLeftExtent": {"mode": "full"},
        "axisTitlesVisibilitySettings": {"x": False, "yLeft": True, "yRight": False},
        "tickLabelsVisibilitySettings": {"x": True, "yLeft": True, "yRight": True},
        "gridlinesVisibilitySettings": {"x": False, "yLeft": True, "yRight": False},
    }
