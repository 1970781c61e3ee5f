"""The security log's questions to a real Elasticsearch: the same answers as from the files, each event on one page, one small right."""

import dataclasses
import datetime
import json
import random

import pytest
from logbastion.pseudonym_keys import new_key_line
from logbastion.pseudonyms import Pseudonymizer
from logbastion.security_log import Cursor, ElasticsearchLog, FileLog, LogAwayError, Query
from logbastion.security_log.query import cursor_of

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
NUMBER = 230
TYPES = ("authentication_attempt", "ip_blocked", "incident_opened")
LEVELS = ("INFO", "WARNING", "CRITICAL")


def event(number: int, person: str) -> dict:
    """Return one of the numbered events. Ten share each moment, and the oldest are five days old."""
    moment = NOW - datetime.timedelta(minutes=number // 10 * 300)
    made = {
        "@timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{number // 10:06}Z",
        "level": LEVELS[number % 3],
        "message": f"event {number}" + (f" to [redacted:email:{person}]" if number % 10 == 4 else ""),
        "event": {"id": f"0190-{number:06}", "dataset": "django.security"},
        "event_type": TYPES[number % 3],
        "correlation_id": f"c-{number // 2}",
        "security": {"source_ip": f"2001:db8::{number}" if number % 5 == 0 else f"192.0.2.{number}"},
        "extra": {"attempt": number},
    }
    if number % 10 == 2:
        made["extra"]["email_pseudonym"] = person
    if number % 10 == 3:
        made["extra"]["details"] = [{"who": f"[redacted:email:{person}]"}]
    return made


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    file = tmp_path_factory.mktemp("keys") / "keys"
    file.touch(mode=0o600)
    file.write_text(f"{new_key_line('first')}\n{new_key_line('second')}\n")
    return Pseudonymizer.from_file(file)


@pytest.fixture(scope="module")
def logs(node, tmp_path_factory, people):
    """Return the same events in Elasticsearch and in a file."""
    directory = tmp_path_factory.mktemp("logs")
    events = [event(number, people.pseudonym("email", "maria@example.org")) for number in range(NUMBER)]
    (directory / "security.log").write_text("".join(json.dumps(each) + "\n" for each in reversed(events)))
    random.Random(7).shuffle(events)  # noqa: S311 - an order, not a secret
    name = "logs-django.security-questions"
    lines = [part for each in events for part in ({"create": {"_index": name, "_id": each["event"]["id"]}}, each)]
    assert node.asked("POST", "/_bulk?refresh=true", lines, user="log_writer")["errors"] is False
    return store_of(node, directory, "questions"), FileLog(directory)


def store_of(node, directory, environment, user="security_page_reader", password=None, **options):
    secret = directory / f"{user}.secret"
    secret.touch(mode=0o600)
    secret.write_text(password or node.passwords[user])
    given = {"ca_file": node.ca_file, "username": user, "password_file": secret, "timeout": 30, **options}
    return ElasticsearchLog(node.url.removeprefix("https://"), environment, **given)


def asked(**values) -> Query:
    return Query(**{"since": NOW - datetime.timedelta(days=6), "until": NOW, "size": 20, **values})


def numbers(found) -> list[int]:
    return [each["extra"]["attempt"] for each in found.events]


def pages(log, query, direction="older"):
    seen = []
    while True:
        found = log.search(query)
        seen.append(numbers(found))
        if not (found.older if direction == "older" else found.newer):
            return seen
        edge = found.events[-1 if direction == "older" else 0]
        query = dataclasses.replace(query, cursor=cursor_of(edge), direction=direction)


def test_each_event_is_on_exactly_one_page_and_both_sources_agree(logs):
    store, files = logs
    found = pages(store, asked())
    assert sorted(number for page in found for number in page) == list(range(NUMBER))
    assert [len(page) for page in found] == [20] * 11 + [10]
    assert found == pages(files, asked())


def test_the_way_back_meets_each_event_once_too(logs):
    store, files = logs
    oldest = asked(cursor=Cursor("2000-01-01T00:00:00Z", ""), direction="newer")
    found = pages(store, oldest, "newer")
    assert sorted(number for page in found for number in page) == list(range(NUMBER))
    assert found == pages(files, oldest, "newer")


def test_a_cursor_of_one_source_goes_on_in_the_other(logs):
    store, files = logs
    first = store.search(asked())
    further = asked(cursor=cursor_of(first.events[-1]))
    assert numbers(files.search(further)) == numbers(store.search(further))


@pytest.mark.parametrize(
    ("values", "least"),
    [
        ({}, NUMBER),
        ({"event_type": "ip_blocked"}, 77),
        ({"event_type": "no such type"}, 0),
        ({"address": "192.0.2.7"}, 1),
        ({"address": "192.0.2.0/28"}, 12),
        ({"address": "2001:db8::/32"}, 46),
        ({"correlation_id": "c-7"}, 2),
        ({"correlation_id": "c-"}, 0),
        ({"since": NOW - datetime.timedelta(hours=11), "until": NOW - datetime.timedelta(hours=4)}, 20),
        ({"event_type": "incident_opened", "address": "192.0.2.0/24", "correlation_id": "c-1"}, 1),
    ],
)
def test_filters_counts_types_and_bars_are_those_of_the_files(logs, values, least):
    store, files = (log.search(asked(**values)) for log in logs)
    assert store.total == least
    assert dataclasses.replace(store, types=[]) == dataclasses.replace(files, types=[])
    assert sorted(store.types) == sorted(files.types)
    assert sum(bar.events for bar in store.bars) == store.total
    assert sum(bar.severe for bar in store.bars) > 0 or not store.total or values.get("correlation_id")


def test_a_person_is_found_under_every_key_in_fields_markers_and_messages(logs, people):
    names = people.all_pseudonyms("email", "Maria@Example.org")
    found = [log.search(asked(pseudonyms=names, size=200)) for log in logs]
    expected = [number for number in range(NUMBER) if number % 10 in (2, 3, 4)]
    # The message's marker is found by Elasticsearch as words, in the file as a text.
    assert [sorted(numbers(each)) for each in found] == [expected, expected]
    others = people.all_pseudonyms("email", "mario@example.org")
    assert [log.search(asked(pseudonyms=others)).total for log in logs] == [0, 0]


def test_a_stream_that_is_not_there_yet_is_empty(node, logs, tmp_path):
    found = store_of(node, tmp_path, "nobody").search(asked())
    assert (found.events, found.total, found.older, found.types) == ([], 0, False, [])


def test_events_without_an_id_have_their_place(node, tmp_path):
    name = "logs-django.security-without"
    events = [{"@timestamp": "2026-11-23T10:00:00.000001Z", "extra": {"attempt": number}} for number in range(1)]
    events += [
        {"@timestamp": "2026-11-23T10:00:00.000001Z", "event": {"id": f"i{number}"}, "extra": {"attempt": number}}
        for number in range(1, 5)
    ]
    lines = [part for each in events for part in ({"create": {"_index": name}}, each)]
    assert node.asked("POST", "/_bulk?refresh=true", lines, user="log_writer")["errors"] is False
    query = asked(
        since=datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC),
        until=NOW + datetime.timedelta(days=365),
        size=2,
    )
    assert sorted(n for page in pages(store_of(node, tmp_path, "without"), query) for n in page) == list(range(5))


