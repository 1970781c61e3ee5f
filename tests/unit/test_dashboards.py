"""The builder of Kibana's dashboards. Whether fields exist and queries find something is for tests/elasticsearch."""

import json

import kibana_dashboards
import kibana_lens
import pytest


def test_what_is_built_is_what_the_sources_say():
    made = kibana_dashboards.made()
    assert {path: path.read_text(encoding="utf-8") for path in kibana_dashboards.BUILT.glob("*.ndjson")} == made


def test_a_second_build_is_the_same_byte_for_byte():
    assert kibana_dashboards.made() == kibana_dashboards.made()


def test_each_line_is_an_object_that_kibana_can_import():
    kinds = set()
    for path, text in kibana_dashboards.made().items():
        assert text.endswith("\n"), path
        for line in text.splitlines():
            one = json.loads(line)
            kinds.add(one["type"])
            assert {"type", "id", "attributes", "references", "coreMigrationVersion", "typeMigrationVersion"} <= set(
                one
            )
    assert kinds == {"dashboard", "search", "index-pattern"}


def test_an_id_comes_from_a_name_and_from_nothing_else():
    assert kibana_lens.stable_id("overview/errors") == "62dfb73d-fa57-531c-a1bd-14267471d3f4"
    assert kibana_lens.stable_id("a", "b") == kibana_lens.stable_id("a", "b") != kibana_lens.stable_id("b", "a")


PANEL = {
    "panel": "errors",
    "question": "How many?",
    "show": "bars",
    "data_view": "logs-django.application",
    "by": [{"time": True}],
    "values": [{"label": "errors", "calculate": "count"}],
}


def test_what_divides_a_plot_is_counted_before_what_is_along_it():
    panel = {**PANEL, "by": [{"time": True}, {"field": "service.name", "label": "Service"}]}
    state = kibana_lens.attributes("overview/errors", panel)["state"]
    ((layer,),) = [state["datasourceStates"]["formBased"]["layers"].values()]
    operations = [layer["columns"][name]["operationType"] for name in layer["columnOrder"]]
    assert operations == ["terms", "date_histogram", "count"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"show": "pie"}, "`show: pie` is none of number, table, line"),
        ({"by": []}, "a plot has one or two `by`"),
        ({"by": [{}]}, "`by` needs `time: true`, `field` or `queries`"),
        ({"show": "number"}, "a number has one value, or two, and no `by`"),
        ({"values": []}, "a panel shows at least one value"),
        ({"values": [{"label": "x", "calculate": "median"}]}, "'median' is none of average, count"),
        ({"values": [{"label": "x", "calculate": "count", "unit": "pounds"}]}, "the unit 'pounds' is none of count"),
        ({"values": [{"label": "x", "calculate": "share", "of": "a: 'b'"}]}, "an apostrophe would end the query"),
        (
            {"by": [{"field": "level", "label": "Level"}], "values": [{"label": "x", "calculate": "share", "of": "a: b", "unit": "share"}]},
            "top values of level need a value to be ordered by",
        ),
    ],
)  # fmt: skip
def test_a_source_that_cannot_work_is_refused_with_a_sentence(change, told):
    with pytest.raises(kibana_lens.DashboardError) as refused:
        kibana_lens.attributes("overview/errors", {**PANEL, **change})
    assert told in str(refused.value)


def test_an_order_that_forgets_a_dashboard_is_refused(tmp_path, monkeypatch):
    for path in kibana_dashboards.SOURCES.glob("*.yml"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8").replace("[overview, security", "[security"))
    monkeypatch.setattr(kibana_dashboards, "SOURCES", tmp_path)
    with pytest.raises(kibana_dashboards.DashboardError, match="name each dashboard once"):
        kibana_dashboards.made()


def test_an_id_leads_to_its_request_in_every_space():
    # Kibana's UrlFormat puts origin, base path and `/app/` before what begins with neither a scheme, `#` nor the base path.
    template = json.loads(kibana_dashboards.made()[kibana_dashboards.BUILT / "data_views.ndjson"].splitlines()[0])
    formats = json.loads(template["attributes"]["fieldFormatMap"])
    address = formats["correlation_id"]["params"]["urlTemplate"]
    assert address.startswith("../app/dashboards#/view/logbastion-request?")
    assert "{{value}}" in address


def test_each_dashboard_has_a_preview_that_says_what_it_is_and_is_in_the_docs():
    docs = kibana_dashboards.SOURCES.parents[1] / "docs"
    page = (docs / "dashboards.md").read_text(encoding="utf-8")
    for source in kibana_dashboards.SOURCES.glob("*.yml"):
        if source.stem != kibana_dashboards.COMMON:
            assert f"(dashboards/{source.stem}.png)" in page
            assert b"not a picture of Kibana" in (docs / f"dashboards/{source.stem}.png").read_bytes()
