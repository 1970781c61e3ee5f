"""User input in a message: one harmless line, of at most a thousand characters."""

import html
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logbastion.sanitize import MAX_LENGTH, sanitize_log_input


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("maths", "maths"),
        ("a\r\n2024 INFO forged", "a2024 INFO forged"),
        ("\x1b[31mred\x9b0m", "[31mred0m"),
        ("<script>&'\"", "&lt;script&gt;&amp;&#x27;&quot;"),
        ("a\u2028b\u2029c\u202ed\u2066e\u200bf\u200eg\ufeffh\ud800i\u00adj", "abcdefghij"),
        (42, "42"),
        (None, "None"),
        ("é ünï 中文 😀", "é ünï 中文 😀"),
    ],
)
def test_harmless(given_, expected):
    assert sanitize_log_input(given_) == expected


def test_cut_as_the_guide_says():
    assert sanitize_log_input("x" * 1000) == "x" * 1000
    assert sanitize_log_input("x" * 1001) == "x" * 997 + "..."


def test_no_entity_is_cut_in_two():
    for before in range(10):
        found = sanitize_log_input("x" * (990 + before) + "<" * 20)
        assert found.endswith("...")
        assert len(found) <= MAX_LENGTH
        assert html.escape(html.unescape(found)) == found


def test_hostile_objects():
    class Hostile:
        def __str__(self):
            raise RuntimeError

    assert sanitize_log_input(Hostile()) == "&lt;Hostile whose text raised RuntimeError&gt;"


@given(st.text(max_size=3000))
def test_whatever_comes_in(text):
    found = sanitize_log_input(text)
    assert len(found) <= MAX_LENGTH
    assert not set(found) & set("<>\"'")
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in found)
    assert html.escape(html.unescape(found)) == found
