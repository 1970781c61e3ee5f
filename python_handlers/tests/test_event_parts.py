"""An event whose content alone is built and judged has the same bytes as one that is made as a whole."""

import json
import logging
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strange_values import LEAVES, NAMES, TEXTS, VALUES, record

from logbastion import EventFormatter, encoding
from logbastion.formatters import event_id
from logbastion.redaction.engine import Redactor, standard_redactor
from logbastion.redaction_counts import counts

SECRETS = st.sampled_from(
    ["password=hunter2", "ana@example.org", "4111 1111 1111 1111", "Bearer abcdefghijklmnop12345"]
)


def redact_whole(redactor, event):
    return redactor(event)


WHOLE = EventFormatter("school é", "lab", host_name="<app>", gate=partial(redact_whole, standard_redactor()))
IN_PARTS = EventFormatter("school é", "lab", host_name="<app>")
OWN_ATTRIBUTES = {
    "levelname": TEXTS | st.sampled_from(["INFO", "NOTICE"]) | st.integers(),
    "levelno": st.sampled_from([0, 10, 20, 35, 50, -1, 20.0, True, "20", None]),
    "process": st.sampled_from([1, 0, 4242, 2**32, -1, None, "7"]),
    "created": st.floats() | st.floats(0, 2e9),
    "exc_info": st.just((ValueError, ValueError("token=abcdef123456"), None)),
    "_logbastion_event_id": st.sampled_from(["", "x", 'a"b', "0190c5f0-7e4e-7bbb-8d2c-3a5a6a9c0d1\n", 5, None, [1]])
    | TEXTS,
}


@settings(max_examples=400)
@given(
    extra=st.dictionaries(NAMES | st.just("password"), VALUES | SECRETS, max_size=6),
    msg=TEXTS | SECRETS,
    args=st.lists(LEAVES | SECRETS, max_size=1),
    name=st.just("finances.stripe") | TEXTS | SECRETS,
    own=st.fixed_dictionaries({}, optional=OWN_ATTRIBUTES),
)
def test_an_event_in_parts_is_the_same_as_a_whole_one(extra, msg, args, name, own):
    made = record(
        {k: v for k, v in extra.items() if k not in logging.makeLogRecord({}).__dict__}, msg, tuple(args), name
    )
    made.created = 1795428000.123456
    made.__dict__.update(own)
    if not isinstance(made.created, float) or not 0 <= made.created <= 2e9:
        made.created = 0.0  # what is no time becomes the present time, which would differ
    again = logging.makeLogRecord(made.__dict__ | {"_logbastion_event_id": event_id(made)})
    IN_PARTS.format_bytes(logging.makeLogRecord(made.__dict__))  # the first of its kind is made as a whole
    assert IN_PARTS.format_bytes(made) == WHOLE.format_bytes(again)


@pytest.mark.parametrize("length", [262_000, 262_142, 262_143, 262_144, 300_000])
def test_a_long_event_in_parts_is_cut_as_a_whole_one_is(length):
    made = record({"rest": ["x" * 20_000] * (length // 20_003), "last": "y" * 20}, "m" * (length % 20_003))
    again = logging.makeLogRecord(made.__dict__ | {"_logbastion_event_id": event_id(made)})
    line = IN_PARTS.format_bytes(made)
    assert line == WHOLE.format_bytes(again)
    assert len(line) <= encoding.MAX_LINE_BYTES


def test_only_usual_events_are_made_in_parts_and_those_are(monkeypatch):
    IN_PARTS.format_bytes(record())
    monkeypatch.setattr(IN_PARTS, "event", None)  # nobody asks for the whole event
    assert json.loads(IN_PARTS.format_bytes(record({"a": 1})))["extra"] == {"a": 1}


def test_a_gate_that_does_more_than_its_judge_is_asked_for_the_whole_event():
    class Stamping(Redactor):
        def __call__(self, event):
            return super().__call__(event) | {"stamp": 1}

    class Adding(EventFormatter):
        def event(self, record):
            return super().event(record) | {"stamp": 1}

    for formatter in (EventFormatter(gate=Stamping()), Adding()):
        assert json.loads(formatter.format_bytes(record()))["stamp"] == 1


def test_an_event_whose_logger_is_hidden_counts_once():
    name = "tokens.4111 1111 1111 1111"
    lines = [IN_PARTS.format_bytes(record(name=name)) for _ in range(2)]
    before = counts.redacted
    assert b"4111 1111" not in IN_PARTS.format_bytes(record(name=name)) + b"".join(lines)
    assert counts.redacted == before + 1


def test_the_name_of_a_logger_is_judged_too():
    class Hiding(Redactor):
        def judge(self, content, stream):
            return super().judge({k: "hidden" if k == "logger" else v for k, v in content.items()}, stream)

    formatter = EventFormatter(gate=Hiding())
    for _ in range(2):
        assert json.loads(formatter.format_bytes(record(name="secret.name")))["logger"] == "hidden"
