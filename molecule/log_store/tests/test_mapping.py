"""What a stored event is found by: typed, by the guide's names and by ECS's, whatever nonsense is in it."""

import uuid

import pytest
from conftest import STREAMS

GUIDE = {
    "timestamp": "date",
    "level": "keyword",
    "logger": "keyword",
    "correlation_id": "keyword",
    "user_id": "long",
    "school_id": "long",
    "event_type": "keyword",
    "message": "text",
    "extra": "flattened",
    "performance.duration_ms": "float",
    "performance.operation": "keyword",
    "performance.success": "boolean",
    "security.source_ip": "ip",
    "security.user_agent": "text",
    "security.risk_score": "float",
}
OURS = {
    "@timestamp": "date_nanos",
    "event.id": "keyword",
    "event.dataset": "keyword",
    "event.kind": "keyword",
    "event.category": "keyword",
    "event.start": "date",
    "event.end": "date",
    "rule.id": "keyword",
    "rule.name": "keyword",
    "rule.reference": "keyword",
    "incident_id": "keyword",
    "incident_type": "keyword",
    "severity": "keyword",
    "incident_count": "long",
    "correlation_ids": "keyword",
    "service.name": "keyword",
    "service.environment": "keyword",
    "host.name": "keyword",
    "process.pid": "long",
    "error.type": "keyword",
    "error.message": "text",
    "error.stack_trace": "text",
    "ecs.version": "keyword",
    "user.id": "keyword",
    "organization.id": "keyword",
}
SAME = {
    "log.level": "level",
    "log.logger": "logger",
    "event.action": "event_type",
    "source.ip": "security.source_ip",
    "event.risk_score": "security.risk_score",
    "http.request.id": "correlation_id",
}
FULL = {
    "@timestamp": "2026-11-23T10:00:00.123456Z",
    "timestamp": "2026-11-23T10:00:00.123456Z",
    "level": "WARNING",
    "logger": "finances.payments",
    "message": "Payment of the school refused",
    "correlation_id": "0193-full",
    "user_id": 9007199254740993,
    "school_id": 3000000000,
    "event_type": "payment_failed",
    "extra": {"currency": "EUR", "card": {"brand": "visa"}, "amount": "12.50"},
    "performance": {"duration_ms": 1.5, "operation": "GET /pay", "success": False},
    "security": {"source_ip": "2001:db8::7", "user_agent": "Mozilla/5.0 (X11)", "risk_score": 0.75},
    "event": {
        "id": "full",
        "dataset": "django.application",
        "kind": "alert",
        "category": ["authentication", "intrusion_detection"],
        "start": "2026-11-23T09:58:00.5+00:00",
        "end": "2026-11-23T09:59:00+00:00",
    },
    "rule": {"id": "authentication_attack", "name": "Passwords are guessed", "reference": "Look at the admin."},
    "incident_id": "inc_0123456789abcdef",
    "incident_type": "authentication_attack",
    "severity": "MEDIUM",
    "incident_count": 17,
    "correlation_ids": ["0193-full", "0193-other"],
    "service": {"name": "school", "environment": "mapping"},
    "host": {"name": "app"},
    "process": {"pid": 4711},
    "error": {"type": "CardError", "message": "card was declined", "stack_trace": "Traceback: File pay.py, line 12"},
    "ecs": {"version": "8.17.0"},
}


@pytest.fixture(scope="module")
def index(store):
    """A stream of its own, with the full event in it."""
    name = f"logs-django.application-{uuid.uuid4().hex}"
    assert [answer["status"] for answer in store.create(name, FULL)] == [201]
    return name


@pytest.mark.parametrize("stream", STREAMS)
def test_every_stream_has_every_field_with_its_type(store, stream):
    name = f"logs-django.{stream}-{uuid.uuid4().hex}"
    assert store.create(name, {"@timestamp": "2026-11-23T10:00:00Z", "event": {"id": "1"}})[0]["status"] == 201
    fields = store.call("GET", f"/{name}/_field_caps?fields=*").json()["fields"]
    types = {field: next(iter(by_type)) for field, by_type in fields.items() if field in GUIDE | OURS}
    assert types == GUIDE | OURS


@pytest.mark.parametrize("stream", STREAMS)
def test_every_stream_is_stored_as_meant(store, stream):
    template = store.call("POST", f"/_index_template/_simulate_index/logs-django.{stream}-anything").json()["template"]
    settings = template["settings"]["index"]
    assert settings["codec"] == "best_compression"
    assert int(settings["mapping"]["total_fields"]["limit"]) == 250
    assert settings["mapping"]["ignore_malformed"] == "true"
    assert template["mappings"]["dynamic"] == "false"


