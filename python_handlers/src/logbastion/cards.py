"""Card numbers within texts: found by form and check digit, and replaced (PCI DSS v4.0.1, 3.3.1, 3.4.1 and 3.5.1).

A primary account number has up to 19 digits, the last of which is a check digit by Luhn's formula (ISO/IEC 7812-1). A
run of 13 to 19 digits with a right check digit is taken for one, although one in ten numbers of that length has it by
chance: a lost order number is the smaller harm (of numbers with 18 digits three in ten are lost). In a longer run, and
in one whose check digit is wrong (a quantity before the card, its expiry after it), the forms of the known card
schemes are looked for.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_SHORTEST: Final = 13
_LONGEST: Final = 19
_KEPT: Final = 4
# What people and programs put between the digits: space, dot, hyphen, underscore, the Unicode dashes, no-break space,
# and characters without width, which would hide the number from a simpler search.
_RUN: Final = re.compile(
    r"\d(?:[\s.\-_\u00ad\u2010-\u2015\u2212\u200b-\u200d\u2060\ufeff]{0,3}\d){12,}",
)
# First two or four digits, and lengths.
_SCHEMES: Final = (
    (range(40, 50), 2, (13, 16, 19)),  # Visa
    ((34, 37), 2, (15,)),  # American Express
    (range(51, 56), 2, (16,)),  # Mastercard
    (range(2221, 2721), 4, (16,)),
    (range(2200, 2205), 4, range(16, 20)),  # Mir
    ((30, 36, 38, 39), 2, range(14, 20)),  # Diners Club
    ((35, 60, 62, 64, 65, 81), 2, range(16, 20)),  # JCB, Discover, UnionPay, RuPay
    ((50, *range(56, 70)), 2, range(13, 20)),  # Maestro
)
_ARTICLES_OF_PORTUGAL: Final = "560"
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def mask_card_numbers(text: str) -> tuple[str, int]:
    """Return the text with each card number replaced by ``****`` and its last four digits, and how many there were.

    Digits of any script count. The three or four digits of a security code cannot be told from another number and are
    not found; they must not be in a text.
    """
    count = 0

    def masked(run: re.Match[str]) -> str:
        nonlocal count
        text, found = _masked_run(run.group())
        count += found
        return text

    return _RUN.sub(masked, text), count


def is_card_number(number: str) -> bool:
    """Say whether 13 to 19 ASCII digits, without anything between them, may be a card number."""
    return (
        _SHORTEST <= len(number) <= _LONGEST and number.isascii() and number.isdigit() and _check_digit_is_right(number)
    )


def has_scheme(number: str) -> bool:
    """Say whether ASCII digits begin as the cards of a known scheme do, and have as many digits as those."""
    for prefixes, length, lengths in _SCHEMES:
        if int(number[:length]) in prefixes:
            # Thirteen digits that begin with 560 are far more often an article number of GS1 Portugal.
            article = len(number) == _SHORTEST and number.startswith(_ARTICLES_OF_PORTUGAL)
            return len(number) in lengths and not article
    return False


def _masked_run(run: str) -> tuple[str, int]:
    places = [place for place, character in enumerate(run) if character.isdecimal()]
    digits = "".join(str(unicodedata.decimal(run[place])) for place in places)
    cards = [(0, len(digits))] if is_card_number(digits) else _cards_within(digits)
    pieces, written = [], 0
    for begin, end in cards:
        pieces += [run[written : places[begin]], "****", digits[end - _KEPT : end]]
        written = places[end - 1] + 1
    return "".join([*pieces, run[written:]]), len(cards)


def _cards_within(digits: str) -> list[tuple[int, int]]:
    """Return where cards may begin and end. What overlaps is one: a chance find must not hide half of a real card."""
    sums = _luhn_sums(digits)
    found: list[tuple[int, int]] = []
    for begin in range(len(digits) - _SHORTEST + 1):
        for length in range(min(_LONGEST, len(digits) - begin), _SHORTEST - 1, -1):
            end = begin + length
            of_end = sums[end % 2]
            if (of_end[end] - of_end[begin]) % 10 == 0 and has_scheme(digits[begin:end]):
                if found and begin < found[-1][1]:
                    found[-1] = (found[-1][0], max(end, found[-1][1]))
                else:
                    found.append((begin, end))
                break
    return found


def _check_digit_is_right(digits: str) -> bool:
    return _luhn_sums(digits)[len(digits) % 2][-1] % 10 == 0


def _luhn_sums(digits: str) -> tuple[list[int], list[int]]:
    """Return Luhn's sums up to each place, with the digits at even and at odd places doubled.

    The last digit of a number is not doubled and the one before is: ``end % 2`` says which of the two is a number's.
    """
    even, odd = [0], [0]
    for place, character in enumerate(digits):
        digit = int(character)
        even.append(even[-1] + (digit if place % 2 else _DOUBLED[digit]))
        odd.append(odd[-1] + (_DOUBLED[digit] if place % 2 else digit))
    return even, odd
