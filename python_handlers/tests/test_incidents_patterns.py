"""The table of incidents: its samples, what it refuses, and that the quick look misses nothing."""

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logbastion import ConfigurationError, logging_config
from logbastion.incidents import PatternError, load_patterns
from logbastion.incidents.linear import linear_pattern
from logbastion.incidents.matching import MAX_TEXT, Matcher

SHIPPED = load_patterns()
MATCHER = Matcher(SHIPPED)
ENTRY = {
    "id": "library_closed", "title": "The library is closed", "severity": "LOW", "field": "message",
    "pattern": "library.*closed", "positive": "The library is closed", "negative": "The library is open",
    "runbook": "Open it.",
}  # fmt: skip


def ids(message, error=None, name="school", **extra):
    info = (type(error), error, None) if error else None
    record = logging.LogRecord(name, logging.WARNING, "x", 1, message, (), info)
    record.__dict__.update(extra)
    return [match.pattern.id for match in MATCHER.matches(record)]


@pytest.mark.parametrize("pattern", SHIPPED, ids=lambda pattern: pattern.id)
def test_samples_of_the_table(pattern):
    for sample in pattern.positive:
        assert pattern.id in ids(sample), sample
        assert pattern.id in ids(sample.upper()), sample
    for sample in pattern.negative:
        assert pattern.id not in ids(sample), sample
    for regex in pattern.compiled:
        assert any(regex.search(sample) for sample in pattern.positive), regex.text


def test_the_guides_types_patterns_and_severities_come_first():
    first = [(one.type or one.id, one.severity) for one in SHIPPED[:4]]
    assert first == [
        ("database_failure", "CRITICAL"), ("payment_failure", "HIGH"),
        ("authentication_attack", "MEDIUM"), ("authentication_attack", "MEDIUM"),
    ]  # fmt: skip
    texts = {text for one in SHIPPED[:4] for text in one.pattern}
    assert texts >= {
        "database.*connection.*failed", "relation.*does not exist", "deadlock detected", "payment.*failed",
        "stripe.*error", "insufficient.*funds", "authentication.*failed", "brute.*force", "too many.*login.*attempts",
    }  # fmt: skip


def test_the_exception_is_looked_at_too():
    assert ids("Page failed", OSError(28, "No space left on device")) == ["disk_full"]
    assert ids("Page failed", MemoryError()) == ["out_of_memory"]
    assert ids("Page failed", ValueError("nothing")) == []


@settings(max_examples=30)
@given(st.text(max_size=40), st.text(max_size=9), st.sampled_from([(p, s) for p in SHIPPED for s in p.positive]))
def test_the_quick_look_misses_nothing(before, after, chosen):
    pattern, sample = chosen
    assert pattern.id in ids(before + sample + after)


@settings(max_examples=20)
@given(st.integers(0, 7), st.sampled_from("abİß☃"))
def test_the_quick_look_misses_nothing_at_the_end_of_what_is_looked_at(shift, filler):
    text = "deadlock detected"
    room = MAX_TEXT - len(text)
    assert ids(filler * (room - shift) + text) == ["database_failure"]
    assert ids(filler * (room + 1) + text) == []


def test_logger_and_event_type_are_fields():
    fields = [
        {**ENTRY, "id": "by_logger", "field": "logger", "pattern": "finances", "positive": "finances", "negative": "x"},
        {
            **ENTRY,
            "id": "by_type",
            "field": "event_type",
            "pattern": "refund_",
            "positive": "refund_x",
            "negative": "x",
        },
    ]
    record = logging.LogRecord("finances.stripe", 30, "x", 1, "refund_x library closed", (), None)
    record.event_type = "refund_late"
    matcher = Matcher(load_patterns([*fields, ENTRY]))
    assert [match.pattern.id for match in matcher.matches(record)] == ["by_logger", "by_type", "library_closed"]
    alone = Matcher(load_patterns(fields, without=[one.id for one in SHIPPED]))
    assert [match.pattern.id for match in alone.matches(record)] == ["by_logger", "by_type"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"field": "colour"}, "field must be one of"),
        ({"severity": "BAD"}, "severity must be one of"),
        ({"id": "Not An Id"}, "needs an id"),
        ({"id": "disk_full"}, "there twice"),
        ({"positive": "The library is open"}, "positive sample 'The library is open' does not match"),
        ({"negative": "the LIBRARY was closed"}, "negative sample 'the LIBRARY was closed' matches"),
        ({"negative": []}, "must each have one text"),
        ({"colour": 1}, "unknown keys: colour"),
        ({"threshold": 0}, "threshold must be"),
        ({"quiet_seconds": float("nan")}, "quiet_seconds must be"),
        ({"cooldown": "long"}, "cooldown must be"),
        ({"pattern": 5}, "must be a text or a list"),
        ({"pattern": "libr(ary"}, "no regular expression"),
        ({"pattern": "(library+)+ closed"}, "repeat without an end"),
        ({"pattern": "library \\w+ closed"}, "repeat without an end"),
        ({"pattern": "library (a{0,20}){0,20}"}, "could be slow"),
        ({"pattern": "library (a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)"}, "could be slow"),
        ({"pattern": "library(?=x)"}, "could be slow or look around"),
        ({"pattern": "(library)\\1"}, "could be slow or look around"),
        ({"pattern": "library|closed"}, "alternatives outside"),
        ({"pattern": ".*library"}, "where it says nothing"),
        ({"pattern": "lib"}, "5 or more ASCII"),
        ({"pattern": "[library]{5}"}, "5 or more ASCII"),
    ],
)
def test_an_entry_that_cannot_work_is_refused_when_logging_is_configured(change, sentence, clean_environment):
    with pytest.raises(PatternError, match="incident pattern") as refused:
        load_patterns([{**ENTRY, **change}])
    assert sentence in str(refused.value)
    with pytest.raises(ConfigurationError, match="incidents: "):
        logging_config(incidents={"patterns": [{**ENTRY, **change}]})


def test_pieces_are_searched_one_after_the_other():
    pattern = linear_pattern(r"paid\.\*.*(?:twice|three times) [.*]{1,3}.*again")
    assert len(pattern.pieces) == 3
    assert pattern.search("PAID.* was it, twice .* and again!") == (0, 33)
    assert pattern.search("again twice .* paid.*") is None
    assert pattern.literal == "paid.*"


def test_hostile_text_takes_each_piece_through_the_text_once():
    """`payment.*failed` as one expression would begin anew at each of a million places."""
    assert linear_pattern("payment.*stripe.*failed").search("payment stripe " * 500_000) is None
