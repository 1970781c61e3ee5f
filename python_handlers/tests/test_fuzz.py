"""The targets of the fuzzer without the fuzzer: they accept what is right and notice what is wrong."""

import itertools

import pytest

from fuzz import targets
from fuzz.planted import AFTER, BEFORE, SECRETS, planted
from fuzz.seeds import seeds_of
from logbastion import EventFormatter
from logbastion.redaction import Redactor


@pytest.mark.parametrize("target", targets.TARGETS)
def test_nothing_is_found_in_the_first_inputs(target):
    for seed in itertools.islice(seeds_of(target), 0, None, 40):
        targets.TARGETS[target](seed)


@pytest.mark.parametrize("number", range(len(SECRETS)))
def test_each_secret_is_found_when_nothing_is_redacted(monkeypatch, number):
    given, secret = planted(number, "before", "after")
    assert secret.piece in given
    monkeypatch.setattr(Redactor, "redact_text", lambda _self, text, _stream="": text)
    with pytest.raises(AssertionError, match="Secret"):
        targets.text((number + len(SECRETS)).to_bytes(2, "big") + b"before\0after")


def test_a_secret_in_a_field_is_found_when_the_gate_lets_it_pass(monkeypatch):
    monkeypatch.setattr(targets, "_formatter", EventFormatter(gate=lambda event: event))
    with pytest.raises(AssertionError, match="Secret"):
        targets.event((len(SECRETS)).to_bytes(2, "big") + b"step\0{payload\0@inner")


def test_a_piece_that_the_fuzzer_wrote_itself_is_no_secret():
    """It had put the digits of the telephone number within a word: no number stands there."""
    telephone = next(number for number, secret in enumerate(SECRETS) if secret.text.startswith("+351"))
    head = (telephone + len(SECRETS)).to_bytes(2, "big")
    targets.event(head + b"step\0inner\0kse912 345 678ssion")


def test_a_text_that_changes_at_each_pass_is_found(monkeypatch):
    monkeypatch.setattr(Redactor, "redact_text", lambda _self, text, _stream="": text + "!")
    with pytest.raises(AssertionError, match="became"):
        targets.text(b"\0\0text")


def test_every_pair_of_signs_is_used():
    count = len(SECRETS) * len(BEFORE) * len(AFTER)
    assert len({planted(number, "", "")[0] for number in range(count)}) == count
    assert count < 2**16