def test_the_credential_reads_the_security_stream_and_can_do_nothing_else(node, environment):
    user = "security_page_reader"
    for stream in ("application", "security", "audit", "performance", "debug"):
        name = f"logs-django.{stream}-{environment}"
        document = {"@timestamp": "2026-11-23T10:00:00Z", "message": stream}
        node.asked("POST", f"/{name}/_doc?refresh=true", document)
        status = node.call("GET", f"/{name}/_search", user=user).status_code
        assert status == (200 if stream == "security" else 403), stream
    name = f"logs-django.security-{environment}"
    for method, path, body in (
        ("POST", f"/{name}/_doc", {"@timestamp": "2026-11-23T10:00:00Z"}),
        ("DELETE", f"/{name}", None),
        ("PUT", f"/{name}/_mapping", {"properties": {}}),
        ("GET", "/_cluster/settings", None),
        ("GET", "/_security/user", None),
        ("GET", "/.security*/_search", None),
    ):
        answer = node.call(method, path, body, user=user)
        seen = answer.json().get("hits", {}).get("total", {}).get("value", 0)
        assert answer.status_code == 403 or (answer.ok and not seen), (method, path, answer.text)
    hits = node.asked("GET", f"/*-{environment}/_search", user=user)["hits"]["hits"]
    assert [hit["_source"]["message"] for hit in hits] == ["security"]


def test_a_wrong_password_another_stream_and_another_authority_are_refused_with_a_reason(node, environment, tmp_path):
    with pytest.raises(LogAwayError, match="Elasticsearch refuses: HTTP 401"):
        store_of(node, tmp_path, environment, password="wrong").search(asked())
    node.asked("POST", f"/logs-django.security-{environment}/_doc", {"@timestamp": "2026-11-23T10:00:00Z"})
    with pytest.raises(LogAwayError, match="Elasticsearch refuses: HTTP 403"):
        store_of(node, tmp_path, environment, user="log_writer").search(asked())
    with pytest.raises(LogAwayError, match="certificate verify failed"):
        store_of(node, tmp_path, environment, ca_file=None).search(asked())
