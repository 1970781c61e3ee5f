"""The dead letter that Logstash's Ruby filter makes, run by plain Ruby with a stand-in for Logstash's event (logstash_event.rb)."""

import json
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

HARNESS = Path(__file__).parent / "logstash_event.rb"
SENT = {
    "@timestamp": "2026-11-24T03:00:00.123456Z",
    "message": "Olá\n\u2028",
    "event": {"id": "a", "dataset": "x"},
    "n": 12.5,
}
OURS = {"@version": "1", "data_stream": {"type": "logs"}}
FROM_TCP = {"input": {"tcp": {"source": {"ip": "192.0.2.7", "port": 4}}}}


def letter(fields, **metadata):
    event = json.dumps({**fields, "@metadata": metadata})
    done = subprocess.run(["ruby", HARNESS], input=event, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_line_that_is_not_json_is_kept_as_it_came():
    made = letter({"message": "x {", "tags": ["_jsonparsefailure"], "@version": "1"}, reason="not JSON", **FROM_TCP)
    assert datetime.fromisoformat(made.pop("received").replace("Z", "+00:00")).tzinfo
    assert made == {"from": "192.0.2.7", "reason": "not JSON", "raw": "x {"}


@pytest.mark.parametrize(
    ("as_logstash_has_it", "as_it_was_sent"),
    [
        ({**SENT, **OURS}, SENT),
        ({**SENT, "tags": ["mine"]}, {**SENT, "tags": ["mine"]}),
        (
            {**SENT, "_@timestamp": "yesterday", "tags": ["_timestampparsefailure"], **OURS},
            {**SENT, "@timestamp": "yesterday"},
        ),
    ],
)
def test_event_is_kept_as_it_was_sent(as_logstash_has_it, as_it_was_sent):
    made = letter(as_logstash_has_it, reason="event.dataset", **FROM_TCP)
    assert json.loads(made["raw"]) == as_it_was_sent


def test_event_that_elasticsearch_refused_has_its_reason_and_its_time():
    refused = {"entry_time": "2026-11-24T03:00:05.000Z", "reason": "Could not index event. status: 400"}
    made = letter({**SENT, **OURS}, dead_letter_queue=refused)
    assert made["received"] == "2026-11-24T03:00:05.000Z"
    assert made["reason"] == "Elasticsearch: Could not index event. status: 400"
    assert made["from"] == "unknown"
    assert json.loads(made["raw"]) == SENT
