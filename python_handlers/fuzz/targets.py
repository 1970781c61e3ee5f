r"""What is fuzzed. A target takes bytes and returns nothing, or raises.

The first two bytes choose the secret and the signs around it (:mod:`fuzz.planted`), or no secret when both are zero.
The rest is UTF-8 with NUL between its parts; bytes that are no UTF-8 become lone surrogates.
"""

from __future__ import annotations

import copy
import html
import json
import logging
import zlib
from collections.abc import Callable
from typing import Any, Final

from fuzz.planted import Secret, planted
from fuzz.properties import Timed, is_kept_secret, is_one_line, texts_of
from logbastion import EventFormatter
from logbastion.redaction import RedactionFilter, Redactor
from logbastion.sanitize import MAX_LENGTH, sanitize_log_input, without_controls
from logbastion.shipping.spool.frames import frame, parse

_HEAD: Final = 2
_LONG: Final = 16 * 1024
_STREAMS: Final = ("application", "security", "performance")
_ATTRIBUTES: Final = (
    *("name", "levelname", "levelno", "msg", "args", "created", "process", "exc_info", "exc_text", "stack_info"),
    *("correlation_id", "event_type", "user_id", "school_id", "client_ip", "duration_ms", "taskName"),
)
_redactor = Redactor()
_formatter = EventFormatter(gate=_redactor, host_name="h")
_filter = RedactionFilter(_redactor)


def _number(data: bytes) -> int:
    return int.from_bytes(data[:_HEAD], "big")


def _parts(data: bytes) -> list[str]:
    return data[_HEAD:].decode("utf-8", "surrogateescape").split("\0")


def _with_secret(number: int, before: str, after: str) -> tuple[str, Secret | None]:
    return (number and planted(number, before, after)) or (before + after, None)


