"""The bytes of an event are the same with orjson and without, whatever a logging call was given."""

import dataclasses
import datetime
import inspect
import json
import logging
import os
import pickle
import subprocess
import sys
import uuid

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strange_values import FLOATS, LEAVES, NAMES, TEXTS, VALUES, record

from logbastion import EventFormatter, encoding, event_frame, identifiers, jsonsafe
from logbastion.formatters import event_id
from logbastion.identifiers import uuid7

FORMATTER = EventFormatter("school", "lab", host_name="app")
BY_ORJSON = encoding.orjson_dumps()


def written(made, dumps):
    """Format a record by one encoder, as if for the first time, with the id that it has."""
    made.__dict__.pop("_logbastion_line", None)
    before = encoding._dumps
    encoding._dumps = dumps
    try:
        return FORMATTER.format_bytes(made)
    finally:
        encoding._dumps = before


def test_orjson_is_what_is_used_when_it_is_there():
    assert inspect.getclosurevars(encoding._dumps).nonlocals["dumps"] is orjson.dumps


def test_no_orjson_no_fast_encoder(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(encoding.importlib, "import_module", missing)
    assert encoding.orjson_dumps() is None


@settings(max_examples=300)
@given(extra=st.dictionaries(NAMES, VALUES, max_size=6), msg=TEXTS, args=st.lists(LEAVES, max_size=1), name=TEXTS)
def test_same_bytes_with_and_without_orjson(extra, msg, args, name):
    standard = logging.makeLogRecord({}).__dict__
    made = record({k: v for k, v in extra.items() if k not in standard}, msg, tuple(args), name)
    event_id(made)
    event = FORMATTER.event(made)
    assert BY_ORJSON(event) == encoding.json_dumps(event)  # orjson did not leave it to the other
    one, other = written(made, BY_ORJSON), written(made, encoding.json_dumps)
    assert one == other
    assert b"withheld" not in one
    assert len(one.decode().splitlines()) == 1
    json.loads(one, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))


@settings(max_examples=300)
@given(value=FLOATS)
def test_a_float_is_written_as_python_does(value):
    safe = {"v": jsonsafe.safe_value(value)}
    assert BY_ORJSON(safe) == encoding.json_dumps(safe)
    assert jsonsafe.safe_value(safe["v"]) == safe["v"]


@settings(max_examples=300)
@given(extra=st.dictionaries(NAMES, VALUES, max_size=8))
def test_the_short_way_through_extra_gives_what_the_long_one_gives(extra):
    present = {name: value for name, value in extra.items() if value is not None}
    found = jsonsafe.safe_attributes(extra, list(extra), usual=jsonsafe.are_usual(list(extra)))
    assert found == jsonsafe.safe_mapping(present)


@pytest.mark.parametrize("dumps", [BY_ORJSON, encoding.json_dumps])
def test_what_shows_nothing_or_breaks_lines_is_escaped(dumps):
    for code in [*range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F),
                 *range(0x2066, 0x206A), 0xFEFF]:  # fmt: skip
        line = written(record({"v": f"a{chr(code)}b"}), dumps)
        assert chr(code) not in line.decode()[:-1], hex(code)
        assert json.loads(line)["extra"]["v"] == f"a{chr(code)}b"
    for shown in "äß€漢😀\u200d\u2027\u202f\u2065\u206a\xa0":
        assert shown in written(record({"v": shown}), dumps).decode()


class Text(str):
    """A text of another class."""


@dataclasses.dataclass
class Data:
    n: int = 1


@pytest.mark.parametrize("value", [Text("a"), datetime.datetime(2026, 1, 1), Data()])
def test_orjson_leaves_to_the_other_what_it_would_write_in_its_own_way(value):
    with pytest.raises(TypeError):
        BY_ORJSON({"v": value})


def test_an_integer_that_a_gate_makes_too_large_for_orjson():
    formatter = EventFormatter(gate=lambda event: {**event, "extra": {"n": 2**70, 3: "key"}})
    assert json.loads(formatter.format(record()))["extra"] == {"n": 2**70, "3": "key"}


def test_large_events_are_cut_alike():
    made = record({"a": ["b\u2028" * 20_000] * 30, "n": 1e-7}, msg="€" * 300_000)
    event_id(made)
    assert written(made, BY_ORJSON) == written(made, encoding.json_dumps)


def test_a_gate_can_change_all_it_gets_without_touching_the_next_event():
    def gate(event):
        for part in ("service", "host", "ecs", "process", "event"):
            event[part].clear()
        event["extra"].clear()
        return event

    EventFormatter("s", "lab", gate=gate).format(record({"a": 1}))
    inner = {"kept": 1}
    formatter = EventFormatter("s", "lab", gate=gate)
    formatter.format(record({"a": inner}))
    assert inner == {"kept": 1}
    assert formatter.event(record())["service"] == {"name": "s", "environment": "lab"}


