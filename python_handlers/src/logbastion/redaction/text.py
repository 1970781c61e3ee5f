"""Redacts one text: asks what could be in it, finds it, and puts markers in its place."""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable
from typing import Final

from logbastion.jsonsafe import without_surrogates
from logbastion.redaction.addresses import find_emails, find_ips, find_spelt_emails, truncated
from logbastion.redaction.assignments import find_assignments
from logbastion.redaction.classification import Classification
from logbastion.redaction.encodings import is_odd, plain_signs, unescaped, unquoted, unquoted_form, without_entities
from logbastion.redaction.forms import find_encoded
from logbastion.redaction.layouts import find_beside, find_compared, find_forms, find_quoted_later
from logbastion.redaction.markers import MARK, MARKER, Finding, marker
from logbastion.redaction.numbers import find_numbers
from logbastion.redaction.pairs import find_elements, find_pairs, find_sql_arguments
from logbastion.redaction.prose import find_prose
from logbastion.redaction.tokens import (
    find_pem,
    find_schemes,
    find_tokens,
    find_url_credentials,
    find_user_slash_password,
)

Pseudonym = Callable[[str, str], "str | None"]
"""Takes a kind and a value; returns a keyed pseudonym of digits, small letters and colons, or None without a key."""

# Whatever is found beside tokens, numbers and names of secrets has one of these in it; most texts have none.
_SIGN: Final = re.compile(r"[=:|@%\\&+<)\]'\".\-]")
# Of eight digits only a telephone number with "+" is made. A date has eight, and is in every second text.
# They look back from a digit: what begins with a digit is found fast, and of digits in a row one only is a beginning.
_EIGHT_DIGITS: Final = re.compile(r"\d(?<!\d\d)(?:[ \t.\-/()_\u00a0\u2009\u202f]{0,3}\d){7}")
_NINE_DIGITS: Final = re.compile(r"\d(?<!\d\d)(?:[ \t\r\n.\-/()_\u00a0\u2009\u202f]{0,3}\d){8}")
# What begins nine digits in ASCII looks like this, and is looked for in a third of the time.
_NINE_PLACES: Final = re.compile(r"[0-9][0-9 \t\r\n.\-/()_]{8}")
_IBAN_START: Final = re.compile(
    r"\d(?<=[A-Za-z]{2}\d)(?<![0-9A-Za-z][A-Za-z]{2}\d)\d(?:[ .\-\u00a0\u202f]?[0-9A-Za-z]){4}"
)
_SHORTEST_NUMBER: Final = 9
_SHORTEST_IBAN: Final = 15
_SHORTEST_TOKEN: Final = 14
_LONG_WORD: Final = re.compile(r"[0-9A-Za-z_\-.+/]{14}")
_ENCODED: Final = re.compile(r"(?:[^\s\"'<>]*?%[0-9A-Fa-f]{2})+[^\s\"'<>]*")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_WITH_PLUS: Final = re.compile(r"[^\s\"'<>+]*\+[^\s\"'<>]*")
_CUT_MARK: Final = " characters cut]"
_CUT: Final = re.compile(r"\.\.\.\[\d{1,12} characters cut\]\Z")
_LONGEST_PIECE: Final = 1024
_INSERT: Final = re.compile(r"(?i)\binsert\s{1,9}into\s{1,9}[^\s(]{1,200}\s{0,9}\(([^()]{1,4000})\)\s{0,9}values\b")
_MAX_CLEAN: Final = 4096
_MAX_CLEAN_LENGTH: Final = 256
_MAX_LAYERS: Final = 3
_LONGEST_MARKER: Final = 200
_MAX_PASSES: Final = 6
_LAST_FOUR: Final = 4


