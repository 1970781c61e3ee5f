"""Who may do what, and above all who may not."""

import uuid

import pytest
from conftest import STREAMS

READERS = {
    "log_reader": {"application", "performance", "debug"},
    "security_log_reader": {"security", "audit"},
    "security_page_reader": {"security"},
}


@pytest.fixture(scope="module")
def environment(store):
    """An environment in which every stream holds one document, written by the writer."""
    name = uuid.uuid4().hex
    for stream in STREAMS:
        document = {"@timestamp": "2026-11-23T10:00:00Z", "event": {"id": "1"}, "message": stream}
        assert store.create(f"logs-django.{stream}-{name}", document)[0]["status"] == 201
    store.call("POST", f"/logs-django.*-{name}/_refresh")
    return name


@pytest.mark.parametrize("user", ["log_writer", "log_eraser", *READERS])
def test_a_wrong_password_is_refused(store, user):
    assert store.call("GET", "/_security/_authenticate", user=user, password="not the password").status_code == 401
    assert store.call("GET", "/_security/_authenticate", user=user).json()["roles"] == [user]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("user", READERS)
def test_readers_see_their_streams_only(store, environment, user, stream):
    answer = store.call("GET", f"/logs-django.{stream}-{environment}/_search", user=user)
    if stream in READERS[user]:
        assert answer.json()["hits"]["total"]["value"] == 1
    else:
        assert answer.status_code == 403


@pytest.mark.parametrize("user", READERS)
def test_a_pattern_shows_a_reader_no_more(store, environment, user):
    hits = store.call("GET", f"/logs-*-{environment}/_search", user=user).json()["hits"]["hits"]
    assert {hit["_source"]["message"] for hit in hits} == READERS[user]


def writes(environment):
    document = {"@timestamp": "2026-11-23T10:00:00Z", "message": "forged"}
    return [
        ("POST", f"/logs-django.application-{environment}/_doc", document),
        ("POST", f"/logs-django.security-{environment}/_doc", document),
    ]


@pytest.mark.parametrize("user", READERS)
@pytest.mark.parametrize("which", [0, 1])
def test_readers_cannot_write(store, environment, user, which):
    method, path, body = writes(environment)[which]
    assert store.call(method, path, body, user=user).status_code == 403


@pytest.mark.parametrize("stream", STREAMS)
def test_the_writer_cannot_read_change_or_delete(store, environment, stream):
    name = f"logs-django.{stream}-{environment}"
    backing = next(iter(store.call("GET", f"/{name}/_settings").json()))
    attempts = [
        ("GET", f"/{name}/_search", None),
        ("GET", f"/{name}/_count", None),
        ("GET", f"/{backing}/_doc/1", None),
        (
            "PUT",
            f"/{backing}/_doc/1?if_seq_no=0&if_primary_term=1",
            {"@timestamp": "2026-11-23T10:00:00Z", "message": "forged"},
        ),
        ("POST", f"/{backing}/_update/1", {"doc": {"message": "forged"}}),
        ("DELETE", f"/{backing}/_doc/1", None),
        ("DELETE", f"/{backing}", None),
        ("PUT", f"/{backing}/_settings", {"index": {"refresh_interval": "1h"}}),
        ("POST", f"/{name}/_rollover", None),
    ]
    assert [(call[0], store.call(*call, user="log_writer").status_code) for call in attempts] == [
        (call[0], 403) for call in attempts
    ]
    assert [hit["_source"]["message"] for hit in store.found(name, {"match_all": {}})] == [stream]


@pytest.mark.parametrize(
    "index",
    [
        "logs-other-lab",
        "logs-django.unknown-lab",
        "logs-nginx.access-lab",
        "metrics-django.application-lab",
        "anything",
    ],
)
def test_the_writer_cannot_write_elsewhere(store, index):
    document = {"@timestamp": "2026-11-23T10:00:00Z", "event": {"id": "1"}}
    assert store.create(index, document)[0]["status"] == 403


@pytest.mark.parametrize("user", ["log_writer", "log_eraser", *READERS])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/_security/user", None),
        ("PUT", "/_security/user/elastic/_password", {"password": "taken-over"}),
        ("PUT", "/_index_template/mine", {"index_patterns": ["mine-*"]}),
        ("PUT", "/_component_template/logbastion-event", {"template": {}}),
        ("PUT", "/_cluster/settings", {"persistent": {"action.destructive_requires_name": False}}),
        ("POST", "/_security/api_key", {"name": "mine"}),
        ("GET", "/_cluster/state", None),
        ("GET", "/_nodes", None),
    ],
)
def test_nobody_of_them_administers_anything(store, user, method, path, body):
    assert store.call(method, path, body, user=user).status_code == 403
