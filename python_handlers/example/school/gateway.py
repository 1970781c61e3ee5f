"""A payment provider inside the process: answers as a real one would, by the test card's number.

The numbers are the ones that card providers publish for tests. The number is looked at here and goes nowhere else.
"""

import secrets
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace

DECLINED = "4000000000000002"
UNREACHABLE = "4000000000000119"


class CardDeclinedError(Exception):
    """The bank said no."""


class ProviderUnavailableError(Exception):
    """The provider did not answer."""


@dataclass(frozen=True)
class PaymentIntent:
    """What the provider returns, in Stripe's words."""

    id: str
    amount: Decimal
    currency: str
    payment_method: SimpleNamespace


def charge(card_number: str, amount: Decimal) -> PaymentIntent:
    """Take an amount from a card.

    Raises:
        CardDeclinedError: the bank refuses.
        ProviderUnavailableError: the provider cannot be reached.

    """
    if card_number == DECLINED:
        raise CardDeclinedError("insufficient_funds")
    if card_number == UNREACHABLE:
        raise ProviderUnavailableError("the payment provider did not answer in time")
    card = SimpleNamespace(last4=card_number[-4:], brand="visa" if card_number[0] == "4" else "other", country="PT")
    return PaymentIntent(f"pi_{secrets.token_hex(12)}", amount, "eur", SimpleNamespace(type="card", card=card))
