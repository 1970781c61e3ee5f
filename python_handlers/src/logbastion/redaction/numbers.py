"""Finds card numbers, bank accounts, Portuguese tax numbers and telephone numbers by what their digits say."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from logbastion.cards import has_scheme, is_card_number
from logbastion.redaction.markers import Finding

# One class between two digits, so that there is one way only to match: the time is linear.
_RUN: Final = re.compile(r"(?<![0-9A-Za-z])\+?\(?\d(?:[ \t.\-/()_\u00a0\u2009\u202f]{0,3}\d){7,}(?![0-9A-Za-z])")
_ON_LINES: Final = re.compile(r"(?<!\d)\d{4}(?:[ \t]?\r?\n[ \t]?\d{4}){3}(?!\d)")  # a card in a column
_GROUP: Final = re.compile(r"\d+")
_IBAN: Final = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}\d{2}(?:[ .\-\u00a0\u202f]?[0-9A-Za-z]){11,42}")
_NIF_WITH_COUNTRY: Final = re.compile(r"(?<![0-9A-Za-z])[Pp][Tt][ \-]?(\d{9})(?!\d)")
_GLUED: Final = re.compile(r"(?<!\d)\d{13,19}(?!\d)")
_NIB_DIGITS: Final = 21
_NIB_GROUPS: Final = ((21,), (4, 4, 11, 2), (4, 4, 4, 4, 4, 1))
_NOT_ALNUM: Final = re.compile(r"[^0-9A-Za-z]+")

# Lengths from the ISO 13616 registry; other countries have none.
_IBAN_LENGTHS: Final = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FK", "FO", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK"), 20),
    **dict.fromkeys(("CH", "CR", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "TL", "OM", "SO"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
    **dict.fromkeys(("RU",), 33),
}
_SHORTEST_CARD: Final = 13
_LONGEST_CARD: Final = 19
_NATIONAL: Final = 9
_NIF_FIRST: Final = ("1", "2", "3", "5", "6", "8", "9", "45", "70", "71", "72", "74", "75", "77", "78", "79")
_PHONE_DIGITS: Final = range(8, 16)
_NIF_GROUPS: Final = ((9,), (3, 3, 3))
_PHONE_GROUPS: Final = ((9,), (3, 3, 3), (2, 3, 2, 2), (2, 3, 4), (2, 7), (3, 6), (3, 2, 2, 2), (2, 2, 2, 3))
# Words that say that nine digits behind them are a number of something else.
_COUNTED: Final = re.compile(
    r"(?i)(?<![a-z])(?:order|encomenda|pedido|offset|seq|ack|inode|bytes(?:[_ ]\w{2,8})?|object|row|job|ticket"
    r"|pid|lsn|xid|message|build|run|refer[e\u00ea]ncia(?: multibanco)?|processo|fatura|recibo|invoice"
    r"|transaction|transa[c\u00e7][a\u00e3]o|artigo|produto|sku)"
    r"(?:[ _](?:id|no|number|n[\u00fau]mero|n\.?\u00ba))?[\"']?[ \t]?[=:#]?[ \t]?[\"']?\Z"
)
_LOOK_BACK: Final = 40
_MOST_GROUPS: Final = 7


def find_numbers(text: str) -> Iterator[Finding]:
    """Yield what digits give away. To be asked only of texts that have eight digits near to each other."""
    for run in _RUN.finditer(text):
        yield from _in_run(run.group(), run.start(), text)
    for match in _GLUED.finditer(text):  # also between letters, where it is no word of its own
        digits = _ascii_digits(match.group())
        if has_scheme(digits) and is_card_number(digits):
            yield Finding(match.start(), match.end(), "card")
    if "\n" in text:
        for match in _ON_LINES.finditer(text):
            digits = _ascii_digits("".join(match.group().split()))
            if has_scheme(digits) and is_card_number(digits):
                yield Finding(match.start(), match.end(), "card")
    for match in _NIF_WITH_COUNTRY.finditer(text):
        if is_nif(match.group(1)):
            yield Finding(match.start(), match.end(), "nif")
    place = 0
    while candidate := _IBAN.search(text, place):
        length = _iban_length(candidate.group())
        if length:
            yield Finding(candidate.start(), candidate.start() + length, "iban")
        # What only looks like one may reach over the beginning of a real one.
        place = candidate.start() + (length or 1)


def _in_run(run: str, offset: int, text: str) -> Iterator[Finding]:
    groups = [(match.start(), match.end()) for match in _GROUP.finditer(run)]
    first = 0
    bare = run.removeprefix("(")
    if run[0] == "+" or (bare[:2] == "00" and bare[2:3] not in ("", "0", ".")):
        last = _last_of_phone(groups, 0 if run[0] == "+" else 2)
        if last is not None:
            yield Finding(offset, offset + groups[last][1], "phone")
            first = last + 1
    while first < len(groups):
        digits, best = "", None
        for last in range(first, min(first + _MOST_GROUPS, len(groups))):
            digits += _ascii_digits(run[groups[last][0] : groups[last][1]])
            if len(digits) > _NIB_DIGITS:
                break
            if len(digits) < _NATIONAL:
                continue
            kind = _kind_of(digits, tuple(end - start for start, end in groups[first : last + 1]))
            if kind and (kind == "card" or _stands_alone(run, groups[first][0], groups[last][1], text, offset)):
                best = (last, kind)
        if best is None:
            first += 1
            continue
        last, kind = best
        yield Finding(offset + groups[first][0], offset + groups[last][1], kind)
        first = last + 1


def _last_of_phone(groups: list[tuple[int, int]], prefix: int) -> int | None:
    """Return the last group of an international number, behind which others may stand; None when it is none."""
    count, found = -prefix, None
    for place, (start, end) in enumerate(groups):
        count += end - start
        if count >= _PHONE_DIGITS.stop:
            break
        if count in _PHONE_DIGITS:
            found = place
    return found


def _ascii_digits(digits: str) -> str:
    return digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)


def _stands_alone(run: str, start: int, end: int, text: str, offset: int) -> bool:
    """Tell nine digits of their own from a fraction (``278.361991``), a part of a number, or a ticket (``#278``)."""
    before, after = run[:start].rstrip("+( "), run[end:].lstrip(") ")
    if before[-1:] in ("-", ".", "/") or after[:1] in ("-", ".", "/"):
        return False
    inner = run[start:end]
    if inner.count(".") == 1 and len(inner) == _NATIONAL + 1:
        return False
    if start == 0 and offset and text[offset - 1] in "#.,":
        return False
    return _COUNTED.search(text, max(0, offset + start - _LOOK_BACK), offset + start) is None


def _kind_of(digits: str, groups: tuple[int, ...]) -> str | None:
    if len(digits) == _NATIONAL:
        if groups in _NIF_GROUPS and is_nif(digits):
            return "nif"
        return "phone" if groups in _PHONE_GROUPS and is_portuguese_phone(digits) else None
    if _SHORTEST_CARD <= len(digits) <= _LONGEST_CARD:
        return "card" if has_scheme(digits) and is_card_number(digits) else None
    if groups in _NIB_GROUPS:
        return "iban" if int(digits + "252950") % 97 == 1 else None  # as PT50 before it: P is 25, T is 29
    if len(digits) == _NATIONAL + 3 and digits.startswith("351") and is_portuguese_phone(digits[3:]):
        return "phone"
    return None


def is_nif(digits: str) -> bool:
    """Say whether nine digits are a Portuguese tax number: a first digit that is given out, and the check digit."""
    if not digits.startswith(_NIF_FIRST):
        return False
    rest = sum(int(digit) * (9 - place) for place, digit in enumerate(digits[:8])) % 11
    return int(digits[8]) == (0 if rest < 2 else 11 - rest)  # noqa: PLR2004


def is_portuguese_phone(digits: str) -> bool:
    """Say whether nine digits are a telephone number of Portugal: mobile 91-93 and 96, or fixed 21-29."""
    return digits[:2] in ("91", "92", "93", "96") or (digits[0] == "2" and digits[1] != "0")


def _iban_length(candidate: str) -> int:
    """Return how many characters of the text are an account number, 0 when none are."""
    length = _IBAN_LENGTHS.get(candidate[:2].upper())
    if not length:
        return 0
    count = place = 0
    for place, character in enumerate(candidate):  # noqa: B007 - the place is what is looked for
        count += character.isalnum()
        if count == length:
            break
    else:
        return 0
    if candidate[place + 1 : place + 2].isalnum():
        return 0  # goes on: it is something else
    account = _NOT_ALNUM.sub("", candidate[: place + 1]).upper()
    # ISO 7064, MOD 97-10: the first four at the end, letters as numbers from 10 on.
    number = "".join(str(int(character, 36)) for character in account[4:] + account[:4])
    return place + 1 if int(number) % 97 == 1 else 0