class TextRedactor:
    """Puts markers in the place of what the classification does not let through.

    Each pattern can match in one way only, so the time grows in proportion to the length of the text.

    Args:
        classification: the table.
        pseudonym: makes pseudonyms; None masks instead.

    """

    def __init__(self, classification: Classification, pseudonym: Pseudonym | None = None) -> None:
        self._classification = classification
        self._pseudonym = pseudonym
        self._treatments = {name: kind.treatment for name, kind in classification.kinds.items()}
        self._kept_in = {name: kind.kept_in for name, kind in classification.kinds.items() if kind.kept_in}
        # Texts without anything in them come again and again: paths, names of events, templates.
        self._clean: dict[str, set[str]] = {}

    def clean_in(self, stream: str) -> set[str]:
        """Return texts that :meth:`redact` has returned as they were; not all of them, and the set changes.

        They have at most 256 characters, none of them a lone surrogate.
        """
        clean = self._clean.get(stream)
        return self._clean.setdefault(stream, set()) if clean is None else clean

    def redact(self, text: str, stream: str = "application") -> str:
        """Return the text with markers, the very same object when there is nothing to mark.

        Args:
            text: any.
            stream: some kinds are kept in the streams that exist for them.

        """
        clean = self._clean.get(stream) or self.clean_in(stream)
        return text if text in clean else self.redact_new(text, stream, clean)

    def redact_new(self, text: str, stream: str, clean: set[str]) -> str:
        """Do what :meth:`redact` does with a text that is not in what :meth:`clean_in` returns for the stream."""
        if text.isascii() and _SIGN.search(text) is None:  # so nothing is encoded in it, and nothing was cut off
            found = self._find_without_signs(text)
            redacted = self._marked(text, found) if found else text
        else:
            redacted = self._redact(_without_piece(text) if text.endswith(_CUT_MARK) else text, stream, 0)
        if redacted == text:
            if len(text) <= _MAX_CLEAN_LENGTH and (text.isascii() or without_surrogates(text) == text):
                if len(clean) >= _MAX_CLEAN:
                    clean.clear()
                clean.add(text)
            return text
        # What was taken out may have parted other things: until nothing is found any more.
        for _ in range(_MAX_PASSES):
            before, redacted = redacted, self._redact(redacted, stream, 0)
            if redacted == before:
                return redacted
        return marker("text")

    def shown(self, kind: str, value: str) -> str:
        """Return the marker for a value of this kind."""
        treatment = self._treatments.get(kind, "mask")
        if treatment == "last_four":
            digits = "".join(character for character in value if character.isdigit())
            return marker(kind, digits[-_LAST_FOUR:] if len(digits) >= 3 * _LAST_FOUR else "")
        if treatment == "pseudonymise" and self._pseudonym is not None:
            return marker(kind, self._pseudonym(kind, value) or "")
        if treatment == "truncate":
            try:
                return truncated(value)
            except ValueError:
                pass
        return marker(kind)

    def _redact(self, text: str, stream: str, layer: int) -> str:
        if "://" in text and "@" in text:  # before decoding, which would end the user's part too early
            text = self._marked(text, list(find_url_credentials(text)))
        if "=" in text and ("%" in text or "+" in text):  # as well: what is encoded may look like the end of the value
            text = self._marked(text, list(find_encoded(text, self._classification)))
        if "&" in text and "<" in text and ">" in text:
            text = self._marked(text, self._in_markup(text))
        inner = layer < _MAX_LAYERS
        if inner and ("%" in text or "\\" in text or "&" in text or not text.isascii()):
            text = self._inside_encodings(text, stream, layer)
        found = self._find(text, stream)
        if found:
            text = self._marked(text, found)
        if inner and "+" in text:  # last, because most of them are no spaces
            text = _WITH_PLUS.sub(lambda match: self._decoded(match.group(), unquoted_form, stream, layer), text)
        return text

    def _in_markup(self, text: str) -> list[Finding]:
        """Find what entities hide the end of, before they are undone."""
        table = self._classification
        found = [*find_elements(text, table), *find_forms(text, text.lower(), table)]
        return [*found, *find_assignments(text, table)] if '="' in text or "='" in text else found

    def _marked(self, text: str, found: list[Finding]) -> str:
        kept = [match.span() for match in MARKER.finditer(text)] if MARK in text else []
        findings = [
            finding
            for finding in found
            if self._treatments.get(finding.kind) != "keep" and not _is_within(finding, kept)
        ]
        return self._replaced(text, findings, kept) if findings else text

    def _find(self, text: str, stream: str) -> list[Finding]:
        """Ask the finders whose first sign is there; most texts have none, and are done with these questions."""
        lower = text.lower()
        assigns = "=" in text or ":" in text
        found: list[Finding] = []
        if assigns or "|" in text:
            found += find_assignments(text, self._classification)
        if _LONG_WORD.search(text):
            found += find_tokens(text)
        if "-----BEGIN" in text:
            found += find_pem(text)
        if not text.isalpha() and _may_have_number(text):
            found += find_numbers(text)
        if "@" in text or "at)" in lower or "at]" in lower or "arroba" in lower:
            found += _find_addresses(text, lower)
        if "'" in text or '"' in text or "</" in text or " -" in text:
            found += self._find_by_layout(text, lower)
        if _may_name_a_secret(lower):
            found += find_prose(text)
            found += find_schemes(text)
            found += find_beside(text, self._classification)
        elif _may_name_a_scheme(lower):
            found += find_schemes(text)
        if "; args=" in text or (assigns and "aram" in lower):
            found += find_sql_arguments(text)
        if "values" in lower and "insert" in lower:
            found += self._inserted(text)
        if (assigns or "." in text) and not self._keeps("ip", stream):
            found += find_ips(text)
        return found

    def _find_without_signs(self, text: str) -> list[Finding]:
        """Do what :meth:`_find` does for ASCII that has none of :data:`_SIGN`."""
        found: list[Finding] = []
        if len(text) >= _SHORTEST_TOKEN and _LONG_WORD.search(text):
            found += find_tokens(text)
        if len(text) >= _SHORTEST_NUMBER and _may_have_plain_number(text):
            found += find_numbers(text)
        lower = text.lower()
        if lower != text.upper():  # it has a letter
            found += self._find_by_words(text, lower)
        return found

    def _find_by_layout(self, text: str, lower: str) -> list[Finding]:
        found: list[Finding] = []
        elements = "</" in text
        if elements or " -" in text or "'," in text or '",' in text or "' ," in text or '" ,' in text:
            found += find_pairs(text, self._classification)
        if elements or "val" in lower or "content" in lower:
            found += find_forms(text, lower, self._classification)
        if "' " in text or '" ' in text or "('" in text or " '" in text or ' "' in text:
            found += find_compared(text, lower, self._classification)
            found += find_quoted_later(text, self._classification)
        return found

    def _find_by_words(self, text: str, lower: str) -> list[Finding]:
        if _may_name_a_secret(lower):
            return [*find_prose(text), *find_schemes(text), *find_beside(text, self._classification)]
        return list(find_schemes(text)) if _may_name_a_scheme(lower) else []

    def _keeps(self, kind: str, stream: str) -> bool:
        return self._treatments.get(kind) == "keep" or stream in self._kept_in.get(kind, ())

    def _inserted(self, text: str) -> Iterable[Finding]:
        """Yield the values of an SQL INSERT with a column that is classified: which is which cannot be seen."""
        for match in _INSERT.finditer(text):
            columns = match.group(1).split(",")
            kinds = [self._classification.kind_of(column.strip(" `\"'[]")) for column in columns]
            kind = next((kind for kind in kinds if kind is not None), None)
            if kind is not None and text[match.end() :].strip():
                yield Finding(match.end(), len(text), kind.kind)
                return

    def _replaced(self, text: str, findings: list[Finding], kept: list[tuple[int, int]]) -> str:
        pieces: list[str] = []
        place = 0
        for finding in _joined(findings, kept):
            pieces.append(text[place : finding.start])
            pieces.append(self.shown(finding.kind, text[finding.start : finding.end]))
            place = finding.end
        pieces.append(text[place:])
        return "".join(pieces)

    def _inside_encodings(self, text: str, stream: str, layer: int) -> str:
        r"""Redact what ``%40``, ``+``, ``\u0040``, ``\/`` or ``&#64;`` hides: such a piece is written plainly."""
        if not text.isascii() and is_odd(text):
            text = self._decoded(text, plain_signs, stream, layer)
        if "\\" in text and ("\\u" in text or "\\x" in text or "\\/" in text or "\\t" in text or "\\n" in text):
            text = self._decoded(text, unescaped, stream, layer)
        if "%" in text and _PERCENT.search(text):
            text = _ENCODED.sub(lambda match: self._decoded(match.group(), unquoted, stream, layer), text)
            text = _ENCODED.sub(lambda match: self._decoded(match.group(), unquoted_form, stream, layer), text)
        if "&" in text and ";" in text:
            text = self._decoded(text, without_entities, stream, layer)
        return text

    def _decoded(self, text: str, decode: Callable[[str], str], stream: str, layer: int) -> str:
        """Return the decoded text redacted if decoding lets more be found than is found anyway, else the text."""
        plain = decode(text)
        if plain == text:
            return text
        redacted = self._redact(plain, stream, layer + 1)
        return text if redacted == plain else redacted


