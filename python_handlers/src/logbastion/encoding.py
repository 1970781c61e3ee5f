"""Writes an event as one line of JSON that fits into 256 KiB."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from logbastion.jsonsafe import shortened

MAX_LINE_BYTES: Final = 262_144
"""With the line break: the ingest's limit for one message (rsyslog ``maxMessageSize``, Logstash's codec)."""

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False).encode
# JSON escapes C0 itself. These are valid inside JSON but break lines (U+0085, U+2028/9), drive terminals (DEL, C1) or
# turn the reading direction round in whatever shows the raw file.
_INVISIBLE: Final = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def encode_line(event: dict[str, Any]) -> bytes:
    """Return the event as UTF-8 with a line break at the end.

    An event above :data:`MAX_LINE_BYTES` gets its longest texts cut, each with a mark that says how much; when texts
    are not what makes it large, ``extra`` is replaced by a note. It is valid JSON in any case.
    """
    line = _line(event)
    limit = MAX_LINE_BYTES // 4
    while len(line) > MAX_LINE_BYTES and limit >= 256:  # noqa: PLR2004
        line = _line(_cut(event, limit))
        limit //= 2
    if len(line) > MAX_LINE_BYTES:
        note = {"_cut": f"<extra was left out: the event had {len(_line(event))} bytes>"}
        line = _line(_cut({**event, "extra": note}, 256))
    return line


def _line(event: dict[str, Any]) -> bytes:
    text = _encode(event)
    if not text.isascii() or "\x7f" in text:
        text = _INVISIBLE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
    return text.encode() + b"\n"


def _cut(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return shortened(value, limit)
    if isinstance(value, dict):
        return {key: _cut(item, limit) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item, limit) for item in value]
    return value
