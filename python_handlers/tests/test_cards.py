"""Card numbers in texts. All numbers are the card schemes' and payment providers' published test numbers."""

import random

import pytest

from logbastion.cards import is_card_number, mask_card_numbers

CARDS = [
    "4242424242424242", "4222222222222", "4000000000000000006", "5555555555554444", "2223003122003222",
    "378282246310005", "30569309025904", "36227206271667", "6011111111111117", "3530111333300000", "6200000000000005",
]  # fmt: skip


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    "around", ["{}", "card {} declined", "x{}x", "({})", "{},", "order 7: {} ", "pan={}&exp=12/26"]
)
def test_every_scheme_within_a_text(card, around):
    text, count = mask_card_numbers(around.format(card))
    assert (text, count) == (around.format("****" + card[-4:]), 1)


@pytest.mark.parametrize("between", [" ", "-", ".", "_", "\n", "\u00a0", "\u2009", "\u2013", "\u200b", " - ", "\u00ad"])
def test_what_is_put_between_the_digits(between):
    assert mask_card_numbers(between.join(["4242"] * 4)) == ("****4242", 1)
    assert mask_card_numbers(between.join("4242424242424242")) == ("****4242", 1)


def test_digits_of_other_scripts():
    assert mask_card_numbers("\uff14\uff12" * 8) == ("****4242", 1)
    assert mask_card_numbers("\u0664\u0662" * 8) == ("****4242", 1)


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize(
    "around", ["2 {}", "{} 12/26", "{}-123", "{}9", "1{}", "0000 {} 0000", "12345678901234567890{}"]
)
def test_other_digits_beside_it_do_not_hide_it(card, around):
    text, count = mask_card_numbers(around.format(card))
    assert card not in text
    # At most the last four of its digits are left beside each other, wherever the find began.
    assert not [part for part in (card[:8], card[2:10], card[4:12]) if part in text]
    assert count >= 1


def test_several():
    text, count = mask_card_numbers("4242424242424242 and 5555555555554444, 4242 4242 4242 4242")
    assert (text, count) == ("****4242 and ****4444, ****4242", 3)


@pytest.mark.parametrize(
    "text",
    [
        "", "4242", "424242424242", "4242424242424241", "pi_3MtwBwLkdIwHu7ix28a3tqPa", "2026-11-23 17:43:11.123456",
        "+351 912 345 678", "203.0.113.195, 198.51.100.23", "550e8400-e29b-41d4-a716-446655440000", "49.90 EUR",
        "4242,4242,4242,4242", "1700000000", "²" * 16, "4242:4242:4242:4242",
    ],
)  # fmt: skip
def test_what_is_none_stays(text):
    assert mask_card_numbers(text) == (text, 0)


def test_the_check_digit():
    for length in range(10, 23):
        number = "4" + "0" * (length - 2)
        right = [digit for digit in "0123456789" if is_card_number(number + digit)]
        assert len(right) == (1 if 13 <= length <= 19 else 0)
    assert not is_card_number("\uff14\uff12" * 8)


def test_nothing_but_the_last_four_of_any_generated_card_is_left():
    chance = random.Random(7)
    for _ in range(500):
        stem = "4" + "".join(chance.choices("0123456789", k=14))
        card = next(stem + digit for digit in "0123456789" if is_card_number(stem + digit))
        text, count = mask_card_numbers(f"paid with {card[:4]} {card[4:8]} {card[8:12]} {card[12:]} today")
        assert (text, count) == (f"paid with ****{card[-4:]} today", 1)
