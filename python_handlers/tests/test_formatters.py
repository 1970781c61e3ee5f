import datetime
import decimal
import json
import logging
import re
import sys
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logbastion import EventFormatter
from logbastion.encoding import MAX_LINE_BYTES
from logbastion.formatters import event_id

FORMATTER = EventFormatter("school", "lab", host_name="app")


def record(extra=None, *, msg="hello", args=(), name="business.search", level=logging.INFO, exc_info=None):
    made = logging.LogRecord(name, level, "file.py", 1, msg, args, exc_info)
    made.__dict__.update(extra or {})
    return made


def event(*args, **kwargs):
    return json.loads(FORMATTER.format(record(*args, **kwargs)))


class Hostile:
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class Shy:
    """Hostile, but a test's report can show it."""

    def __str__(self):
        raise RuntimeError("no text")


class HostileMapping(dict):
    def items(self):
        raise KeyError("no items")


def test_the_contract():
    made = record({"user_id": 12, "school_id": 3, "correlation_id": "c-1", "event_type": "user_search", "hits": 4})
    made.created = 1795428000.123456
    found = json.loads(FORMATTER.format(made))
    identifier = found["event"].pop("id")
    assert uuid.UUID(identifier).version == 7
    assert found == {
        "@timestamp": "2026-11-23T10:00:00.123456Z",
        "timestamp": "2026-11-23T10:00:00.123456Z",
        "level": "INFO",
        "logger": "business.search",
        "message": "hello",
        "correlation_id": "c-1",
        "user_id": 12,
        "school_id": 3,
        "event_type": "user_search",
        "extra": {"hits": 4},
        "event": {"dataset": "django.application"},
        "service": {"name": "school", "environment": "lab"},
        "host": {"name": "app"},
        "process": {"pid": made.process},
        "ecs": {"version": "8.17.0"},
    }


def test_two_formatters_give_a_record_the_same_id_and_one_gives_the_same_line():
    made = record()
    first = json.loads(FORMATTER.format(made))
    second = json.loads(EventFormatter("other", "test").format(made))
    assert first["event"]["id"] == second["event"]["id"] == event_id(made)
    assert FORMATTER.format_bytes(made) == FORMATTER.format_bytes(made)
    assert second["service"]["name"] == "other"


def test_ids_of_different_records_differ_and_sort_by_time():
    made = [record() for _ in range(200)]
    for number, one in enumerate(made):
        one.created = 1795428000 + number / 1000
    ids = [event_id(one) for one in made]
    assert len(set(ids)) == 200
    assert ids == sorted(ids)


def test_flat_fields_of_the_guide_go_to_their_objects():
    extra = {"source_ip": "192.0.2.1", "user_agent": "x", "risk_score": 0.5, "duration_ms": 3, "success": False}
    found = event(extra, name="security.events")
    assert found["security"] == {"source_ip": "192.0.2.1", "user_agent": "x", "risk_score": 0.5}
    assert found["performance"] == {"duration_ms": 3, "success": False}
    assert "extra" not in found


def test_success_alone_is_not_a_measurement():
    found = event({"success": True})
    assert found["extra"] == {"success": True}
    assert "performance" not in found


def test_nested_spelling_is_taken_too():
    extra = {"security": {"source_ip": "2001:db8::1", "other": 1}, "performance": {"success": True}}
    found = event(extra, name="security.events")
    assert found["security"] == {"source_ip": "2001:db8::1"}
    assert found["performance"] == {"success": True}
    assert found["extra"] == {"security": {"other": 1}}


@pytest.mark.parametrize(
    ("name", "value", "group"),
    [
        ("user_id", "12", None),
        ("user_id", True, None),
        ("school_id", 2**63, None),
        ("school_id", 1.5, None),
        ("event_type", 7, None),
        ("event_type", "x" * 2000, None),
        ("correlation_id", ["a"], None),
        ("source_ip", "not an address", "security"),
        ("source_ip", "fe80::1%eth0", "security"),
        ("risk_score", float("nan"), "security"),
        ("risk_score", 1e39, "security"),
        ("duration_ms", "fast", "performance"),
        ("duration_ms", True, "performance"),
        ("operation", "x" * 2000, "performance"),
    ],
)
def test_what_the_mapping_would_refuse_stays_in_extra(name, value, group):
    found = event({name: value})
    assert name not in found
    assert group not in found
    assert name in found["extra"]


