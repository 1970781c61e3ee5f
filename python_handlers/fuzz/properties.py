"""What has to hold for any input. Each function raises AssertionError where it does not."""

from __future__ import annotations

import json
import time
import unicodedata
from typing import Any, Final

from fuzz.planted import Secret
from logbastion.encoding import MAX_LINE_BYTES

SECONDS_PER_KIB: Final = 0.25
"""CPU time that a KiB may take under the fuzzer's instrumentation, some ten times what it takes without."""
_LEAST_SECONDS: Final = 1.0
_HARMFUL: Final = ("Cc", "Cs", "Zl", "Zp")
_TURNING: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


class Timed:
    """Measures the CPU time of a block, and fails when it is more than the length of the input allows."""

    def __init__(self, length: int) -> None:
        self._allowed = max(_LEAST_SECONDS, length / 1024 * SECONDS_PER_KIB)

    def __enter__(self) -> None:
        self._begin = time.process_time()

    def __exit__(self, *_error: object) -> None:
        spent = time.process_time() - self._begin
        assert spent <= self._allowed, f"{spent:.1f} s, {self._allowed:.1f} s allowed"


def is_one_line(line: bytes) -> Any:
    """Return the JSON document that the line holds."""
    assert line.endswith(b"\n")
    text = line[:-1].decode()
    bad = [c for c in text if unicodedata.category(c) in _HARMFUL or c in _TURNING or c in "<>&"]
    assert not bad, f"a line holds {bad!r}"
    assert len(line) <= MAX_LINE_BYTES
    return json.loads(text)


def texts_of(value: Any) -> str:
    """Return all keys and texts of a JSON document, as they are once it is read."""
    if isinstance(value, dict):
        return "\n".join(f"{key}\n{texts_of(item)}" for key, item in value.items())
    return "\n".join(map(texts_of, value)) if isinstance(value, list) else str(value)


def is_kept_secret(secret: Secret | None, written: str) -> None:
    """Fail when the secret is there."""
    assert secret is None or secret.piece not in written, f"{secret} is in {written!r}"
