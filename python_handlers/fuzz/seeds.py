"""Makes the first inputs of each target from the corpus of the tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import red_team
from corpus import all_items, ordinary_lines

from fuzz.planted import AFTER, BEFORE, SECRETS
from logbastion.shipping.spool.frames import frame

_PER_KIND: Final = 4
_LINES: Final = 100


def _texts() -> list[str]:
    known = [item.text for item in all_items(per_kind=_PER_KIND)]
    return [
        *known,
        *red_team.some_texts(_PER_KIND),
        *ordinary_lines(count=_LINES),
        *red_team.ordinary_lines(count=_LINES),
    ]


def seeds_of(target: str) -> Iterator[bytes]:
    """Yield the first inputs of a target, the same at each call."""
    for number, text in enumerate(_texts()):
        head = (number * 7 % (len(BEFORE) * len(AFTER) * len(SECRETS))).to_bytes(2, "big")
        raw = text.encode()
        middle = len(raw) // 2
        if target == "event":
            opened = ("{payload", f"sanswer\x1f{text}", "[list", f"b{text}", "@inner", "}", "}")
            fields = (*opened, f"s{text}\x1f1", f"o{text}")
            yield head + b"\0".join([raw, *(field.encode() for field in fields)])
        elif target == "frames":
            yield head + frame(raw) + b"\0" + frame(b'{"a":1}')[:-1] + frame(raw)
        else:
            yield head + raw[:middle] + b"\0" + raw[middle:]


def write_seeds(target: str, directory: Path) -> int:
    """Write a file for each seed; return how many there are."""
    directory.mkdir(parents=True, exist_ok=True)
    seeds = list(seeds_of(target))
    for seed in seeds:
        (directory / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    return len(seeds)
