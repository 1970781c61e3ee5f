"""The node is what the other tests take it for: the streams have our mapping, and a role's user may do what the role says."""

import pytest
import requests

STREAMS = ("application", "security", "audit", "performance", "debug")


@pytest.mark.parametrize("stream", STREAMS)
def test_a_stream_has_our_mapping(node, environment, stream):
    name = f"logs-django.{stream}-{environment}"
    document = {"@timestamp": "2026-11-23T10:00:00.000001Z", "event": {"id": "1"}, "message": "one", "extra": {"a": 1}}
    written = node.asked("POST", "/_bulk", [{"create": {"_index": name, "_id": "1"}}, document], user="log_writer")
    assert written["errors"] is False
    (mapping,) = node.asked("GET", f"/{name}/_mapping").values()
    assert mapping["mappings"]["properties"]["extra"]["type"] == "flattened"


def test_a_user_may_what_its_role_says_and_no_more(node, environment):
    name = f"logs-django.application-{environment}"
    node.asked("PUT", f"/{name}/_create/1", {"@timestamp": "2026-11-23T10:00:00Z", "message": "one"})
    assert node.call("GET", f"/{name}/_search", user="log_reader").status_code == 200
    assert node.call("GET", f"/{name}/_search", user="log_writer").status_code == 403
    assert node.call("GET", f"/{name}/_search", user="log_reader", password="wrong").status_code == 401


def test_nothing_answers_in_clear_or_to_those_who_do_not_know_the_authority(node):
    with pytest.raises(requests.ConnectionError):
        requests.get(node.url.replace("https", "http"), timeout=10)
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(node.url, timeout=10)
