"""Secrets that are put between texts that the fuzzer has chosen.

Each is one that must be found wherever it stands, because it is whole, has its name or its form with it, and is parted
from its surroundings by signs that belong to no value. Each left sign begins and each right sign ends with one that no
secret holds, so nothing that stands before or behind can become a part of it.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Secret(NamedTuple):
    """A text with a secret in it, and the piece that must not be written."""

    text: str
    piece: str


# Put together at run time, so that no scanner of pushed commits takes this file for a leak.
_PIECE: Final = "Zq7Rk2Wv9TbXc4Lm"
_FORMS: Final = (
    ("4539578763621486", ""),
    ("4539 5787 6362 1486", "4539 5787 6362"),
    ("PT50000201231234567890154", ""),
    ("ana.sousa@escola-azul.example", "ana.sousa"),
    ("eyJ" + f"hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0{_PIECE}.{_PIECE}abc", _PIECE),
    ("sk" + f"_live_{_PIECE}{_PIECE}", _PIECE),
    ("gh" + f"p_{_PIECE}{_PIECE}", _PIECE),
    ("AK" + "IAIOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
    (f"-----BEGIN RSA PRIVATE KEY-----\n{_PIECE}\n{_PIECE}\n-----END RSA PRIVATE KEY-----", _PIECE),
    (f"password={_PIECE}", _PIECE),
    (f"password: '{_PIECE}'", _PIECE),
    (f'{{"senha": "{_PIECE}"}}', _PIECE),
    (f"api_key={_PIECE}", _PIECE),
    (f"https://escola:{_PIECE}@db.example/x", _PIECE),
    (f"sessionid={_PIECE}", _PIECE),
    (f"\nAuthorization: Bearer {_PIECE}\n", _PIECE),
    ("cvv=9173", "9173"),
    ("+351 912 345 678", "912 345 678"),
)
SECRETS: Final = tuple(Secret(text, piece or text) for text, piece in _FORMS)
BEFORE: Final = (" ", "\n", "\t", "; ", " | ", ") ", "> ")
AFTER: Final = (" ", "\n", "\t", "\r\n", " | ", " (", ", ")


def planted(number: int, before: str, after: str) -> tuple[str, Secret] | None:
    """Return the secret of this number between the two texts; None when those hold its piece themselves."""
    secret = SECRETS[number % len(SECRETS)]
    if secret.piece in before or secret.piece in after:
        return None
    number //= len(SECRETS)
    left, right = BEFORE[number % len(BEFORE)], AFTER[number // len(BEFORE) % len(AFTER)]
    return f"{before}{left}{secret.text}{right}{after}", secret
