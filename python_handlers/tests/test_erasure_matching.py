"""Which events are about a person, and that nothing of the person is left in them, nothing of others lost."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logbastion.encoding import encode_event
from logbastion.erasure.matching import Matcher
from logbastion.erasure.rules import ANONYMISE, DELETE, Rules
from logbastion.erasure.subject import Subject, SubjectError
from logbastion.erasure.texts import MARK
from logbastion.pseudonym_keys import add_key
from logbastion.pseudonyms import Pseudonymizer
from logbastion.streams import STREAMS

EMAIL = "Maria.Silva@escola.pt"
UUID = "0192f0c1-7d2e-7a11-8c4b-5f6a7b8c9d0e"


def matcher(user_id="12", emails=(EMAIL,), identifiers=(), keys=None, **options):
    return Matcher(Subject.of(user_id, emails, identifiers, keys), **options)


def keys(tmp_path):
    path = tmp_path / "keys"
    for name in ("old", "new"):
        add_key(path, name)
    return Pseudonymizer.from_file(path)


HERS = [
    {"user_id": 12},
    {"user_id": "12"},
    {"user_id": 12.0},
    {"extra": {"deep": [{"order": {"user_id": 12}}]}},
    {"extra": {"user": {"id": 12, "active": True}}},
    {"extra": {"user": "12"}},
    {"extra": {"user": "<User: 12>"}},
    {"extra": {"targetUserId": 12}},
    {"extra": {"user_ids": [11, 12, 13]}},
    {"extra": {"users": [{"id": 12}]}},
    {"extra": {"user_ids": {"12": "owner"}}},
    {"extra": {"requested_by_user_id": "user:12"}},
    {"message": "User 12 logged in"},
    {"message": "user_id=12 denied"},
    {"message": "user with id 12, twice"},
    {"message": "CustomUser object (12)"},
    {"message": '{"user_id": 12, "x": 1}'},
    {"message": '{\\"user_id\\": \\"12\\"}'},
    {"message": '{"user": {"id": 12, "x'},
    {"raw": '{"extra":{"user":{"name":"x","id":12}}}'},
    {"message": "GET /api/users/12/?page=2"},
    {"message": "next=%2Fusers%2F12%2F"},
    {"message": "user_ids=[11, 12, 13]"},
    {"message": "{'targetUserId': 12}"},
    {"message": "mail to maria.silva@ESCOLA.PT failed"},
    {"message": "mail=Maria.Silva%40escola.pt&x=1"},
    {"message": "To: <maria.silva@escola.pt>."},
    {"message": "first\\nmaria.silva@escola.pt"},
    {"error": {"stack_trace": "line 1\nmaria.silva@escola.pt does not exist\n"}},
    {"extra": {"maria.silva@escola.pt": 3}},
]
OTHERS = [
    {"user_id": 123},
    {"user_id": 4123},
    {"user_id": "123"},
    {"user_id": "pupil-12-7"},
    {"user_id": True},
    {"user_id": None, "school_id": 12},
    {"event": {"id": 12}, "process": {"pid": 12}},
    {"extra": {"users": 12}},
    {"extra": {"student_id": 12}},
    {"extra": {"user": {"id": 7, "profile": {"id": 12}}}},
    {"extra": {"user_ids": [123, 112]}},
    {"extra": {"count": 12, "12": "twelve"}},
    {"@timestamp": "2026-12-12T12:12:12.120000Z", "message": "12 of 12 done in 12 ms"},
    {"message": "user 123 logged in, user 4123 too"},
    {"message": "user 12.5, user 12:30, user 12,000, user 12% and user 12-7"},
    {"message": "user12 and superuser12"},
    {"message": "users: 12"},
    {"message": "user_ids=[123, 512]"},
    {"message": "GET /users/123/ and /users/12.json5/12"[:16]},
    {"message": "ana.maria.silva@escola.pt, x-maria.silva@escola.pt"},
    {"message": "maria.silva@escola.pt.example, maria.silva@escola.ptx"},
    {"message": "maria@escola.pt"},
]


@pytest.mark.parametrize("event", HERS, ids=str)
def test_an_event_about_the_person_is_found_and_clean_afterwards(event):
    one = matcher()
    line = encode_event(event) + b"\n"
    assert one.in_event(event)
    assert one.in_bytes(line)
    made = one.anonymised(event)
    assert not one.in_event(made)
    assert json.loads(one.anonymised_bytes(line)) == made
    assert not one.in_bytes(one.anonymised_bytes(line))
    assert "maria.silva@escola.pt" not in json.dumps(made).casefold()
    assert one.in_event(event)  # the event itself was left as it was


@pytest.mark.parametrize("event", OTHERS, ids=str)
def test_an_event_of_somebody_else_is_left_byte_for_byte(event):
    one = matcher()
    line = json.dumps(event, indent=None, separators=(", ", ": ")).encode() + b"\n"  # spelled as we would not
    assert not one.in_event(event)
    assert not one.in_bytes(line)
    assert one.anonymised(event) == event
    assert one.anonymised_bytes(line) == line


def test_everything_else_of_an_event_stays():
    event = {
        "@timestamp": "2026-11-27T12:12:12.000012Z",
        "user_id": 12,
        "message": "User 12 of school 12 paid 12.12",
        "extra": {"amount": "12.12", "user_ids": [11, 12], "school_id": 12, "ratio": 0.12, "user": {"id": 12, "n": 12}},
    }
    assert matcher().anonymised(event) == {
        "@timestamp": "2026-11-27T12:12:12.000012Z",
        "user_id": None,
        "message": f"User {MARK} of school 12 paid 12.12",
        "extra": {
            "amount": "12.12",
            "user_ids": [11, None],
            "school_id": 12,
            "ratio": 0.12,
            "user": {"id": None, "n": 12},
        },
    }


def test_pseudonyms_under_every_key(tmp_path):
    both = keys(tmp_path)
    one = matcher(keys=both, identifiers=("maria_login",))
    for value, kind in ((EMAIL, "email"), ("12", "user_id"), ("maria_login", "email")):
        assert len(both.all_pseudonyms(kind, value)) == 2
        for pseudonym in both.all_pseudonyms(kind, value):
            event = {"message": f"from [redacted:email:{pseudonym}]", "extra": {"email_pseudonym": pseudonym}}
            assert one.in_event(event)
            assert pseudonym not in json.dumps(one.anonymised(event))
            assert one.in_bytes(f"torn line with {pseudonym}".encode())
    other = {"extra": {"email_pseudonym": both.pseudonym("email", "ana@escola.pt")}}
    assert not one.in_event(other)
    assert one.anonymised(other) == other


def test_identifiers_have_borders_and_no_case():
    one = matcher(emails=(), identifiers=("+351 912 345 678", "10.0.0.1", "mariaS", "Zoë Müller"))
    for text in (
        "tel +351 912 345 678.",
        "from 10.0.0.1:443",
        "login=MARIAS",
        "%22marias%22",
        "ZOË MÜLLER",
        "Zo%C3%AB%20M%C3%BCller",
    ):
        assert one.in_event({"message": text}), text
        assert one.in_bytes(encode_event({"message": text})), text
        assert not one.in_event(one.anonymised({"message": text}))
    for text in ("+351 912 345 6789", "10.0.0.12", "110.0.0.1", "10.0.0.1.5", "mariasol", "Zoe Muller"):
        assert not one.in_event({"message": text}), text


def test_json_escapes_hide_nothing():
    one = matcher(user_id="12", emails=("zoë@escola.pt",))
    for line in (
        rb'{"message":"zo\u00eb\u0040escola.pt"}',
        rb'{"us\u0065r_id":12}',
        rb'{"message":"user\u0020\u0031\u0032"}',
        rb'{"message":"\/users\/12\/"}',
    ):
        assert one.in_bytes(line), line
        assert not one.in_bytes(one.anonymised_bytes(line)), line


def test_a_uuid_counts_wherever_it_stands():
    one = matcher(user_id=UUID, emails=())
    for event in ({"user_id": UUID}, {"message": f"for {UUID.upper()}"}, {"x": UUID.replace("-", "")}):
        assert one.in_event(event)
        assert one.in_bytes(encode_event(event))
        assert not one.in_event(one.anonymised(event))
    assert not one.in_event({"message": f"{UUID}0"})


def test_lines_that_are_no_events():
    one = matcher()
    for line in (
        b'{"user_id": 12, "mess',
        b"user 12\xff\xfe",
        b'["user 12"]',
        b'{"user_id":12,"x":NaN}',
        b"maria.silva@escola.pt",
    ):
        assert one.in_bytes(line), line
        made = one.anonymised_bytes(line)
        assert not one.in_bytes(made), line
    assert one.anonymised_bytes(b"user 12\xff\xfe\n") == b"user " + MARK.encode() + b"\xff\xfe\n"
    assert one.anonymised_bytes(b"user 123\xff\n") == b"user 123\xff\n"


def test_a_field_that_stands_there_twice_hides_nothing():
    one = matcher()
    line = b'{"to":"maria.silva@escola.pt","to":"ana@escola.pt"}\n'
    assert one.in_bytes(line)
    assert b"maria" not in one.anonymised_bytes(line)


def test_fields_that_the_officer_names():
    assert not matcher().in_event({"student_id": 12})
    one = matcher(id_fields=["student_id"])
    for event in (
        {"student_id": 12},
        {"student_ids": [11, 12]},
        {"message": "student 12 moved"},
        {"message": "student_id=12"},
        {"message": "GET /students/12/"},
    ):
        assert one.in_event(event)
        assert not one.in_event(one.anonymised(event))
    with pytest.raises(SubjectError, match="name of a field"):
        matcher(id_fields=["student id; x"])


def test_a_name_that_becomes_another_fields_name_takes_nothing_away():
    event = {EMAIL: 1, EMAIL.lower(): 2, MARK: 3}
    made = matcher().anonymised(event)
    assert sorted(made.values()) == [1, 2, 3]


def test_deep_nesting_is_searched():
    event = value = {}
    for _ in range(5000):
        value["x"] = value = {}
    value["user_id"] = 12
    assert matcher().in_event(event)
    line = b'{"x":' * 3000 + b'{"user_id":12}' + b"}" * 3000 + b"\n"
    assert matcher().in_bytes(line)
    assert not matcher().in_bytes(matcher().anonymised_bytes(line))


@pytest.mark.parametrize(
    ("user_id", "emails", "identifiers"),
    [
        ("", (), ()),
        (" ", (), ()),
        (True, (), ()),
        (None, (), ()),
        ("1", ("x",), ()),
        ("1", ("a b@c",), ()),
        ("1", (), ("abc",)),
        ("1\n2", (), ()),
        ("0", (), ()),
        ("*", (), ()),
        ("1", (), ("Erased",)),
    ],
)
def test_what_cannot_stand_for_a_person_is_refused_without_being_repeated(user_id, emails, identifiers):
    with pytest.raises(SubjectError) as refused:
        Subject.of(user_id, emails, identifiers)
    assert not any(one and one in str(refused.value).split() for one in (*emails, *identifiers))


def test_a_subject_is_not_shown():
    one = Subject.of(12, [EMAIL])
    assert "12" not in repr(one)
    assert EMAIL not in repr(one)
    with pytest.raises(TypeError):
        pickle.dumps(one)


def test_rules():
    rules = Rules.standard()
    assert {stream: rules.action_for(stream) for stream in STREAMS} == {
        "application": DELETE, "security": ANONYMISE, "audit": ANONYMISE, "performance": DELETE, "debug": DELETE,
    }  # fmt: skip
    assert all("GDPR Art." in rules.rule_for(stream).reason for stream in STREAMS)
    assert rules.action_for("logs-django.audit-production") == ANONYMISE
    assert rules.action_for("logs-django.debug-staging") == DELETE
    assert rules.action_for("something") == ANONYMISE
    assert Rules.standard({"debug": ANONYMISE}).action_for("debug") == ANONYMISE
    with pytest.raises(ValueError, match="no stream"):
        Rules.standard({"debugs": DELETE})
    with pytest.raises(ValueError, match="choose from"):
        Rules.standard({"debug": "keep"})


_TEXTS = st.sampled_from(
    ["user 12", "user_id=12", EMAIL, EMAIL.upper(), "12", "user", "[", "]", "user 12 12", "%20"]
) | st.text(max_size=12)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-20, 20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(_TEXTS, max_size=4).map(" ".join),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["user_id", "user", "users", "user_ids", "id", "12", EMAIL, "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["user_id", "user", "message", "extra", EMAIL]), _VALUES, max_size=4))
def test_no_event_is_about_the_person_afterwards(event):
    one = matcher()
    made = one.anonymised(event)
    assert not one.in_event(made)
    assert (made == event) == (not one.in_event(event))
    line = json.dumps(event).encode() + b"\n"
    assert one.in_bytes(line) == one.in_event(event)
    cleaned = one.anonymised_bytes(line)
    assert not one.in_bytes(cleaned)
    assert cleaned == line or one.in_bytes(line)


@given(st.binary(max_size=60), st.sampled_from([b"user 12", EMAIL.encode(), b'{"user_id":12}']), st.binary(max_size=60))
def test_no_line_is_about_the_person_afterwards(before, middle, after):
    one = matcher()
    line = before + middle + after
    cleaned = one.anonymised_bytes(line)
    assert not one.in_bytes(cleaned)
