"""Payments, and what is logged about them on finances.*."""

import datetime
import logging
from decimal import Decimal
from typing import Any

from django.utils import timezone

from logbastion import log_payment_event
from school import gateway
from school.models import Payment, PaymentPause, Student

PAUSE = datetime.timedelta(seconds=20)
_stripe = logging.getLogger("finances.stripe")
_pci = logging.getLogger("finances.pci_compliant")


class PaymentRefusedError(Exception):
    """The payment was not taken; the text is for the person who pays."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def pay(user: Any, student: Student, amount: Decimal, card_number: str) -> Payment:
    """Take a payment.

    Raises:
        PaymentRefusedError: the card was declined, the provider is away, or payments are paused because it was.

    """
    if PaymentPause.objects.filter(until__gt=timezone.now()).exists():
        raise PaymentRefusedError("Payments are paused for a moment. Please try again later.", 503)
    try:
        intent = gateway.charge(card_number, amount)
    except gateway.CardDeclinedError as error:
        _stripe.error(
            "The bank declined a card",
            extra={"event_type": "payment_declined", "decline_code": str(error), "student_id": student.pk},
        )
        raise PaymentRefusedError("The card was declined.", 402) from error
    except gateway.ProviderUnavailableError as error:
        _provider_failed(student)
        raise PaymentRefusedError("The payment provider does not answer.", 503) from error
    payment = Payment.objects.create(intent_id=intent.id, student=student, paid_by=user, amount=amount)
    log_payment_event(intent, amount, student.pk)
    _log_transaction(intent)
    return payment


def _provider_failed(student: Student) -> None:
    # Seen as the incident payment_failure, by the words of the message (LOGGING in the settings).
    _stripe.critical(
        "Payment failed: the payment provider does not answer",
        extra={"event_type": "payment_provider_unavailable", "student_id": student.pk},
        exc_info=True,
    )
    PaymentPause.objects.update_or_create(pk=1, defaults={"until": timezone.now() + PAUSE})


def _log_transaction(intent: gateway.PaymentIntent) -> None:
    # Named one by one: a field that is not in this list cannot come along (PCI DSS v4.0.1, 3.4.1).
    card = intent.payment_method.card
    _pci.info(
        "Payment transaction processed",
        extra={
            "event_type": "payment_transaction",
            "compliance_level": "pci_dss",
            "transaction_id": intent.id,
            "amount": intent.amount,
            "currency": intent.currency.upper(),
            "payment_method_type": intent.payment_method.type,
            "card_last_four": card.last4,
            "card_brand": card.brand,
            "country": card.country,
            "status": "succeeded",
        },
    )
