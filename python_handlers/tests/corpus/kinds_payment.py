"""Payment secrets: card numbers, card codes, bank accounts."""

from __future__ import annotations

import random
import string
from typing import Final

from corpus.items import Item, Kind, digits, labelled, plain, some, turn

# Brand, the beginnings of its numbers (inclusive ranges), the lengths in use.
_BRANDS: Final = (
    ("visa", ((4, 4),), (13, 16, 19)),
    ("mastercard", ((51, 55), (2221, 2720)), (16,)),
    ("american express", ((34, 34), (37, 37)), (15,)),
    ("diners club", ((36, 36), (300, 305), (38, 39)), (14,)),
    ("discover", ((6011, 6011), (644, 649), (65, 65)), (16, 19)),
    ("jcb", ((3528, 3589),), (16, 17, 18, 19)),
    ("unionpay", ((6221, 6229), (624, 626), (628, 628)), (16, 17, 18, 19)),
    ("maestro", ((5018, 5018), (5020, 5020), (5038, 5038), (6304, 6304), (6759, 6763)), (13, 14, 15, 16, 17, 18, 19)),
    ("mir", ((2200, 2204),), (16, 17, 18, 19)),
)
_VARIANTS: Final = tuple((begins, length) for _, begins, lengths in _BRANDS for length in lengths)
_SEPARATORS: Final = ("", " ", "-", ".")
_GROUPS: Final = {14: (4, 6, 4), 15: (4, 6, 5)}
_CARD_TEXTS: Final = (
    "{}",
    "charge declined for {}",
    "card {} was refused by the issuer",
    "pagamento com o cartão {} recusado",
    "PAN={}",
    "retrying {} once more",
    "o encarregado escreveu {} no campo de observações",
)


def luhn_digit(number: str) -> str:
    """Return the digit that makes the number pass the Luhn check when it is put behind it."""
    total = 0
    for place, figure in enumerate(reversed(number)):
        doubled = int(figure) * 2 if place % 2 == 0 else int(figure)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def _grouped(text: str, sizes: tuple[int, ...], separator: str) -> str:
    parts, start = [], 0
    for size in sizes:
        if text[start : start + size]:
            parts.append(text[start : start + size])
        start += size
    return separator.join(parts)


def card(rng: random.Random, number: int) -> Item:
    # The lengths go round faster than the separators, so that 4 x 27 numbers have every pair.
    begins, length = _VARIANTS[number % len(_VARIANTS)]
    separator = _SEPARATORS[number // len(_VARIANTS) % len(_SEPARATORS)]
    low, high = rng.choice(begins)
    start = str(rng.randint(low, high))
    body = start + digits(rng, length - 1 - len(start))
    written = _grouped(body + luhn_digit(body), _GROUPS.get(length, (4,) * 5), separator)
    return plain("card", written, _CARD_TEXTS, number)


def _letters_as_digits(text: str) -> int:
    return int("".join(str(int(char, 36)) for char in text))


def _account(rng: random.Random, country: str) -> str:
    """Return the part of an IBAN behind the check digits."""
    if country == "PT":  # the NIB has check digits of its own, which make every IBAN begin with PT50
        nib = f"{rng.choice((7, 10, 18, 33, 35, 36, 45)):04}{digits(rng, 15)}"
        return f"{nib}{98 - int(nib) * 100 % 97:02}"
    if country == "ES":
        return digits(rng, 20)
    if country == "FR":
        return digits(rng, 10) + some(rng, string.digits + string.ascii_uppercase, 11) + digits(rng, 2)
    if country == "DE":
        return digits(rng, 18)
    return some(rng, string.ascii_uppercase, 4) + digits(rng, 14)


def iban(rng: random.Random, number: int) -> Item:
    country = turn(("PT", "ES", "FR", "DE", "GB"), number)
    account = _account(rng, country)
    check = 98 - _letters_as_digits(f"{account}{country}00") % 97
    compact = f"{country}{check:02}{account}"
    written = compact if number % 2 else _grouped(compact, (4,) * 9, " ")
    texts = (
        "{}",
        "transferência para {} pendente",
        "IBAN {} could not be verified",
        "refund to {} failed",
        "conta={}",
        "débito directo {} devolvido pelo banco",
        "payout account {}",
    )
    return plain("iban", written, texts, number)


def cvv(rng: random.Random, number: int) -> Item:
    fields = ("cvv", "cvc", "cvv2", "card_cvc", "security_code", "codigo_seguranca", "csc", "card_cvv")
    texts = (
        "{f}={}",
        "CVV: {}",
        "cvc {}",
        "'{f}': '{}'",
        '"{f}": "{}"',
        "código de segurança: {}",
        "security code {}",
        "CVV2={}",
        "CVC é {}",
        "{f} = {}",
        "card security code is {}",
    )
    return labelled("cvv", digits(rng, 4 if number % 5 == 4 else 3), texts, number, turn(fields, number))


KINDS: Final = (
    Kind("card", card, False, "nine brands, 13 to 19 digits, no separator, spaces, dashes or dots"),
    Kind("iban", iban, False, "PT, ES, FR, DE, GB; compact and in groups of four"),
    Kind("cvv", cvv, True, "three and four digits beside CVV, CVC, security code, código de segurança"),
)
