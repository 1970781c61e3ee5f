"""Writes an event as JSON without line breaks that fits, with one at its end, into a line of 256 KiB.

With `orjson <https://github.com/ijl/orjson>`_ installed (extra ``fast``) that takes a tenth of the time; the bytes are
the same with and without.
"""

from __future__ import annotations

import importlib
import json
import json.encoder
import re
from collections.abc import Callable
from typing import Any, Final

from logbastion.jsonsafe import UnusualFloat, shortened

MAX_LINE_BYTES: Final = 262_144
"""With the line break: the ingest's limit for one message (rsyslog ``maxMessageSize``, Logstash's codec)."""

# JSON escapes C0 itself. These are valid inside JSON but break lines (U+0085, U+2028/9), drive terminals (DEL, C1) or
# turn the reading direction round in whatever shows the raw file; "<", ">" and "&" are a script in a page that shows it
# without care. Written as their UTF-8 bytes: DEL, U+0080-009F, U+061C, U+200E-200F and U+2028-202E, U+2066-2069,
# U+FEFF.
_HARMFUL: Final = re.compile(
    rb"[\x7f<>&]|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xef\xbb\xbf"
)
# The ASCII ones as numbers: bytes are asked for a number in a fifth of the time.
_DEL, _LESS, _MORE, _AND = b"\x7f<>&"


def encode_event(event: dict[str, Any]) -> bytes:
    """Return the event's JSON as UTF-8, without a line break, which still fits behind it into :data:`MAX_LINE_BYTES`.

    A larger event gets its longest texts cut, each with a mark that says how much; when texts are not what makes it
    large, ``extra`` is replaced by a note. It is valid JSON in any case.

    Args:
        event: of dict with text keys, list, str, int below 64 bits, finite float, bool and None; a float outside the
            range in which JSON writers agree (see :class:`~logbastion.jsonsafe.UnusualFloat`) as that class.

    Raises:
        TypeError: a value has another type.
        ValueError: a float is not finite, or a text is not valid Unicode.

    """
    try:
        text = _dumps(event)
    except TypeError:  # orjson refuses integers above 64 bits and some types that the standard library takes
        text = json_dumps(event)
    text = _without_harm(text)
    return text if len(text) < MAX_LINE_BYTES else _shorter(event, len(text))


def _without_harm(text: bytes) -> bytes:
    if not text.isascii() or _DEL in text or _LESS in text or _MORE in text or _AND in text:
        return _HARMFUL.sub(_escaped, text)
    return text


def completed_event(beginning: str, rest: dict[str, Any]) -> bytes | None:
    """Return what :func:`encode_event` returns for an event whose first fields are written already.

    Args:
        beginning: JSON of the first fields, without the closing brace.
        rest: the other fields, as for :func:`encode_event`.

    Returns:
        None when it does not fit into :data:`MAX_LINE_BYTES`.

    Raises:
        TypeError: as there.
        ValueError: as there.

    """
    if rest:
        try:
            end = _dumps(rest)
        except TypeError:
            end = json_dumps(rest)
        text = b"".join((beginning.encode(), b",", end[1:]))
    else:
        text = beginning.encode() + b"}"
    text = _without_harm(text)
    return text if len(text) < MAX_LINE_BYTES else None


def _shorter(event: dict[str, Any], size: int) -> bytes:
    limit = MAX_LINE_BYTES // 4
    while limit >= 256:  # noqa: PLR2004
        text = _written(_cut(event, limit))
        if len(text) < MAX_LINE_BYTES:
            return text
        limit //= 2
    note = {"_cut": f"<extra was left out: the event had {size} bytes>"}
    return _written(_cut({**event, "extra": note}, 256))


def _written(event: dict[str, Any]) -> bytes:
    return _HARMFUL.sub(_escaped, json_dumps(event))


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(match.group().decode())


def _json_encoder() -> Callable[[Any], str]:
    options: dict[str, Any] = {"ensure_ascii": False, "allow_nan": False, "separators": (",", ":")}
    encoder = json.JSONEncoder(check_circular=False, **options)
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    try:
        # JSONEncoder.encode makes this object anew at each call, which takes a third of its time.
        chunks = make(None, encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
        "".join(chunks({"a": [1, "b"]}, 0))
    except TypeError:  # not CPython, or one where it has other arguments
        return encoder.encode
    return lambda value: "".join(chunks(value, 0))


json_text: Final = _json_encoder()
"""Returns the JSON of what :func:`encode_event` takes, with what that escapes."""
quoted: Final[Callable[[str], str]] = json.encoder.encode_basestring
"""Returns the JSON of a text. Raises TypeError when it is none."""


def json_dumps(event: dict[str, Any]) -> bytes:
    """Return JSON written by the standard library."""
    return json_text(event).encode()


def orjson_dumps() -> Callable[[dict[str, Any]], bytes] | None:
    """Return a function that writes the same bytes as :func:`json_dumps` by orjson, or None when that is not there.

    It raises TypeError for what it leaves to :func:`json_dumps`.
    """
    try:
        orjson: Any = importlib.import_module("orjson")
        # What orjson would write in a way of its own is left to the standard library.
        options = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
        dumps, fragment = orjson.dumps, orjson.Fragment
    except (ImportError, AttributeError):  # AttributeError: a version before Fragment (3.9)
        return None

    def default(value: Any) -> Any:
        if type(value) is UnusualFloat:
            return fragment(float.__repr__(value))
        raise TypeError(type(value).__name__)

    def dumped(event: dict[str, Any]) -> bytes:
        text: bytes = dumps(event, default, options)  # by position, which takes it less time than by name
        return text

    return dumped


_dumps: Callable[[dict[str, Any]], bytes] = orjson_dumps() or json_dumps


def _cut(value: Any, limit: int) -> Any:
    if isinstance(value, str):
        return shortened(value, limit)
    if isinstance(value, dict):
        return {key: _cut(item, limit) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item, limit) for item in value]
    return value
