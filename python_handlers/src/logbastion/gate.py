"""The gate: the one place that every event passes before a byte of it is written anywhere.

A gate takes the finished event and returns the event that may be written. :class:`logbastion.EventFormatter` calls it
for every output, and replaces the event by a notice when the gate raises: it fails closed.

The gate that is here now looks at *keys* only. It drops the values that must never be logged (guide, "Authentication
data" and "Financial information") from ``extra``. It does not search texts: a password inside a message, an exception
or the value of another key passes. Do not log what you would not show.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

Gate = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes an event that it may change, returns what may be written.

What it is given, and what it returns, is made of dict with text keys, list, str, int below 64 bits, finite float, bool
and None. Nothing of it is shared with other events.
"""

_ANYWHERE: Final = re.compile(
    r"passw(or)?d|passphrase|passcode|authori[sz]ation|cookie|cardnumber|creditcard|apikey|accesskey|privatekey"
    r"|secretkey|clientsecret|sessionid|sessionkey|securitycode|onetimecode|verificationcode"
)
_LAST: Final = re.compile(r"(token|secret|credentials?)s?$")
_WORDS: Final = frozenset({"cvv", "cvv2", "cvc", "cvc2", "csc", "pan", "pwd", "pin", "otp", "totp", "jwt", "senha"})
_NOT_WORD: Final = re.compile(r"[^a-z0-9]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@lru_cache(maxsize=2048)
def is_forbidden_key(key: str) -> bool:
    """Say whether a value under this key must never be written, whatever the spelling (``Card-Number``, ``apiKey``)."""
    words = _NOT_WORD.split(_CAMEL.sub("_", key).lower())
    joined = "".join(words)
    return bool(_ANYWHERE.search(joined) or _LAST.search(joined)) or not _WORDS.isdisjoint(words)


def drop_forbidden_keys(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event without the forbidden keys of ``extra``, at any depth."""
    extra = event.get("extra")
    if extra:
        for key, value in extra.items():
            kind = type(value)
            if kind is dict or kind is list or is_forbidden_key(key):
                event["extra"] = _cleaned(extra)
                break
    return event


def _cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items() if not is_forbidden_key(key)}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value
