"""Kibana's dashboards against the mapping and the answers of a real Elasticsearch, on what the example application really logs. No Kibana runs here."""

import json

import pytest

from tests.dashboards import checks, example_data, saved_objects
from tests.dashboards.answers import Answers, fullest_request, narrowed

STREAMS = ("application", "security", "audit", "performance", "debug")
ENVIRONMENT = "dashboards"


@pytest.fixture(scope="module")
def objects():
    return saved_objects.read()


@pytest.fixture(scope="module")
def streams(node):
    """Store what the example logs, once; return the number of events by stream."""
    return example_data.load(node, ENVIRONMENT)


@pytest.fixture(scope="module")
def capabilities(node, streams, objects):
    patterns = {view["id"]: view["attributes"]["title"] for view in saved_objects.of_kind(objects, "index-pattern")}
    return {
        view: node.asked("GET", f"/{example_data.indices(pattern, ENVIRONMENT)}/_field_caps?fields=*")["fields"]
        for view, pattern in patterns.items()
    }


@pytest.fixture(scope="module")
def ask(node, streams):
    return example_data.asking(node, ENVIRONMENT)


def test_the_example_has_left_something_in_each_stream(streams):
    assert set(streams) == set(STREAMS)
    assert sum(streams.values()) > 200


def test_the_structure_is_sound(objects):
    assert list(checks.structure(objects)) == []


def test_there_is_what_was_asked_for(objects):
    dashboards = {one["id"] for one in saved_objects.of_kind(objects, "dashboard")}
    names = ("overview", "security", "payments", "performance", "incidents", "pipeline", "privacy", "request")
    assert dashboards == {f"logbastion-{name}" for name in names}
    views = {one["id"]: one["attributes"]["title"] for one in saved_objects.of_kind(objects, "index-pattern")}
    assert {f"logs-django.{stream}": f"logs-django.{stream}-*" for stream in STREAMS}.items() <= views.items()
    for dashboard in saved_objects.of_kind(objects, "dashboard"):
        fields = {one["explicitInput"]["fieldName"] for one in saved_objects.controls(dashboard).values()}
        assert fields == {"service.environment", "organization.id"}
        assert dashboard["attributes"]["timeRestore"] is True
        asked = [panel["title"] for panel in saved_objects.panels(dashboard) if panel["type"] != "links"]
        assert [title for title in asked if not title.endswith("?")] == []


def test_each_dashboard_leads_to_a_request_by_its_correlation_id(objects):
    for dashboard in saved_objects.of_kind(objects, "dashboard"):
        leading = [panel for panel in saved_objects.panels(dashboard) if panel["embeddableConfig"]["enhancements"]]
        assert len(leading) == (0 if dashboard["id"] == "logbastion-request" else 1)
        for panel in leading:
            made, _ = saved_objects.lens_panel(dashboard, panel)
            assert made.columns[made.buckets[0]]["sourceField"] == "correlation_id"
        leads = [one["id"] for one in dashboard["references"] if ":drilldown:" in one["name"]]
        assert leads == ["logbastion-request"] * len(leading)


def test_fields_are_mapped_and_fit(objects, capabilities):
    assert list(checks.fields(objects, capabilities)) == []


def test_every_panel_search_and_control_finds_something(objects, ask):
    answers = Answers(ask, objects)
    assert list(answers.problems()) == []
    assert answers.asked > 150


def alone(objects, name):
    """Return a dashboard with the data views."""
    return [one for one in objects if one["type"] == "index-pattern" or one["id"] == f"logbastion-{name}"]


def test_a_click_on_an_id_shows_all_events_of_the_request_and_no_other(objects, ask):
    request = fullest_request(ask)
    answers = Answers(narrowed(ask, request), alone(objects, "request"))
    assert list(answers.problems()) == []
    search = next(one for one in objects if one["id"] == "logbastion-request-events")
    events = answers.newest(search, 100)
    assert {event["correlation_id"] for event in events} == {request}
    assert [event["@timestamp"] for event in events] == sorted(event["@timestamp"] for event in events)
    assert len({event["event"]["dataset"] for event in events}) >= 2
    (first, *_) = saved_objects.lens_panels(next(one for one in objects if one["id"] == "logbastion-request"))
    (row,) = answers.rows(*first)
    assert list(row.values()) == [len(events), 1]


@pytest.mark.parametrize(
    ("user", "names"),
    [("log_reader", ["overview", "performance"]), ("security_log_reader", ["security", "payments", "incidents"])],
)
def test_a_role_sees_all_of_its_dashboards_and_nothing_of_the_other_streams(node, streams, objects, user, names):
    ask = example_data.asking(node, ENVIRONMENT, user)
    for name in names:
        assert list(Answers(ask, alone(objects, name)).problems()) == []
    datasets = {"size": 0, "aggs": {"streams": {"terms": {"field": "event.dataset"}}}}
    seen = {one["key"] for one in ask("logs-django.*", datasets)["aggregations"]["streams"]["buckets"]}
    mine = {"log_reader": {"application", "performance", "debug"}, "security_log_reader": {"security", "audit"}}[user]
    assert seen == {f"django.{stream}" for stream in mine}


