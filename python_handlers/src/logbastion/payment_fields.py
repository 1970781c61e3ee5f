"""Reads payments field by field, and checks what each field holds.

A field that is not asked for by name is not read, so card data cannot come along under whatever key it has. What is in
a field that is asked for is not trusted either: texts are searched for card numbers (:mod:`logbastion.cards`), and a
value of another type than the field's is left out. Objects are never turned into text: nobody knows what it says.
"""

from __future__ import annotations

import datetime
import decimal
import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

from logbastion.cards import mask_card_numbers

MAX_IDENTIFIER: Final = 128
"""Longest identifier, in characters."""
MAX_TEXT: Final = 500
"""Longest free text, in characters."""
_LAST_FOUR: Final = 4
# Texts are searched before they are cut, or half a card number could stand at the cut. A card number takes 73
# characters at most and leaves 8, so twenty times as many as are kept leave more than are kept.
_SEARCHED: Final = 20 * MAX_TEXT
_MAX_EXPONENT: Final = 40
_MAX_BITS: Final = 63
_LARGEST: Final = 2.0**_MAX_BITS
_CURRENCY: Final = re.compile(r"[A-Z]{3}")


class CheckedFields:
    """Collects the fields of one event. No method raises; a value that does not fit is left out.

    Attributes:
        values: the fields that were taken.
        masked: how many card numbers were found and replaced.

    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.masked = 0

    def text(self, name: str, value: object, limit: int = MAX_IDENTIFIER) -> None:
        """Take a text, or a whole number as text, of at most ``limit`` characters."""
        text = self._without_cards(value, 20 * limit)
        if text:
            self.values[name] = text[:limit]

    def money(self, name: str, value: object) -> None:
        """Take an amount of money as decimal text; one that is none, or may be a card number, is left out."""
        text = money_text(value)
        # Only before the point: one in ten thirds with sixteen decimals has a right check digit.
        if text is not None and not self._holds_card(text.partition(".")[0]):
            self.values[name] = text

    def currency(self, name: str, value: object) -> None:
        """Take a currency's code of three letters (ISO 4217), as capitals."""
        code = _plain(value).upper()
        if _CURRENCY.fullmatch(code):
            self.values[name] = code

    def last_four(self, name: str, value: object) -> None:
        """Take the last four digits of a card: of a whole number in the wrong field the last four (PCI DSS, 3.4.1)."""
        digits = "".join(character for character in _plain(value)[:_SEARCHED] if character in "0123456789")
        if len(digits) >= _LAST_FOUR:
            self.values[name] = digits[-_LAST_FOUR:]

    def moment(self, name: str, value: object) -> None:
        """Take a time as text: seconds since 1970 and ``datetime`` in RFC 3339, a text as it is."""
        try:
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                value = datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
            if isinstance(value, (datetime.datetime, datetime.date)):
                value = value.isoformat()
        except Exception:  # no time that exists, or a hostile tzinfo
            return
        self.text(name, value)

    def whole(self, name: str, value: object) -> None:
        """Take a whole number of at most 63 bits; one that may be a card number becomes text without it."""
        if isinstance(value, int) and not isinstance(value, bool) and int.bit_length(value) <= _MAX_BITS:
            before = self.masked
            text = self._without_cards(value)
            self.values[name] = int(text) if self.masked == before else text

    def number(self, name: str, value: object) -> None:
        """Take a finite number of at most 63 bits."""
        if type(value) is not int and type(value) is not float:
            return
        if abs(value) < _LARGEST and not self._holds_card(str(int(value))):  # the first is false for NaN, too
            self.values[name] = value

    def address(self, name: str, value: object) -> None:
        """Take an IP address."""
        try:
            self.values[name] = str(ipaddress.ip_address(_plain(value)))
        except ValueError:
            return

    def _without_cards(self, value: object, searched: int = _SEARCHED) -> str:
        text, found = mask_card_numbers(_plain(value)[:searched])
        self.masked += found
        return text

    def _holds_card(self, text: str) -> bool:
        found = mask_card_numbers(text)[1]
        self.masked += found
        return found > 0


def _plain(value: object) -> str:
    """Return a text or a whole number as exactly ``str``; anything else, also what fails, as an empty text."""
    try:
        if isinstance(value, str):
            return str.__str__(value)  # whatever a subclass has to say
        return int.__str__(value) if isinstance(value, int) and not isinstance(value, bool) else ""
    except Exception:  # more digits than Python writes
        return ""


def read(holder: Any, *names: str) -> Any:
    """Return what is under these names, one within the other, in mappings or as attributes; None when it is not there.

    Never raises: an object of a payment provider may fetch over the network here, and fail.
    """
    try:
        for name in names:
            if holder is None or isinstance(holder, (str, bytes, int, float)):
                return None
            holder = holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
    except Exception:
        return None
    return holder


def money_text(amount: object) -> str | None:
    """Return an amount as decimal text, such as ``49.90``; None when it is no finite amount below 10 to the 40th."""
    try:
        # str() first: Decimal(0.1) would write the binary fraction out.
        value = amount if isinstance(amount, decimal.Decimal) else decimal.Decimal(str(amount))
        if (
            not value.is_finite()
            or abs(value.adjusted()) >= _MAX_EXPONENT
            or len(value.as_tuple().digits) > _MAX_EXPONENT
        ):
            return None
        return format(value, "f")
    except Exception:  # no number, a hostile __str__
        return None
