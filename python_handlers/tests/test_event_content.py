"""An ordinary event that is judged piece by piece is the one that the gate makes of its whole content."""

import copy

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strange_values import LEAVES, TEXTS, VALUES, record

from logbastion import EventFormatter
from logbastion.event_content import content_of, judged_content_of, taken_of
from logbastion.gate import piece_judge_of
from logbastion.redaction.engine import Redactor
from logbastion.redaction_counts import counts

STREAM = "application"
UUID = "0190c5f0-7e4e-7bbb-8d2c-3a5a6a9c0d11"
SECRETS = st.sampled_from(
    ["password=hunter2", "ana@example.org", "4111 1111 1111 1111", "Bearer abcdefghijklmnop12345", 4111111111111111]
)
GIVEN = VALUES | SECRETS | st.just(UUID)
EXTRA = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("path", "mark", "detail"), GIVEN),
        "answer": st.dictionaries(st.just("email"), GIVEN),
        "user_id": st.integers(0, 9) | st.none() | GIVEN,
        "school_id": st.integers(-(2**63), 2**63) | st.none(),
        "correlation_id": st.sampled_from([UUID, "request 5", None]) | GIVEN,
        "event_type": st.sampled_from(["search", "busca é", None]) | GIVEN,
    },
)


@pytest.fixture
def gate():
    """Return a gate that knows the names of the tests' fields."""
    return taught(Redactor())


def taught(gate):
    names = ("path", "mark", "detail", "answer", "n", "m", "shown")
    gate.judge({"message": "", "extra": dict.fromkeys(names, 1)}, STREAM)
    assert gate.judge_pieces(STREAM).names.issuperset(names)
    return gate


def in_pieces(made, gate):
    """Return what it judges and how many events it counted as redacted."""
    before = counts.redacted
    judged = judged_content_of(made, taken_of(made), gate.arguments, STREAM, gate.judge_pieces(STREAM))
    return judged, counts.redacted - before


def as_a_whole(made, gate):
    before = counts.redacted
    content = gate.judge(content_of(made, taken_of(made), gate.arguments, STREAM), STREAM)
    return (content.pop("message"), content), counts.redacted - before


def test_pieces_and_whole_are_the_same():
    gate = taught(Redactor())
    short = []

    @settings(max_examples=500)
    @given(extra=EXTRA, msg=TEXTS | SECRETS, args=st.lists(LEAVES | SECRETS, max_size=1))
    @example(extra={"correlation_id": "password=hunter2", "event_type": ""}, msg="", args=[])
    @example(extra={"path": "\ud800", "event_type": "a"}, msg="\ud800", args=[])
    @example(extra={"detail": "x" * 30_000}, msg="", args=[])
    @example(extra={"path": "é" * 300, "mark": 2**70, "detail": 10**8, "school_id": 1}, msg="é" * 70_000, args=[])
    @example(extra={"correlation_id": "", "event_type": "x" * 300}, msg="%d", args=["no number"])
    def same(extra, msg, args):
        made = record(extra, msg, tuple(args))
        judged, redacted = in_pieces(copy.copy(made), gate)
        whole, redacted_as_a_whole = as_a_whole(copy.copy(made), gate)
        if judged is None:  # the gate knows the event's keywords by now
            judged, redacted = in_pieces(copy.copy(made), gate)
        short.append(judged is not None)
        if judged is not None:
            assert judged == whole
            assert list(judged[1]) == list(whole[1])
            assert redacted == redacted_as_a_whole

    same()
    assert sum(short) > len(short) / 4


def test_the_second_of_its_kind_is_judged_in_pieces_whatever_its_values(gate):
    extra = {"user_id": 7, "school_id": None, "correlation_id": UUID, "event_type": "search", "path": "/a", "n": 2.5}
    for values in (extra, {**extra, "path": "ana@example.org", "n": [1, {"email": "x"}]}):
        as_a_whole(record(values, "took %d ms", (12,)), gate)
        judged, redacted = in_pieces(record({**values, "mark": "#1#"}, "took %d ms", (13,)), gate)
        assert judged is not None
        assert judged[0] == "took 13 ms"
        assert judged[1]["correlation_id"] == UUID
        assert "school_id" not in judged[1]
        assert redacted == (values is not extra)
    assert "ana@example.org" not in str(judged)
    assert judged[1]["extra"]["n"] == [1, {"email": "[redacted:email]"}]


@pytest.mark.parametrize(
    "unusual",
    [
        {"email": "ana@example.org"},  # a name that the gate has a rule for
        {"never_seen": 1},
        {"duration_ms": 5},  # has a field of its own
        {"incident_id": "1"},
        {"user_id": "seven"},
        {"event_type": ["a"]},
        {"correlation_id": "never seen"},
        {"exc_info": (ValueError, ValueError("x"), None)},
        {"exc_text": "Traceback"},
        {"stack_info": "Stack"},
        {"": 1},
    ],
)
def test_an_unusual_event_is_judged_as_a_whole_and_its_texts_are_made_once(gate, unusual):
    asked = []

    class Told:
        def __str__(self):
            asked.append(1)
            return "told"

    made = record({"path": "/a", "shown": Told(), **unusual}, "%s", (Told(),))
    assert in_pieces(made, gate) == (None, 0)
    assert asked == []