@pytest.mark.parametrize(
    "query",
    [
        "user_id:9007199254740993",
        "user.id:9007199254740993",
        "school_id:3000000000",
        "school_id:[2147483648 TO *]",
        "organization.id:3000000000",
        "level:WARNING",
        "log.level:WARNING",
        "logger:finances.payments",
        "log.logger:finances.payments",
        "event_type:payment_failed",
        "event.action:payment_failed",
        'correlation_id:"0193-full"',
        'http.request.id:"0193-full"',
        'security.source_ip:"2001:db8::/32"',
        'source.ip:"2001:db8::/32"',
        "security.risk_score:[0.7 TO 0.8]",
        "event.risk_score:[0.7 TO 0.8]",
        "security.user_agent:mozilla",
        "performance.duration_ms:[1 TO 2]",
        'performance.operation:"GET /pay"',
        "performance.success:false",
        "extra.currency:EUR",
        "extra.card.brand:visa",
        "error.type:CardError",
        "error.message:declined",
        "error.stack_trace:pay.py",
        "service.environment:mapping",
        "process.pid:4711",
        "message:school",
        "event.kind:alert",
        "event.category:intrusion_detection",
        "event.start:[2026-11-23T09:00:00Z TO 2026-11-23T09:58:59Z]",
        "rule.id:authentication_attack",
        'rule.name:"Passwords are guessed"',
        "incident_id:inc_0123456789abcdef",
        "severity:MEDIUM",
        "incident_count:[10 TO *]",
        'correlation_ids:"0193-other"',
        "refused",
        "declined",
    ],
)
def test_the_event_is_found_by_the_guides_names_and_by_ecs_names(store, index, query):
    assert store.ids(index, query) == ["full"]


@pytest.mark.parametrize(
    "query",
    ["user_id:9007199254740992", "extra.currency:USD", "log.level:INFO", 'source.ip:"2001:db9::/32"', "elsewhere"],
)
def test_it_is_not_found_by_what_it_is_not(store, index, query):
    assert store.ids(index, query) == []


@pytest.mark.parametrize(("alias", "path"), SAME.items())
def test_an_alias_counts_as_the_field_and_cannot_be_written(store, index, alias, path):
    counted = {"size": 0, "aggs": {"a": {"value_count": {"field": alias}}, "b": {"value_count": {"field": path}}}}
    found = store.call("POST", f"/{index}/_search", counted).json()["aggregations"]
    assert found["a"] == found["b"]
    assert found["a"]["value"] >= 1

    written = {"@timestamp": "2026-11-23T10:00:00Z", "event": {"id": uuid.uuid4().hex}}
    *parents, last = alias.split(".")
    inner = written
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = "anything"
    beside = {"@timestamp": "2026-11-23T10:00:00Z", "event": {"id": uuid.uuid4().hex}}
    refused, stored = store.create(index, written, beside)
    assert (refused["status"], stored["status"]) == (400, 201)
    assert "alias" in refused["error"]["reason"]


def test_microseconds_survive_in_the_document_and_in_the_order(store):
    name = f"logs-django.audit-{uuid.uuid4().hex}"
    times = [f"2026-11-23T10:00:00.12345{digit}Z" for digit in (7, 3, 9, 1)]
    store.create(name, *({"@timestamp": time, "event": {"id": time}} for time in times))
    hits = store.found(name, {"match_all": {}}, sort=["@timestamp"])
    assert [hit["_source"]["@timestamp"] for hit in hits] == sorted(times)


def test_values_of_the_wrong_type_are_kept_and_listed(store, index):
    wrong = {
        "@timestamp": "2026-11-23T10:00:00Z",
        "event": {"id": "wrong"},
        "timestamp": "yesterday",
        "user_id": "5f0c7a0e-uuid",
        "school_id": 2**70,
        "security": {"source_ip": "behind a proxy", "risk_score": "high"},
        "performance": {"duration_ms": "fast", "success": "maybe"},
        "process": {"pid": "?"},
        "unknown": {"field": 1},
    }
    assert store.create(index, wrong)[0]["status"] == 201
    (hit,) = store.found(index, "_exists_:_ignored")
    assert hit["_source"] == wrong
    assert set(hit["_ignored"]) >= {
        "timestamp",
        "user_id",
        "school_id",
        "security.source_ip",
        "performance.duration_ms",
        "performance.success",
    }
    assert store.ids(index, "user.id:5f0c7a0e-uuid") == ["wrong"]
    assert store.ids(index, "unknown.field:1") == []


def test_a_thousand_keys_in_extra_add_no_field(store, index):
    many = {"@timestamp": "2026-11-23T10:00:00Z", "event": {"id": "many"}, "extra": {f"key{n}": n for n in range(1000)}}
    long = {
        "@timestamp": "2026-11-23T10:00:00Z",
        "event": {"id": "long"},
        "extra": {"body": "x" * 100_000},
        "event_type": "y" * 100_000,
    }
    before = store.call("GET", f"/{index}/_field_caps?fields=*").json()["fields"].keys()
    assert [answer["status"] for answer in store.create(index, many, long)] == [201, 201]
    assert store.call("GET", f"/{index}/_field_caps?fields=*").json()["fields"].keys() == before
    assert store.ids(index, "extra.key999:999") == ["many"]


def test_a_second_document_with_the_same_id_is_refused(store, index):
    (answer,) = store.create(index, {**FULL, "message": "another"})
    assert answer["status"] == 409
    (hit,) = store.found(index, {"ids": {"values": ["full"]}})
    assert hit["_source"] == FULL
