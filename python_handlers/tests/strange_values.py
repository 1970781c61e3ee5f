"""Whatever a logging call may be given, for property tests."""

from __future__ import annotations

import collections
import dataclasses
import decimal
import enum
import logging
import pathlib

from hypothesis import strategies as st


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
