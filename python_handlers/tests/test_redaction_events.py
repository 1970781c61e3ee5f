"""The gate over whole events, the filter for hand-made configurations, and the table that both obey."""

import json
import logging

import pytest

from logbastion import EventFormatter
from logbastion.redaction import Classification, ClassificationError, RedactionFilter, Redactor
from logbastion.redaction.text import TextRedactor

CARD = "4111111111111111"


def event(name="business.search", msg="m", args=(), exc_info=None, **extra):
    record = logging.LogRecord(name, 20, "f", 1, msg, args, exc_info)
    record.__dict__.update(extra)
    line = EventFormatter().format(record)
    return json.loads(line), line


def test_everything_that_is_written_is_looked_at():
    try:
        try:
            raise ValueError(f"card {CARD}")
        except ValueError as error:
            raise KeyError("password=hunter2") from error
    except KeyError as error:
        info = (type(error), error, error.__traceback__)
    found, line = event(
        msg="%s logged in", args=("ana@escola.pt",), exc_info=info, nested=[{"deep": {"text": f"pan {CARD}"}}],
        number=int(CARD), data=b"senha=gato1234", **{CARD: 1},
    )  # fmt: skip
    assert not any(secret in line for secret in (CARD, "hunter2", "ana@", "gato1234"))
    assert found["message"] == "[redacted:email] logged in"
    assert found["error"]["type"] == "KeyError"
    assert found["extra"]["number"] == "[redacted:card:1111]"
    assert found["extra"]["[redacted:card:1111]"] == 1


def test_fields_are_treated_by_their_names():
    found, _ = event(
        password="x", user={"email": "no address", "first_name": "Ana", "id": 7}, card_number="4242", grade=17,
        phones=["912345678", "x"], token_count=3, nif=None,
    )  # fmt: skip
    assert found["extra"] == {
        "user": {"email": "[redacted:email]", "first_name": "[redacted:name]", "id": 7},
        "card_number": "[redacted:card]",
        "phones": ["[redacted:phone]", "[redacted:phone]"],
        "token_count": 3,
    }


def test_numbers_that_are_identifiers_stay():
    found, _ = event(order_id=912345678, contact=912345678, student_id=123456789)
    assert found["extra"] == {"order_id": 912345678, "contact": "[redacted:phone]", "student_id": 123456789}


def test_the_source_address_stays_an_address():
    found, _ = event(name="security.events", source_ip="203.0.113.77")
    assert found["security"] == {"source_ip": "203.0.113.77"}
    found, _ = event(source_ip="203.0.113.77")
    assert found["security"] == {"source_ip": "203.0.113.0"}


def test_a_forged_correlation_id_is_looked_at():
    found, line = event(correlation_id="eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl")
    assert "eyJ" not in line
    found, _ = event(correlation_id="0190c5f0-7e4e-7bbb-8d2c-3a5a6a9c0d11")
    assert found["correlation_id"] == "0190c5f0-7e4e-7bbb-8d2c-3a5a6a9c0d11"


def test_an_event_that_passes_twice_is_the_same():
    redactor = Redactor()
    first = redactor({"message": f"{CARD} a@b.pt", "extra": {"email": "a@b.pt", "x": {"nif": "123456789"}}})
    assert redactor(json.loads(json.dumps(first))) == first


def test_pseudonyms_join_events_of_one_person():
    redactor = Redactor(pseudonym=lambda kind, value: f"p1:k1:{abs(hash((kind, value))):032x}")
    first = redactor({"message": "a@b.pt and c@d.pt", "extra": {"email": "a@b.pt"}})
    a, c = first["message"].split(" and ")
    assert a == first["extra"]["email"] != c
    assert redactor(dict(first)) == first


def test_a_secret_deep_down_takes_no_longer_for_each_level(monkeypatch):
    redactor, asked = Redactor(), []
    find = TextRedactor._find

    def counted(self, text, stream):
        asked.append(text)
        return find(self, text, stream)

    monkeypatch.setattr(TextRedactor, "_find", counted)

    def nested(number):
        value = {"text": f"password=hunter{number}"}
        for level in range(9):
            value = {"before": f"level={level}", "inner": value, "after": f"number={number}"}
        return value

    redactor({"message": "m", "extra": nested(0)})  # now all names are known
    asked.clear()
    found = redactor({"message": "m", "extra": nested(1)})
    assert "hunter1" not in json.dumps(found)
    assert asked.count("password=hunter1") == 1
    assert asked.count("number=1") == 1