def test_the_largest_long_stays_on_top():
    assert event({"user_id": 2**63 - 1})["user_id"] == 2**63 - 1
    assert event({"user_id": -(2**63) + 1})["user_id"] == -(2**63) + 1


def test_values_that_json_does_not_know():
    found = event(
        {
            "money": decimal.Decimal("49.90"),
            "nan": float("nan"),
            "large": 10**400,
            "huge": 1 << 100_000,
            "raw": b"\xff\x00a",
            "day": datetime.date(2026, 1, 2),
            "id": uuid.UUID(int=1),
            "set": {1},
            "hostile": Hostile(),
            "mapping": HostileMapping(a=1),
            "surrogate": "a\ud800b",
        }
    )["extra"]
    assert found["money"] == "49.90"
    assert found["nan"] == "NaN"
    assert found["large"] == "1" + "0" * 400
    assert found["huge"] == "<integer of 100001 bits>"
    assert found["raw"] == "\\xff\x00a"
    assert found["day"] == "2026-01-02"
    assert found["set"] == [1]
    assert found["hostile"] == "<Hostile whose text raised RuntimeError>"
    assert found["mapping"] == "<HostileMapping that raised KeyError>"
    assert found["surrogate"] == "a\ufffdb"


def test_cycles_depth_and_keys_that_flattened_refuses():
    cycle = {}
    cycle["self"] = cycle
    deep = "bottom"
    for _ in range(50):
        deep = {"d": deep}
    extra = event({"cycle": cycle, "deep": deep, "keys": {"a\0b": 1, "": 2, 3: 3, "3": 4, "k" * 9000: 5}})["extra"]
    assert extra["cycle"] == {"self": "<cycle>"}
    level, at = 0, extra["deep"]
    while isinstance(at, dict):
        level, at = level + 1, at["d"]
    assert level == 10
    assert at == "<nested deeper than 10 levels>"
    assert extra["keys"]["ab"] == 1
    assert extra["keys"]["_"] == 2
    assert (extra["keys"]["3"], extra["keys"]["3_"]) == (3, 4)
    assert max(len(key.encode()) for key in extra["keys"]) <= 256


def test_a_long_text_in_extra_is_shorter_than_what_lucene_refuses():
    found = event({"long": "ä" * 40_000})["extra"]["long"]
    assert len(found.encode()) < 32_766 - 11 * 256
    assert re.search(r"\.\.\.\[\d+ characters cut\]$", found)


def test_exceptions_with_their_causes():
    try:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error
    except ValueError:
        found = event(exc_info=sys.exc_info())
    assert found["error"]["type"] == "ValueError"
    assert found["error"]["message"] == "outer"
    assert "KeyError: 'inner'" in found["error"]["stack_trace"]


def test_arguments_that_do_not_fit_leave_the_message():
    found = event(msg="%d apples", args=("many",))
    assert found["message"] == "%d apples"
    assert found["extra"]["logging_error"].endswith("TypeError")
    assert event(msg=Hostile())["message"] == "<Hostile whose text raised RuntimeError>"


