"""Turns any Python value into one that JSON, and Elasticsearch's ``flattened`` type, can hold.

Nothing here raises, whatever a logging call was given: hostile ``__str__``, cycles, NaN, bytes, lone surrogates.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import ipaddress
import math
import os
import re
import uuid
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final

MAX_DEPTH: Final = 10
"""Levels of containers below ``extra``. ``flattened`` refuses more than 20, rsyslog's JSON parser more than 32."""
MAX_ITEMS: Final = 1000
"""Entries that are kept of one container: bounds the time that a logging call can take."""
MAX_KEY_BYTES: Final = 256
MAX_STRING_BYTES: Final = 24_000
"""Lucene refuses a term above 32766 bytes; ``flattened`` indexes the path and the value as one term."""
MAX_INTEGER_BITS: Final = 63

MAX_PLAIN_TEXT: Final = MAX_STRING_BYTES // 4
"""Characters of a text that is never too long."""
_MAX_USUAL_NAMES: Final = 2000
_usual_names: set[str] = set()
LARGEST: Final = 2**MAX_INTEGER_BITS - 1
SMALLEST: Final = -LARGEST
# Between these, and at zero, every JSON writer gives a float the same digits; outside, 1e-05 may be 1e-5 or 0.00001.
_SMALLEST_USUAL: Final = 1e-4
_LARGEST_USUAL: Final = 1e16

_SURROGATES = re.compile("[\ud800-\udfff]")
_PLAIN_TEXT = (
    decimal.Decimal,
    uuid.UUID,
    os.PathLike,
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
)


class UnusualFloat(float):
    """A finite float whose JSON text is a matter of taste; the encoder writes all of them as Python does."""

    __slots__ = ()


def safe_str(value: object) -> str:
    """Return ``str(value)`` as valid Unicode text, or a note in angle brackets when that fails."""
    try:
        text = value if type(value) is str else str(value)
        if type(text) is not str:  # a subclass may override what JSON encoders call
            text = str.__str__(text)
    except Exception as error:  # anything may come out of a foreign __str__
        return f"<{type(value).__name__} whose text raised {type(error).__name__}>"
    return without_surrogates(text)


def without_surrogates(text: str) -> str:
    """Return ``text`` with lone surrogates replaced by U+FFFD: they have no UTF-8 form (RFC 8259, 8.2)."""
    return text if text.isascii() else _SURROGATES.sub("\ufffd", text)


def shortened(text: str, limit: int) -> str:
    """Return ``text`` in at most about ``limit`` bytes of UTF-8, with a mark that says how much was cut."""
    if len(text) <= limit // 4:
        return text
    raw = text.encode()
    if len(raw) <= limit:
        return text
    kept = raw[: max(0, limit - 48)].decode(errors="ignore")
    return f"{kept}...[{len(text) - len(kept)} characters cut]"


def safe_key(key: object) -> str:
    """Return a key that ``flattened`` accepts: text, without NUL, not empty, at most 256 bytes."""
    if isinstance(key, (bytes, bytearray)):
        key = bytes(key[: MAX_KEY_BYTES + 1]).decode("utf-8", "backslashreplace")
    text = key if type(key) is str else safe_str(key)
    text = without_surrogates(text).replace("\0", "")
    return shortened(text, MAX_KEY_BYTES) or "_"


def safe_int(value: int) -> int | str:
    """Return an integer that fits a signed 64-bit field as it is, a larger one as text."""
    plain = int(value)
    bits = plain.bit_length()
    if bits <= MAX_INTEGER_BITS:
        return plain
    # str() of a very large integer takes quadratic time and is refused by newer Pythons.
    return str(plain) if bits <= 4096 else f"<integer of {bits} bits>"  # noqa: PLR2004


def safe_float(value: float) -> float | str:
    """Return a finite float as it is, and ``NaN``, ``Infinity``, ``-Infinity`` as text (RFC 8259, 6)."""
    plain = float(value)
    if _SMALLEST_USUAL <= abs(plain) < _LARGEST_USUAL or plain == 0:
        return plain
    if math.isfinite(plain):
        return UnusualFloat(plain)
    return "NaN" if math.isnan(plain) else ("Infinity" if plain > 0 else "-Infinity")


def safe_value(value: Any, depth: int = 0, parents: tuple[int, ...] = ()) -> Any:
    """Return a copy of ``value`` made of dict, list, str, int, float (or :class:`UnusualFloat`), bool and None only.

    Args:
        value: anything.
        depth: how many containers are around it already.
        parents: identities of those containers, to stop at cycles.

    """
    kind = type(value)
    if kind is str:
        return shortened(without_surrogates(value), MAX_STRING_BYTES)
    if value is None or kind is bool:
        return value
    try:
        return _converted(value, depth, parents)
    except Exception as error:  # a foreign __iter__, __getitem__ or __float__ may raise anything
        return f"<{kind.__name__} that raised {type(error).__name__}>"