@pytest.mark.parametrize(
    ("finders", "message"),
    [("_find_without_signs", "hunter2 secret of its own"), ("_find", "hunter2: a secret of its own")],
)
def test_it_fails_closed(monkeypatch, finders, message):
    monkeypatch.setattr(f"logbastion.redaction.text.TextRedactor.{finders}", lambda *_: 1 / 0)
    record = logging.LogRecord("business", 20, "f", 1, message, (), None)
    found = json.loads(EventFormatter().format(record))
    assert "withheld" in found["message"]
    assert found["logger"] == "business"
    assert found["event"]["id"]
    assert "hunter2" not in json.dumps(found)


def test_no_output_can_be_forged():
    _, line = event(msg="a\nb\x1b[31m\u202e<script>alert(1)</script>&amp;", args=())
    assert line.isascii()
    assert not {"\n", "\x1b", "<", ">", "&"} & set(line)
    assert json.loads(line)["message"] == "a\nb\x1b[31m\u202e<script>alert(1)</script>&amp;"


def test_a_project_extends_the_table():
    own = [
        {"kind": "number", "category": "educational", "treatment": "mask", "reason": "ours", "words": ["matricula"]},
        {"kind": "email", "treatment": "keep", "category": "pii", "reason": "an internal tool"},
    ]
    redactor = Redactor(more=own, harmless=["api_token"])
    found = redactor(
        {"extra": {"matricula": "A1", "email": "a@b.pt", "api_token": "x"}, "message": "matricula=A1 a@b.pt"}
    )
    assert found["extra"] == {"matricula": "[redacted:number]", "email": "a@b.pt", "api_token": "x"}
    assert found["message"] == "matricula=[redacted:number] a@b.pt"


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ({"kind": "X"}, "needs a kind of 1 to 20 small letters"),
        ({"kind": "x", "category": "pii", "treatment": "hide", "reason": "r"}, "treatment is 'hide'; choose from drop"),
        (
            {"kind": "x", "category": "secret", "treatment": "mask", "reason": "r"},
            "category is 'secret'; choose from pii",
        ),
        ({"kind": "x", "category": "pii", "treatment": "mask"}, "needs a reason"),
        (
            {"kind": "x", "category": "pii", "treatment": "mask", "reason": "r", "words": "nif"},
            "words has to be a list",
        ),
        ({"kind": "x", "category": "pii", "treatment": "mask", "reason": "r", "regex": "."}, "unknown fields: regex"),
        ("x", "is no mapping"),
    ],
)
def test_a_wrong_entry_gets_a_sentence(entry, sentence):
    with pytest.raises(ClassificationError, match=sentence):
        Classification.standard([entry])


def test_every_kind_of_the_table_has_a_reason_and_a_category_of_the_guide():
    kinds = Classification.standard().kinds.values()
    assert {kind.category for kind in kinds} == {"pii", "financial", "authentication", "educational"}
    assert all(any(rule in kind.reason for rule in ("GDPR", "PCI DSS", "OWASP", "Guide")) for kind in kinds)


@pytest.fixture
def by_hand(logger):
    """A handler with a formatter of its own and the filter, and what it has written."""
    lines = []

    class Lines(logging.Handler):
        def emit(self, record):
            lines.append(self.format(record))

    handler = Lines()
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    handler.addFilter(RedactionFilter())
    logger.addHandler(handler)
    return lines


def test_the_filter_redacts_for_any_formatter(by_hand, logger):
    try:
        raise ValueError("senha=gato1234")
    except ValueError:
        logger.exception("%s failed\nforged", "a@b.pt", extra={"password": "hunter2"})
    (line,) = by_hand
    assert "[redacted:email] failedforged" in line
    assert not any(secret in line for secret in ("a@b.pt", "gato1234", "hunter2"))
    assert "Traceback" in line


def test_the_filter_fails_closed(by_hand, logger, monkeypatch):
    monkeypatch.setattr("logbastion.redaction.engine.Redactor.redact_text", lambda *_: 1 / 0)
    logger.info("hunter2")
    assert "withheld" in by_hand[0]
    assert "hunter2" not in by_hand[0]


def test_the_filter_survives_wrong_arguments(by_hand, logger):
    (handler,) = [found for found in logger.handlers if found.filters]
    handler.handle(logging.LogRecord(logger.name, 20, "f", 1, "%d a@b.pt", ("x",), None))
    assert by_hand == [f"{logger.name} %d [redacted:email] (the arguments do not fit: TypeError)"]