def _without_piece(text: str) -> str:
    """Take the word away that was cut in two when the text was shortened: half a secret is not recognised as one."""
    mark = _CUT.search(text, max(0, len(text) - _LONGEST_MARKER))
    if mark is None:
        return text
    kept = text[: mark.start()]
    if kept.endswith("]") and MARKER.fullmatch(kept, max(0, kept.rfind(MARK))):
        return text
    words = kept[-_LONGEST_PIECE:].rsplit(None, 1)
    piece = 0 if kept[-1:].isspace() or not words else len(words[-1])
    return kept[: len(kept) - piece] + mark.group()


def _may_have_number(text: str) -> bool:
    return len(text) >= _SHORTEST_NUMBER and (
        _NINE_DIGITS.search(text) is not None
        or (len(text) >= _SHORTEST_IBAN and _IBAN_START.search(text) is not None)
        or ("+" in text and _EIGHT_DIGITS.search(text) is not None)
    )


def _may_have_plain_number(text: str) -> bool:
    """Do what :func:`_may_have_number` does for ASCII without any :data:`_SIGN`, so without a plus."""
    return (_NINE_PLACES.search(text) is not None and _NINE_DIGITS.search(text) is not None) or (
        len(text) >= _SHORTEST_IBAN and _IBAN_START.search(text) is not None
    )