def test_the_field_limit_leaves_room(node, streams):
    (mapping,) = node.asked("GET", f"/logs-django.audit-{ENVIRONMENT}/_mapping").values()

    def count(properties):
        return sum(1 + count(one.get("properties", {})) + len(one.get("fields", {})) for one in properties.values())

    assert count(mapping["mappings"]["properties"]) < 125  # half of what logbastion-settings allows


# The checker itself: what is broken has to be told.


def changed(objects, edit):
    """Return all objects, with a change in the panels of the overview."""
    copied = saved_objects.copied(objects)
    overview = next(one for one in copied if one["id"] == "logbastion-overview")
    panels = saved_objects.panels(overview)
    edit(panels, overview)
    saved_objects.with_panels(overview, panels)
    return copied


def replacing(text, other):
    def edit(panels, overview):
        whole = json.dumps(panels)
        assert text in whole
        panels[:] = json.loads(whole.replace(text, other))

    return edit


@pytest.mark.parametrize(
    ("text", "other", "told"),
    [
        ('"sourceField": "error.type"', '"sourceField": "error.kind"', "the field error.kind is not mapped"),
        ('"sourceField": "error.type"', '"sourceField": "message"', "terms cannot be done with message, which is text"),
        ('"sourceField": "performance.duration_ms"', '"sourceField": "logger"', "percentile cannot be done with logger"),
        ('"sourceField": "@timestamp"', '"sourceField": "level"', "date_histogram cannot be done with level"),
        ("level: (ERROR or CRITICAL)", "loglevel: (ERROR or CRITICAL)", "the field loglevel is not mapped"),
        ("event_type: http_request", "event_type > 3", "range cannot be done with event_type, which is keyword"),
        ('"sourceField": "service.name"', '"sourceField": "school_id"', "which is long, for string"),
    ],
)  # fmt: skip
def test_a_field_that_does_not_fit_is_told(objects, capabilities, text, other, told):
    problems = list(checks.fields(changed(objects, replacing(text, other)), capabilities))
    assert any(told in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("text", "other", "told"),
    [
        ("level: (ERROR or CRITICAL)", "level: FATAL", "the query level: FATAL finds nothing"),
        ("performance.success: false", "performance.success: false and level: FATAL", "and level: FATAL finds nothing"),
        ("event_type: http_request", "event_type: (http_request", "values in brackets are joined by"),
        ("event_type: http_request", "http_request", "ends too early"),
        ("event_type: http_request", "event_type: http_request } x", "nothing is known that begins with"),
        ('"operationType": "percentile"', '"operationType": "last_value"', "last_value is not known"),
    ],
)
def test_a_query_that_finds_nothing_or_is_not_known_is_told(objects, ask, text, other, told):
    wanted = changed(objects, replacing(text, other))
    only = [one for one in wanted if one["type"] == "index-pattern" or one["id"] == "logbastion-overview"]
    problems = list(Answers(ask, only).problems())
    assert any(told in problem for problem in problems), problems


def overlapping(panels, overview):
    panels[2]["gridData"]["x"] -= 1


def outside(panels, overview):
    panels[4]["gridData"]["w"] += 1


def too_new(panels, overview):
    panels[1]["version"] = "9.1.0"


def dangling(panels, overview):
    next(one for one in overview["references"] if ":drilldown:" in one["name"])["id"] = "logbastion-gone"


def without_reference(panels, overview):
    overview["references"] = [one for one in overview["references"] if ":drilldown:" not in one["name"]]


def newer_shape(panels, overview):
    overview["typeMigrationVersion"] = "10.9.0"


def other_kind(panels, overview):
    panels[1]["type"] = "visualization"


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (overlapping, "overlap"),
        (outside, "outside of the 48 columns"),
        (too_new, "it needs Kibana 9.1.0"),
        (dangling, "leads to dashboard logbastion-gone, which is not there"),
        (without_reference, "nothing has the reference"),
        (newer_shape, "its shape is of version 10.9.0"),
        (other_kind, "nobody checks panels of type visualization"),
    ],
)
def test_a_broken_structure_is_told(objects, edit, told):
    problems = list(checks.structure(changed(objects, edit)))
    assert any(told in problem for problem in problems), problems


def test_an_id_that_is_there_twice_is_told(objects):
    assert any("is there 2 times" in problem for problem in checks.structure([*objects, objects[0]]))