def test_a_name_with_a_field_of_its_own_is_never_ordinary(gate):
    as_a_whole(record({"duration_ms": "no number, so it stays where it is"}), gate)
    assert "duration_ms" in gate.judge_pieces(STREAM).names
    assert in_pieces(record({"duration_ms": 5}), gate) == (None, 0)


def test_more_fields_than_are_kept_are_not_ordinary(gate):
    names = [f"name {number}" for number in range(1200)]
    for part in (names[:600], names[600:]):
        as_a_whole(record(dict.fromkeys(part, 1)), gate)
    assert gate.judge_pieces(STREAM).names.issuperset(names)
    assert in_pieces(record(dict.fromkeys(names, 1)), gate) == (None, 0)


def test_a_message_that_does_not_fit_its_arguments_is_left_to_the_whole(gate):
    assert in_pieces(record({}, "%d", ("x",)), gate) == (None, 0)


def test_named_arguments_are_treated_by_their_names(gate):
    made = record({}, "for %(password)s", ({"password": "hunter2"},))
    (message, _), _ = in_pieces(made, gate)
    assert "hunter2" not in message


def test_a_value_that_a_name_beside_it_explains_is_never_shown(gate):
    for _ in range(3):
        as_a_whole(record({"name_of_it": 1, "value": "plain"}), gate)
        content = gate.judge({"message": "", "extra": {"key": "password", "value": "hunter2"}}, STREAM)
        assert "hunter2" not in str(content)
    assert "value" not in gate.judge_pieces(STREAM).names


def test_a_text_that_is_no_unicode_is_not_remembered_as_one_that_passes(gate):
    for text in ("\ud800", "é\ud800", "x" * 257):
        assert gate.redact_text(text, STREAM) == text
    assert gate.judge_pieces(STREAM).texts.isdisjoint(["\ud800", "é\ud800", "x" * 257])
    gate.redact_text("é", STREAM)
    assert "é" in gate.judge_pieces(STREAM).texts


def test_correlation_ids_are_remembered_within_bounds_and_secrets_are_none(gate):
    pieces = gate.judge_pieces(STREAM)
    for number in range(3000):
        gate.judge({"message": "", "correlation_id": f"request {number}"}, STREAM)
    assert "request 2999" in pieces.identifiers
    assert len(pieces.identifiers) <= 1024
    for _ in range(2):
        written = gate.judge({"message": "", "correlation_id": "password=hunter2"}, STREAM)["correlation_id"]
        assert "hunter2" not in written
    assert pieces.identifiers.isdisjoint(["password=hunter2", written])


def test_a_uuid_passes_as_a_correlation_id_only(gate):
    card = "41111111-1111-1111-0000-000000000000"  # the first sixteen digits are a card's
    assert gate.judge({"message": "", "correlation_id": card}, STREAM)["correlation_id"] == card
    written = gate.judge({"message": card, "event_type": card, "extra": {"path": card}}, STREAM)
    assert "41111111-1111-1111" not in str(written)
    judged, _ = in_pieces(record({"correlation_id": card, "path": card}, card), gate)
    assert judged[1]["correlation_id"] == card
    assert "41111111-1111-1111" not in judged[0] + str(judged[1]["extra"])


def test_streams_have_pieces_of_their_own(gate):
    assert gate.judge_pieces("security") is not gate.judge_pieces(STREAM)
    assert gate.judge_pieces("security").texts is not gate.judge_pieces(STREAM).texts


def test_a_gate_that_judges_in_a_way_of_its_own_is_not_passed_by():
    class Asking(Redactor):
        def judge(self, content, stream):
            return {**super().judge(content, stream), "message": "asked"}

    class AskingInPieces(Asking):
        def judge_pieces(self, stream):
            return super().judge_pieces(stream)

    class Called(Redactor):
        def __call__(self, event):
            return super().__call__(event)

    assert piece_judge_of(Asking(), STREAM) is None
    assert piece_judge_of(Called(), STREAM) is None
    assert piece_judge_of(AskingInPieces(), STREAM) is not None
    assert piece_judge_of(lambda event: event, STREAM) is None
    formatter = EventFormatter(gate=Asking())
    lines = [formatter.format(record({"n": 1}, "hello")) for _ in range(3)]
    assert all('"message":"asked"' in line for line in lines)


def test_ordinary_events_take_the_short_way(monkeypatch):
    formatter = EventFormatter(gate=Redactor())
    for number in range(3):
        formatter.format_bytes(record({"n": number, "event_type": "a"}))
    monkeypatch.setattr("logbastion.formatters.content_of", None)
    assert b'"extra":{"n":4}' in formatter.format_bytes(record({"n": 4, "event_type": "a"}))