def _converted(value: Any, depth: int, parents: tuple[int, ...]) -> Any:  # noqa: PLR0911
    if isinstance(value, enum.Enum):
        return safe_value(value.value, depth, parents)
    if isinstance(value, int):
        return safe_int(value)
    if isinstance(value, float):
        return safe_float(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        # Cut before decoding: a buffer of gigabytes must not be copied whole.
        raw = bytes(value[: MAX_STRING_BYTES + 1])
        return shortened(raw.decode("utf-8", "backslashreplace"), MAX_STRING_BYTES)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return safe_str(value.isoformat())
    if isinstance(value, datetime.timedelta):
        return safe_float(value.total_seconds())
    if isinstance(value, _PLAIN_TEXT):
        return shortened(safe_str(value), MAX_STRING_BYTES)
    if isinstance(value, tuple) and hasattr(value, "_fields") and len(value) == len(value._fields):
        return _container(dict(zip(value._fields, value, strict=True)), depth, parents)  # a named tuple keeps its names
    if isinstance(value, (Mapping, Sequence, Set)) and not isinstance(value, str):
        return _container(value, depth, parents)
    facts = _request_facts(value)
    if facts is not None:
        return facts
    return shortened(safe_str(value), MAX_STRING_BYTES)


def _container(value: Any, depth: int, parents: tuple[int, ...]) -> Any:
    if id(value) in parents:
        return "<cycle>"
    if depth >= MAX_DEPTH:
        return f"<nested deeper than {MAX_DEPTH} levels>"
    inner = (*parents, id(value))
    if isinstance(value, Mapping):
        return safe_mapping(value, depth + 1, inner)
    items: list[Any] = []
    for item in value:
        if len(items) == MAX_ITEMS:
            items.append("<more items cut>")
            break
        items.append(safe_value(item, depth + 1, inner))
    return items


def safe_mapping(value: Mapping[Any, Any], depth: int = 0, parents: tuple[int, ...] = ()) -> dict[str, Any]:
    """Return a JSON-safe copy of a mapping; keys that become equal as text get an underscore each."""
    result: dict[str, Any] = {}
    for count, (key, item) in enumerate(value.items()):
        if count == MAX_ITEMS:
            result["_cut"] = "<more keys cut>"
            break
        name = safe_key(key)
        while name in result:
            name += "_"
        result[name] = safe_value(item, depth, parents)
    return result


def safe_attributes(attributes: dict[str, Any], names: list[str], *, usual: bool) -> dict[str, Any]:
    """Return what :func:`safe_mapping` returns of the named attributes, without those that are None.

    This is the short way for usual names and plain values; anything else takes the long one.

    Args:
        attributes: a record's.
        names: those of them to take.
        usual: what :func:`are_usual` says of them.

    """
    if not usual:
        return safe_mapping({name: attributes[name] for name in names if attributes.get(name) is not None})
    result: dict[str, Any] = {}
    most = MAX_PLAIN_TEXT
    for name in names:
        value: Any = attributes.get(name)
        kind = type(value)
        if kind is str:
            result[name] = value if value.isascii() and len(value) <= most else safe_value(value)
        elif kind is int:
            result[name] = value if SMALLEST <= value <= LARGEST else safe_value(value)
        elif value is not None:
            result[name] = value if kind is bool else safe_value(value)
    return result


def are_usual(names: list[str]) -> bool:
    """Say whether these can be the keys of one mapping as they are. Names that can are remembered."""
    if len(names) > MAX_ITEMS:
        return False
    if _usual_names.issuperset(names):
        return True
    if len(_usual_names) > _MAX_USUAL_NAMES:  # an application that makes names up cannot fill the memory
        _usual_names.clear()
    if all(type(name) is str and safe_key(name) == name for name in names):
        _usual_names.update(names)
        return True
    return False


def _request_facts(value: object) -> dict[str, str] | None:
    """Return method and path of an HTTP request object.

    Django puts the request itself into ``extra`` of ``django.request``; its text would carry the query string, where
    log-in data and tokens may be.
    """
    method, path = getattr(value, "method", None), getattr(value, "path", None)
    if isinstance(method, str) and isinstance(path, str) and hasattr(value, "META"):
        return {"method": shortened(safe_str(method), 64), "path": shortened(safe_str(path), 2048)}
    return None
