"""The part of Kibana's query language that the dashboards may use becomes what Kibana sends, and the rest is refused."""

import pytest

from tests.dashboards.kql import KqlError, parse

ERROR, CRITICAL = {"match": {"level": "ERROR"}}, {"match": {"level": "CRITICAL"}}
EITHER = {"bool": {"should": [ERROR, CRITICAL], "minimum_should_match": 1}}


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("", {"match_all": {}}),
        ("level: ERROR", ERROR),
        ("level:ERROR", ERROR),
        ("level: (ERROR or CRITICAL)", EITHER),
        ("level: ERROR or level: CRITICAL", EITHER),
        ("not level: ERROR", {"bool": {"must_not": ERROR}}),
        ("level: ERROR and not level: CRITICAL", {"bool": {"filter": [ERROR, {"bool": {"must_not": CRITICAL}}]}}),
        # `and` binds closer than `or`.
        ("a: 1 or b: 2 and c: 3", {"bool": {"should": [{"match": {"a": "1"}}, {"bool": {"filter": [{"match": {"b": "2"}}, {"match": {"c": "3"}}]}}], "minimum_should_match": 1}}),
        ("(a: 1 or b: 2) and c: 3", {"bool": {"filter": [{"bool": {"should": [{"match": {"a": "1"}}, {"match": {"b": "2"}}], "minimum_should_match": 1}}, {"match": {"c": "3"}}]}}),
        ('message: "was withheld"', {"match_phrase": {"message": "was withheld"}}),
        ("performance.duration_ms > 2000", {"range": {"performance.duration_ms": {"gt": "2000"}}}),
        ("error.type: *", {"exists": {"field": "error.type"}}),
        ("event_type: ip_block*", {"query_string": {"fields": ["event_type"], "query": "ip_block*"}}),
        (r"message: redacted\:*", {"query_string": {"fields": ["message"], "query": r"redacted\:*"}}),
    ],
)  # fmt: skip
def test_what_is_known(text, body):
    assert parse(text).body == body


@pytest.mark.parametrize(
    "text",
    [
        "ERROR", "level:", "level: (ERROR", "level: ERROR)", "level: ERROR CRITICAL", "level: (ERROR and CRITICAL)",
        "level: ERROR and", "and level: ERROR", "level: or", "nested: { a: 1 }", 'message: "open', "level > ", "*: x", r"a: b\c",
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused(text):
    with pytest.raises(KqlError):
        parse(text)
