"""What names a person inside of a text: addresses, identifiers, pseudonyms, the user's id behind a word for user."""

from __future__ import annotations

import json
import re
import unicodedata
import uuid
from collections.abc import Iterable
from functools import partial
from typing import Final
from urllib.parse import quote, quote_plus

from logbastion.erasure.rules import standard_table
from logbastion.erasure.subject import Subject

MARK: Final = "[erased]"
"""Stands where something named the person."""
SHORT_MARK: Final = "*"
"""Stands there where no byte may be added: no longer than any user id."""
_PSEUDONYM: Final = re.compile(r"p1:[a-z0-9-]{1,12}:[a-z2-7]{26}(?![a-z2-7])")
_LEAST_DISTINCT: Final = 8
# Escapes of a URL (%22), and of a text within a text (\n), may stand directly before.
_ESCAPE_BEFORE: Final = r"(?<=%[0-9A-Fa-f]{2})|(?<=\\[nrtbf])"
# The local part of another address may end like this one: ana.maria@ is not maria@ (RFC 5322, 3.2.3).
_BEFORE_ADDRESS: Final = rf"(?:(?<!\w)(?<!\w[.+%-])|{_ESCAPE_BEFORE})"
_AFTER_ADDRESS: Final = r"(?!\w)(?![.-]\w)"
# 12 is neither in 12.5, 12:30, 12,000 and 12 %, nor in 12-7, which is another id.
_AFTER_ID: Final = r"(?!\w)(?!\.\d)(?!:\d)(?!,\d{3}(?!\d))(?!\s?%(?![0-9A-Fa-f]{2}))(?!-\w)"
_BETWEEN: Final = r"""(?:%3[AaDd]|%2[02Ff]|["'\\\]\s:=#/(<>{-]){1,8}"""
_PART: Final = (
    r"(?:(?:[_\s.-]|\s+with\s+(?:the\s+)?)?(?:[iI][dD]|[pP][kK]|[uU][uU][iI][dD])(?![^\W_])|\s+object(?!\w))?"
)
_INNER: Final = r"""(?:(?:[iI][dD]|[pP][kK]|[uU][uU][iI][dD])["'\\]*\s*[:=]\s*["'\\]*)?"""
_LIST: Final = r"""[_.\s]?(?:[iI][dD]|[pP][kK])?[sS]?["'\\]*\s*[:=]\s*[\[({]([^\])}]{0,65536})"""


class TextPatterns:
    """Finds and replaces what names one person.

    Args:
        subject: the person.
        nouns: further words that a message has before the user's id, such as ``student``.

    """

    def __init__(self, subject: Subject, nouns: Iterable[str] = ()) -> None:
        self._pseudonyms = subject.pseudonyms
        addresses = _spellings(subject.emails)
        texts = _spellings((*subject.identifiers, *_distinct(subject.user_id)))
        pieces = [f"{_BEFORE_ADDRESS}{re.escape(one)}{_AFTER_ADDRESS}" for one in addresses]
        pieces += [_bordered(one) for one in texts]
        self._texts = re.compile("|".join(pieces), re.IGNORECASE) if pieces else None
        table = standard_table()["nouns"]
        more = list(nouns)
        single, plural = [*table["single"], *more], [*table["plural"], *(f"{noun}s" for noun in more)]
        own = re.escape(subject.user_id)
        self._id = re.compile(
            f"({_words(single)}{_PART}{_BETWEEN}{_INNER}|{_words(plural)}(?:/|%2[Ff])){own}{_AFTER_ID}",
        )
        self._list = re.compile(_words([*single, *plural]) + _LIST)
        self._own = re.compile(rf"(?<![\w.-])(?<!\d:){own}(?![\w-])(?!\.\d)")
        self._needles = [one.lower().encode("ascii") for one in (*addresses, *texts) if one.isascii()]

    def may_be_in(self, lowered: bytes) -> bool:
        """Return False when none of the texts is in bytes without escapes; for a quick look before an exact one.

        Args:
            lowered: ASCII only, in small letters.

        """
        return b"p1:" in lowered or any(needle in lowered for needle in self._needles)

    def found_in(self, text: str) -> bool:
        """Return whether a text names the person."""
        return self.names_in(text) or bool(self._id.search(text)) or self._in_list(text)

    def names_in(self, text: str) -> bool:
        """Return whether an address, an identifier or a pseudonym is in a text; the user's id alone does not count."""
        if self._texts is not None and self._texts.search(text):
            return True
        return "p1:" in text and any(found in self._pseudonyms for found in _PSEUDONYM.findall(text))

    def cleaned(self, text: str, mark: str = MARK) -> str:
        """Return the text with a mark in place of everything that names the person."""
        if "p1:" in text:
            text = _PSEUDONYM.sub(lambda found: mark if found[0] in self._pseudonyms else found[0], text)
        if self._texts is not None:
            text = self._texts.sub(mark, text)
        # What is marked may bring the next into reach: "user 12 12".
        while self._id.search(text):
            text = self._id.sub(rf"\g<1>{mark}", text)
        return self._list.sub(partial(self._clean_list, mark), text)

    def _in_list(self, text: str) -> bool:
        return any(self._own.search(found[1]) for found in self._list.finditer(text))

    def _clean_list(self, mark: str, found: re.Match[str]) -> str:
        start, end = found.start(1) - found.start(), found.end(1) - found.start()
        return found[0][:start] + self._own.sub(mark, found[1]) + found[0][end:]


def _words(nouns: Iterable[str]) -> str:
    """Return the pattern of one of these words in any case: alone, behind an underscore, or as a part of aCamelName."""
    spelled = "|".join(f"(?i:{re.escape(noun)})" for noun in nouns)
    camel = "|".join(re.escape(noun.capitalize()) for noun in nouns)
    return rf"(?:(?:(?<![^\W_])|{_ESCAPE_BEFORE})(?:{spelled})|(?<=[a-z0-9])(?:{camel}))"


def _bordered(text: str) -> str:
    before = rf"(?:(?<!\w)|{_ESCAPE_BEFORE})" if _is_word(text[0]) else ""
    after = r"(?!\w)" if _is_word(text[-1]) else ""
    # 10.0.0.1 is neither in 110.0.0.1 nor in 10.0.0.1.5.
    before = rf"(?<!\d\.){before}" if text[0].isdigit() else before
    after = rf"{after}(?!\.\d)" if text[-1].isdigit() else after
    return f"{before}{re.escape(text)}{after}"


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _distinct(user_id: str) -> list[str]:
    """Return the forms of an id that nothing else looks like, so that they are looked for without a word before."""
    try:
        value = uuid.UUID(user_id)
    except ValueError:
        letters = any(character.isalpha() for character in user_id)
        return [user_id] if letters and len(user_id) >= _LEAST_DISTINCT else []
    return [str(value), value.hex]


def _spellings(texts: Iterable[str]) -> list[str]:
    """Return the texts as Unicode, URLs and JSON write them; case is left to the search."""
    found: dict[str, None] = {}
    for given in texts:
        forms = {given, given.casefold(), *(unicodedata.normalize(form, given) for form in ("NFC", "NFD", "NFKC"))}
        for text in sorted(forms):
            escaped = json.dumps(text)[1:-1]
            found |= dict.fromkeys((text, escaped, quote(text, safe=""), quote(text, safe="@"), quote_plus(text)))
    return list(found)