@pytest.mark.parametrize("created", [float("nan"), float("inf"), 1e300, -1e300, None, "now"])
def test_a_time_that_is_none_becomes_now(created):
    made = record()
    made.created = created
    found = json.loads(FORMATTER.format(made))
    moment = datetime.datetime.fromisoformat(found["@timestamp"].replace("Z", "+00:00"))
    assert abs(moment - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(minutes=5)


def test_large_events_are_cut_and_say_so():
    made = FORMATTER.format_bytes(record({"a": "b" * 30_000}, msg="€" * 300_000))
    assert len(made) <= MAX_LINE_BYTES
    found = json.loads(made)
    assert "characters cut]" in found["message"]
    assert found["message"].startswith("€€€")


def test_too_many_small_values_are_left_out_with_a_note():
    many = {f"key{a}": {f"k{b}": "x" * 100 for b in range(900)} for a in range(30)}
    made = FORMATTER.format_bytes(record(many))
    assert len(made) <= MAX_LINE_BYTES
    assert "left out" in json.loads(made)["extra"]["_cut"]


def test_a_failing_gate_withholds_the_event():
    def gate(_):
        raise RuntimeError("secret inside")

    made = EventFormatter("s", "lab", gate=gate).format(record({"a": "private"}, msg="private"))
    found = json.loads(made)
    assert "private" not in made
    assert "secret" not in made
    assert (found["logger"], found["level"], found["error"]) == ("business.search", "INFO", {"type": "RuntimeError"})


def test_other_attributes_of_the_record_are_left_alone():
    made = record({"password": "x", "user_id": 1})
    before = dict(made.__dict__)
    FORMATTER.format(made)
    after = {key: value for key, value in made.__dict__.items() if not key.startswith("_logbastion")}
    assert after == before


def test_the_environment_must_fit_a_data_stream_name():
    for wrong in ("Lab", "a-b", "", "a" * 65, "lab\n"):
        with pytest.raises(ValueError, match="small letters"):
            EventFormatter("s", wrong)


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals() | st.just(Shy()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=8,
)


class EqualToEverything:
    __hash__ = None

    def __eq__(self, other):
        return True


@pytest.mark.parametrize(
    "forged", [False, [], (), ("x",), "line", (EqualToEverything(), b"forged\n"), ("mark", b"forged\n")]
)
def test_what_somebody_puts_where_the_line_is_kept_is_not_believed(forged):
    line = FORMATTER.format_bytes(record({"_logbastion_line": forged}))
    assert json.loads(line)["message"] == json.loads(FORMATTER.format_bytes(record({})))["message"]


@settings(max_examples=120)
@given(
    msg=st.text() | st.text(alphabet="%sdr(){}\x85\u2028\u202e\ud800\x1b\x9b\n\r"),
    args=st.lists(st.text() | st.integers() | st.just(Shy()), max_size=2),
    extra=st.dictionaries(st.text(), JSONISH, max_size=6),
    name=st.text(),
)
def test_every_output_is_one_valid_json_line(msg, args, extra, name):
    extra = {key: value for key, value in extra.items() if key not in logging.makeLogRecord({}).__dict__}
    line = FORMATTER.format_bytes(record(extra, msg=msg, args=tuple(args), name=name))
    text = line.decode("utf-8")
    assert text.endswith("\n")
    assert len(text.splitlines()) == 1  # splitlines also breaks at U+0085, U+2028, VT, FS...
    assert len(line) <= MAX_LINE_BYTES
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    found = json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))
    assert found["level"] == "INFO"
    assert found["event"]["dataset"].startswith("django.")


def test_money_that_dashboards_count_by_is_copied_and_stays_where_it_was():
    extra = {"amount": "49.90", "currency": "EUR", "decline_code": "insufficient_funds"}
    found = event(extra)
    assert found["payment"] == extra
    assert found["extra"] == extra


def test_incidents_that_dashboards_count_by_have_fields_of_their_own():
    extra = {"incident_id": "inc_1", "incident_type": "payment_failure", "severity": "HIGH"}
    found = event(extra)
    assert {name: found[name] for name in extra} == extra


@pytest.mark.parametrize("amount", [True, 49.9, "49,90", "1e5", "NaN", "", "9" * 40, ["1"]])
def test_what_is_no_decimal_text_is_no_amount(amount):
    found = event({"amount": amount})
    assert "payment" not in found
    assert "amount" in found["extra"]


def test_a_severity_without_an_incident_is_none_of_an_incident():
    assert "severity" not in event({"severity": "HIGH"})


@pytest.mark.parametrize("name", ["kind", "category", "start", "end"])
def test_what_ecs_does_not_list_never_passes_the_gate_by_beside_an_incident(name):
    secret = "ana@example.org"
    line = FORMATTER.format(record(extra={"incident_id": "inc_1", "event": {name: secret, "kind_of": "x"}}))
    again = FORMATTER.format(record(extra={"incident_id": "inc_1", "event": {name: [secret]}}))
    assert secret not in line + again