def text(data: bytes) -> None:
    """Redact a text: nothing leaks, once is enough, and the time is bounded also when the text is repeated."""
    before, *rest = _parts(data)
    number = _number(data)
    given, secret = _with_secret(number, before, "".join(rest))
    stream = _STREAMS[number % len(_STREAMS)]
    with Timed(len(given)):
        once = _redactor.redact_text(given, stream)
    is_kept_secret(secret, once)
    twice = _redactor.redact_text(once, stream)
    assert twice == once, f"{given!r} became {once!r} and then {twice!r}"
    if given and zlib.crc32(data) % 64 == 0:
        long = given * (_LONG // len(given))
        with Timed(len(long)):
            Redactor(_redactor.classification).redact_text(long)


class _Hostile:
    def __init__(self, said: str) -> None:
        self._said = said

    def __repr__(self) -> str:
        if len(self._said) % 2:
            raise RuntimeError(self._said)
        return self._said


def _leaf(what: str, said: str) -> Any:
    number = zlib.crc32(said.encode("utf-8", "surrogateescape"))
    choices: dict[str, Any] = {
        "b": said.encode("utf-8", "surrogateescape"),
        "i": number * number,
        "f": (number - 2**31) / 997,
        "n": float("nan"),
        "o": _Hostile(said),
        "t": (said, {said: said}),
        "-": None,
    }
    return choices.get(what, said)


def _tree(parts: list[str], secret_text: str) -> dict[str, Any]:
    r"""Return nested fields that the parts describe.

    A part begins with a sign and goes on with a key or ``key \x1f value``. ``{`` and ``[`` open a container, ``}``
    closes it, ``c`` makes a cycle, ``@`` is the text with the secret; the others are in :func:`_leaf`.
    """
    fields: dict[str, Any] = {}
    stack: list[Any] = [fields]
    for count, part in enumerate(parts):
        what, said = part[:1], part[1:]
        key, _, value = said.partition("\x1f")
        new: Any = {"{": {}, "[": []}.get(what)
        if what == "}":
            if len(stack) > 1:
                stack.pop()
            continue
        if new is None:
            new = stack[0] if what == "c" else secret_text if what == "@" else _leaf(what, value or said)
        if isinstance(stack[-1], dict):
            stack[-1][f"{key}{count}" if len(stack) == 1 else key] = new
        else:
            stack[-1].append(new)
        if what in ("{", "["):
            stack.append(new)
    return fields


def event(data: bytes) -> None:
    """Log a call with arguments, fields to any depth and an exception, through gate and formatter."""
    message, *rest = _parts(data)
    number = _number(data)
    said, secret = _with_secret(number, message, rest[0] if rest else "")
    if secret is not None and any(secret.piece in part for part in rest[1:]):
        secret = (
            None  # the fuzzer wrote the piece itself, where it may be no secret: digits within a word are no number
        )
    record = logging.LogRecord("school.views", 10 * (number % 6), "f", 1, "step %s: %r", (said, 3), None)
    record.__dict__.update({f"x_{key}": value for key, value in _tree(rest, said).items()})
    if number % 5 == 0:
        record.msg, record.args = said, ()
    if number % 3 == 0:
        try:
            raise ValueError(said) from KeyError(*rest[:2])
        except ValueError as error:
            record.exc_info = (ValueError, error, error.__traceback__)
    raw = _formatter.event(copy.copy(record))
    with Timed(len(data) * 8):
        written = is_one_line(_formatter.format_bytes(record))
    assert "withheld" not in written["message"], written
    is_kept_secret(secret, texts_of(written))
    once = _redactor(raw)
    again = _redactor(copy.deepcopy(once))
    assert again == once, f"{once!r} became {again!r}"
    by_hand = copy.copy(record)
    passed = _filter.filter(by_hand)
    by_hand = passed if isinstance(passed, logging.LogRecord) else by_hand
    assert not (set(by_hand.getMessage()) & {"\n", "\r", "\x1b"})
    fields = {key: value for key, value in by_hand.__dict__.items() if key.startswith("x_")}
    is_kept_secret(secret, texts_of([by_hand.getMessage(), by_hand.exc_text or "", json.loads(json.dumps(fields))]))


def sanitize(data: bytes) -> None:
    """Sanitize user input: one short line without anything that steers a terminal or a page."""
    given = "".join(_parts(data)) * (1 + data[0] if data else 1)
    found = sanitize_log_input(given)
    assert len(found) <= MAX_LENGTH
    assert not set(found) & set("<>\"'\n\r\x1b\x00\u2028\u202e")
    assert without_controls(found) == found
    assert html.escape(html.unescape(found)) == found
    found.encode()


def formatter(data: bytes) -> None:
    """Format a record whose own attributes are of the wrong kind: always one line of JSON, never an exception."""
    parts = _parts(data) + [""] * 8
    record = logging.LogRecord("a", 20, "f", 1, "m", (), None)
    for place, part in enumerate(parts):
        name = _ATTRIBUTES[(_number(data) + place * 7) % len(_ATTRIBUTES)]
        record.__dict__[name] = _leaf(part[:1], part[1:])
    written = is_one_line(_formatter.format_bytes(record))
    assert {"@timestamp", "level", "logger", "message", "event"} <= set(written)


def frames(data: bytes) -> None:
    """Read a segment of the spool: what is returned was written, and a whole line between line breaks is returned."""
    before, _, after = data[_HEAD:].partition(b"\0")
    payload = b'{"n":"%d"}' % _number(data)
    block = before + b"\n" + frame(payload) + after
    if data[:1] > b"\xf0":  # a whole record inside a damaged line
        block = before + frame(b'{"m":1}')[:-1] + b" " + frame(payload) + after
    found = parse(block, 10**6, final=bool(data[:1] > b"\x80"))
    assert data[:1] > b"\xf0" or payload in found.events
    assert 0 <= found.end <= len(block)
    assert all(frame(event)[:-1] in block for event in found.events)
    assert found.ends is None or (len(found.ends) == len(found.events) and found.ends == sorted(found.ends))
    # Of a damaged line all events are returned at once, so one that is wanted may come with others.
    first = parse(block, 1, final=True)
    assert found.events[:1] == first.events[:1] or data[:1] <= b"\x80", (found, first)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "text": text,
    "event": event,
    "sanitize": sanitize,
    "formatter": formatter,
    "frames": frames,
}