def test_a_formatted_record_can_still_be_pickled_and_has_its_line_there():
    formatter = EventFormatter(gate=lambda event: event)
    made = record({"a": 1})
    line = formatter.format_bytes(made)
    moved = pickle.loads(pickle.dumps(made))  # noqa: S301 - our own
    assert formatter.format_bytes(moved) == line
    other = json.loads(EventFormatter("other").format(moved))
    assert other["service"]["name"] == "other"
    assert other["event"]["id"] == json.loads(line)["event"]["id"]


def test_a_record_without_one_of_its_own_attributes_or_with_them_in_another_order():
    made = record({"first": 1, "second": 2})
    del made.__dict__["processName"]
    assert json.loads(FORMATTER.format(made))["extra"] == {"first": 1, "second": 2}
    other = record()
    other.__dict__ = {"early": 1, **other.__dict__, "late": 2, "message": "formatted before", "asctime": "then"}
    assert json.loads(FORMATTER.format(other))["extra"] == {"early": 1, "late": 2}


@pytest.mark.parametrize("name", ["user_id", "count"])
def test_an_integer_that_no_long_holds_is_text_in_extra(name):
    largest = 2**63 - 1
    for fits in (largest, -largest):
        found = json.loads(FORMATTER.format(record({name: fits})))
        assert (found if name == "user_id" else found["extra"])[name] == fits
    for too_large in (largest + 1, -largest - 1, -largest - 2):
        assert json.loads(FORMATTER.format(record({name: too_large})))["extra"][name] == str(too_large)


def test_names_made_up_by_the_application_do_not_fill_the_memory():
    for number in range(5000):
        FORMATTER.format(record({f"made_up_{number}": number}))
    assert len(jsonsafe._usual_names) <= jsonsafe._MAX_USUAL_NAMES + 1000


def test_the_id_says_the_time_of_the_event():
    made = uuid.UUID(uuid7(1_795_428_000_123_456))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == 1_795_428_000_123
    assert made.int >> 64 & 0xFFF == 456 * 4096 // 1000
    for odd in (-5, 2**80):
        assert uuid.UUID(uuid7(odd)).version == 7


def test_ids_differ_and_both_variant_bits_are_free():
    ids = {uuid7(0) for _ in range(1000)}
    assert len(ids) == 1000
    assert {one[19] for one in ids} == set("89ab")


def test_threads_that_format_the_same_record_at_once_use_the_same_id(monkeypatch):
    made = record()
    first = uuid7(0)

    def slower(microseconds):
        made.__dict__.setdefault(event_frame.EVENT_ID, first)  # by the other thread
        return identifiers.uuid7_end(microseconds)

    monkeypatch.setattr(event_frame, "uuid7_end", slower)
    assert event_id(made) == first
    assert json.loads(FORMATTER.format(made))["event"]["id"] == first


FORKED_IN_C = """
import ctypes, os, sys
from logbastion.identifiers import _pool, uuid7
uuid7(0)
count = len(_pool)
child = ctypes.PyDLL(None).fork()
if child:
    os.waitpid(child, 0)
print(*(uuid7(0) for _ in range(count)), sep="\\n", flush=True)
"""


def test_a_child_whose_fork_python_was_not_told_of_makes_other_ids():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    made = subprocess.check_output([sys.executable, "-c", FORKED_IN_C], env=environment, timeout=60).split()
    assert len(made) == len(set(made)) == 2 * (identifiers._POOL_SIZE - 1)


@pytest.mark.parametrize(
    ("created", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (1795428000, "2026-11-23T10:00:00.000000Z"),
        (1795428000.9999999, "2026-11-23T10:00:01.000000Z"),
        (1795428000.0000016, "2026-11-23T10:00:00.000002Z"),
        (-0.5, "1969-12-31T23:59:59.500000Z"),
        (253402300799.0, "9999-12-31T23:59:59.000000Z"),
    ],
)
def test_times(created, text):
    made = record()
    made.created = created
    assert json.loads(FORMATTER.format(made))["@timestamp"] == text


@given(
    moment=st.datetimes(
        datetime.datetime(1990, 1, 1), datetime.datetime(2090, 1, 1), timezones=st.just(datetime.timezone.utc)
    )
)
def test_a_time_is_right_to_the_microsecond(moment):
    made = record()
    made.created = moment.timestamp()
    assert json.loads(FORMATTER.format(made))["@timestamp"] == moment.isoformat(timespec="microseconds")[:26] + "Z"


@pytest.mark.parametrize("over", [0, 1])
def test_with_its_line_break_an_event_may_fill_the_line(over):
    event = {"message": "x"}
    event["message"] *= encoding.MAX_LINE_BYTES - len(encoding.encode_event(event)) + over
    text = json.dumps(event, separators=(",", ":")).encode()
    assert len(text + b"\n") == encoding.MAX_LINE_BYTES + over
    made = encoding.encode_event(event)
    assert (made == text) == (over == 0)
    assert len(made + b"\n") <= encoding.MAX_LINE_BYTES
    assert encoding.completed_event('{"message":"x"', {"a": "b"}) == b'{"message":"x","a":"b"}'
    beginning = json.dumps(event, separators=(",", ":"))[:-1]
    assert encoding.completed_event(beginning, {}) == (None if over else text)
