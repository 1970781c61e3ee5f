"""The bytes of an event are the same with orjson and without, whatever a logging call was given."""

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import logging
import os
import pathlib
import pickle
import uuid
from functools import partial

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logbastion import EventFormatter, encoding, identifiers, jsonsafe
from logbastion.formatters import event_id
from logbastion.identifiers import uuid7
from logbastion.redaction.engine import Redactor, standard_redactor
from logbastion.redaction_counts import counts

FORMATTER = EventFormatter("school", "lab", host_name="app")
BY_ORJSON = encoding.orjson_dumps()


class Colour(enum.Enum):
    RED = "red"
    NUMBER = 7
    ODD = object()


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Pupil:
    name: str
    marks: list


class Raising:
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class RaisingMapping(dict):
    def items(self):
        raise KeyError("no items")


class RaisingIterable(list):
    def __iter__(self):
        raise ValueError("no items")


class RaisingFloat(float):
    def __float__(self):
        raise ValueError("no float")

    def __repr__(self):
        return "not a number"


class Text(str):
    __slots__ = ()

    def __str__(self):
        return 5  # noqa: PLE0307 - wrong on purpose

    def isascii(self):
        raise RuntimeError


class Lazy:
    """As Django's lazy objects: everything is passed on to something made at the first access."""

    def __init__(self, make):
        self.__dict__["make"] = make

    def __getattr__(self, name):
        return getattr(self.__dict__["make"](), name)

    def __str__(self):
        return str(self.__dict__["make"]())

    @property
    def __class__(self):
        return self.__dict__["make"]().__class__


def cycle(kind):
    made = {} if kind == "dict" else []
    if kind == "dict":
        made["again"] = [made]
    else:
        made.append(made)
    return made


def nested(levels):
    made = "bottom"
    for level in range(levels):
        made = {"d": made} if level % 2 else [made]
    return made


TEXTS = st.text() | st.text(alphabet='\x00\x7f\x85\x9f\u061c\u200e\u2028\u202e\u2069\ufeff\ud800\udfff"\\/\n\t\bä€😀')
FLOATS = st.floats() | st.sampled_from([1e16, 9999999999999998.0, 1e-4, 9.9e-5, 5e-324, 1.7e308, -0.0, 1e22, 123e-7])
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), FLOATS, TEXTS, st.binary(), st.decimals(), st.uuids(),
    st.integers(0, 5000).map(lambda bits: -(1 << bits)),
    st.datetimes(), st.dates(), st.times(), st.timedeltas(),
    st.sampled_from([*Colour, Level.HIGH, decimal.Decimal("sNaN"), 2**63, -(2**63)]),
    st.just(pathlib.PurePosixPath("/a/\udc80b")),
    st.builds(Pupil, name=TEXTS, marks=st.lists(st.integers(), max_size=2)),
    st.sampled_from([Raising, lambda: RaisingMapping(a=1), lambda: RaisingIterable([1]), lambda: RaisingFloat(2.5),
                     lambda: Text("x\ud800"), lambda: cycle("dict"), lambda: cycle("list"),
                     lambda: Lazy(lambda: "text"), lambda: Lazy(lambda: {"a": 1}), lambda: Lazy(Raising), object,
                     lambda: collections.OrderedDict(a=float("nan")), lambda: bytearray(b"\xff"),
                     lambda: (number for number in range(3)), lambda: memoryview(b"ab")]).map(lambda make: make()),
    st.integers(0, 40).map(nested),
    st.sets(st.integers(), max_size=1), st.frozensets(TEXTS, max_size=1),
)  # fmt: skip
KEYS = TEXTS | st.integers() | st.booleans() | st.none() | st.floats() | st.uuids() | st.binary()
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
TYPED = ("user_id", "school_id", "correlation_id", "event_type", "source_ip", "user_agent", "risk_score",
         "duration_ms", "operation", "success", "security", "performance",
         "incident_id", "severity", "incident_count", "correlation_ids", "event", "rule")  # fmt: skip
NAMES = st.sampled_from(TYPED) | TEXTS | st.from_regex(r"[a-z_]{1,9}", fullmatch=True)


def record(extra=None, msg="hello", args=(), name="business.search"):
    made = logging.LogRecord(name, logging.INFO, "file.py", 1, msg, args, None)
    made.__dict__.update(extra or {})
    return made


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
    assert encoding._dumps.func is orjson.dumps


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


def test_a_child_whose_fork_python_was_not_told_of_makes_other_ids(monkeypatch):
    uuid7(0)
    owner, pieces = identifiers._pool
    assert owner == os.getpid()
    copied = list(pieces)
    monkeypatch.setattr(identifiers.os, "getpid", lambda: owner + 1)
    children = [uuid7(0) for _ in range(len(copied))]
    assert not {piece.hex("-", 6) for piece in copied} & {one[19:] for one in children}


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