def _find_addresses(text: str, lower: str) -> list[Finding]:
    found: list[Finding] = []
    if "@" in text:
        found += find_emails(text)
        if "/" in text or "@tcp(" in text or "@unix(" in text:
            found += find_user_slash_password(text)
    if "at)" in lower or "at]" in lower or "arroba" in lower:
        found += find_spelt_emails(text)
    return found


def _may_name_a_scheme(lower: str) -> bool:
    return (
        "bearer" in lower
        or "basic" in lower
        or "digest" in lower
        or "negotiate" in lower
        or "jwt" in lower
        or "dpop" in lower
    )


def _may_name_a_secret(lower: str) -> bool:
    """Say whether a text in small letters has a piece of a name that prose gives to secrets.

    Written out, because a loop would take four times as long, and every text is asked.
    """
    return (
        "pass" in lower
        or "pwd" in lower
        or "senha" in lower
        or "palavra" in lower
        or "segredo" in lower
        or "secret" in lower
        or "key" in lower
        or "chave" in lower
        or "token" in lower
        or "sess" in lower
        or "sid" in lower
        or "creden" in lower
        or "login" in lower
        or "csrf" in lower
        or "cookie" in lower
        or "cvv" in lower
        or "cvc" in lower
        or "cvn" in lower
        or "digo" in lower
        or "code" in lower
        or "otp" in lower
        or "pin" in lower
        or "2fa" in lower
        or "mfa" in lower
        or "tel" in lower
        or "phone" in lower
        or "contact" in lower
    )


def _is_within(finding: Finding, kept: list[tuple[int, int]]) -> bool:
    """Say whether a finding lies in one of the markers, which are in their order."""
    place = bisect.bisect_right(kept, (finding.start, finding.start + _LONGEST_MARKER)) - 1
    return place >= 0 and finding.end <= kept[place][1]


def _joined(findings: list[Finding], kept: list[tuple[int, int]]) -> list[Finding]:
    """Return findings that do not overlap: what belongs together is one, of the kind of the one that begins first.

    A marker that is there already and overlaps a finding is taken in whole.
    """
    markers = [Finding(start, end, "") for start, end in kept]
    result: list[Finding] = []
    for finding in sorted([*findings, *markers], key=lambda found: (found.start, -found.end)):
        if result and finding.start < result[-1].end:
            previous = result[-1]
            result[-1] = Finding(previous.start, max(finding.end, previous.end), previous.kind or finding.kind)
        else:
            result.append(finding)
    return [finding for finding in result if finding.kind]
