import json
import logging

import pytest

from logbastion import EventFormatter
from logbastion.compact import MemoryEfficientFormatter


def record(**extra):
    made = logging.LogRecord("business", 20, "f", 1, "m %s", ("x",), None)
    made.__dict__.update(extra)
    return made


FULL = EventFormatter("school", "lab", host_name="app")
COMPACT = MemoryEfficientFormatter("school", "lab", host_name="app", drop=["rows"])


def test_the_event_is_the_same_but_for_what_is_dropped():
    made = record(request_body="b" * 100, full_stack_trace="t", rows=[1], hits=3, password="p")
    compact, full = json.loads(COMPACT.format(made)), json.loads(FULL.format(made))
    assert compact["extra"] == {"hits": 3}
    assert full["extra"] == {"request_body": "b" * 100, "full_stack_trace": "t", "rows": [1], "hits": 3}
    assert {**compact, "extra": None} == {**full, "extra": None}  # the same event.id, too
    assert COMPACT.event(made)["extra"] == {"hits": 3, "password": "p"}  # before the gate


@pytest.mark.parametrize("order", [(COMPACT, FULL, COMPACT, FULL), (FULL, COMPACT, FULL, COMPACT)])
def test_lines_that_are_kept_on_the_record_are_neither_used_nor_replaced(order):
    made = record(request_body="body", n=1)
    lines = {}
    for formatter in order:
        lines.setdefault(formatter, set()).add(formatter.format_bytes(made))
    assert all(len(found) == 1 for found in lines.values())
    assert b"body" in lines[FULL].pop()
    assert b"body" not in lines[COMPACT].pop()


def test_the_record_gets_nothing_but_its_id():
    made = record(request_body="body")
    before = dict(made.__dict__)
    COMPACT.format(made)
    added = set(made.__dict__) - set(before)
    assert {name: made.__dict__[name] for name in before} == before
    assert added == {"_logbastion_event_id"}
    FULL.format(made)
    kept = dict(made.__dict__)
    COMPACT.format(made)
    assert made.__dict__ == kept


def test_dropped_values_are_not_even_looked_at():
    class Forbidden:
        def __getattribute__(self, name):
            raise AssertionError("looked at")

    made = record(request_body=Forbidden())
    assert "looked" not in COMPACT.format(made)
    assert "extra" not in json.loads(COMPACT.format(made))


def test_exceptions_and_record_classes_stay():
    class Special(logging.LogRecord):
        def getMessage(self):  # noqa: N802
            return "special"

    try:
        raise KeyError("k")
    except KeyError as error:
        made = Special("a", 40, "f", 1, "m", (), (KeyError, error, error.__traceback__))
    event = json.loads(COMPACT.format(made))
    assert event["message"] == "special"
    assert event["error"]["type"] == "KeyError"


def test_what_every_record_has_cannot_be_dropped():
    with pytest.raises(ValueError, match="without args, msg"):
        MemoryEfficientFormatter(drop=["msg", "args", "fine"])


def test_a_single_name_is_a_name():
    formatter = MemoryEfficientFormatter(drop="rows")
    assert json.loads(formatter.format(record(rows=1, r=2)))["extra"] == {"r": 2}


def test_it_works_in_dict_config(tmp_path):
    from logging.config import DictConfigurator

    configured = {"()": "logbastion.compact.MemoryEfficientFormatter", "service_name": "s", "drop": ["rows"]}
    made = DictConfigurator({"version": 1}).configure_formatter(dict(configured))
    assert json.loads(made.format(record(rows=1)))["service"]["name"] == "s"
