"""The events that the example application's traffic left behind: numbered, complete, typed as the mapping says."""

import re
from collections import Counter

import pytest

from lab import hosts, stack, traffic
from tests.stack.conftest import documents, wait_until_complete

pytestmark = pytest.mark.usefixtures("running")

REQUESTS = 120


@pytest.fixture(scope="module")
def run_of_traffic(deployed_again) -> dict:
    summary = traffic.send(REQUESTS, seed=7)
    assert all(each.complete for each in wait_until_complete())
    return summary


def search(stream: str, query: dict) -> list[dict]:
    return list(documents(stream, query).values())


def number_of(stream: str, query: dict) -> int:
    client = stack.elasticsearch(stack.READER_OF_STREAM[stream])
    # The traffic logs nothing at DEBUG, so there may be no such stream yet.
    return client.count(index=stack.index(stream), query=query, ignore_unavailable=True)["count"]


def test_every_numbered_request_has_exactly_one_request_event(run_of_traffic):
    prefix = f"traffic-{run_of_traffic['run']}-"
    found = [
        event["correlation_id"]
        for stream in ("application", "performance")
        for event in search(stream, {"prefix": {"correlation_id": prefix}})
        if event.get("event_type") == "http_request"
    ]
    numbers = Counter(int(re.fullmatch(re.escape(prefix) + r"0*(\d+)", each).group(1)) for each in found)
    wanted = range(run_of_traffic["first"], run_of_traffic["last"] + 1)
    assert [number for number in wanted if numbers[number] != 1] == []


def test_events_of_one_request_share_its_correlation_id(run_of_traffic):
    prefix = f"traffic-{run_of_traffic['run']}-"
    failed = search(
        "application",
        {"bool": {"filter": [{"prefix": {"correlation_id": prefix}}, {"exists": {"field": "error.type"}}]}},
    )
    assert failed, "the page that fails was visited"
    for event in failed:
        assert event["error"]["stack_trace"].startswith("Traceback")


@pytest.mark.parametrize(
    ("stream", "guide", "ecs"),
    [
        ("application", "level", "log.level"),
        ("application", "logger", "log.logger"),
        ("application", "correlation_id", "http.request.id"),
        ("audit", "event_type", "event.action"),
        ("security", "security.source_ip", "source.ip"),
    ],
)
def test_guide_and_ecs_names_find_the_same_events(run_of_traffic, stream, guide, ecs):
    by_guide = number_of(stream, {"exists": {"field": guide}})
    assert by_guide > 0
    assert number_of(stream, {"exists": {"field": ecs}}) == by_guide


def test_identifiers_are_searchable_as_number_and_as_keyword(run_of_traffic):
    with_user = number_of("audit", {"exists": {"field": "user_id"}})
    assert with_user > 0
    assert number_of("audit", {"exists": {"field": "user.id"}}) == with_user
    assert number_of("audit", {"range": {"user_id": {"gte": 1}}}) == with_user


def test_addresses_and_durations_are_typed(run_of_traffic):
    assert number_of("security", {"term": {"security.source_ip": "0.0.0.0/0"}}) > 0
    assert number_of("performance", {"range": {"performance.duration_ms": {"gt": 0}}}) > 0


def test_nothing_is_in_the_dead_letters(run_of_traffic):
    directory = "/var/log/logbastion-ingest"
    kept = hosts.execute(stack.OBSERVER, "find", directory, "-type", "f", "-exec", "cat", "{}", "+")
    assert kept == ""


@pytest.mark.parametrize("stream", list(stack.READER_OF_STREAM))
def test_no_value_had_another_type_than_the_mapping_says(run_of_traffic, stream):
    """Elasticsearch keeps a value that does not fit, unsearchable, and names its field in `_ignored`."""
    assert number_of(stream, {"exists": {"field": "_ignored"}}) == 0
