"""Whether an event is about a person, and the event without the person."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, NoReturn

from logbastion.encoding import encode_event
from logbastion.erasure.rules import standard_table
from logbastion.erasure.subject import Subject, SubjectError
from logbastion.erasure.texts import MARK, SHORT_MARK, TextPatterns

_NOT_NAME: Final = re.compile(r"[^a-z0-9]+")
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_MAX_KNOWN: Final = 4096
_PREFIX: Final = r"""\s*(?:[<\[("']*[A-Za-z][A-Za-z_. ]*?[\s:#/=(-]{1,4})?[\["'(]{0,3}"""
_SUFFIX: Final = r"""[)\]>"']{0,4}\s*"""

_ID: Final = "id"
"""A field that holds a user's id, a list of such ids, or an object with a user's fields."""
_LIST: Final = "list"
"""The same, but a number alone is how many there are."""
_INNER: Final = "inner"
"""A field that holds the id of the object that it is in."""


class _Marks(NamedTuple):
    text: str
    number: int | None


_USUAL: Final = _Marks(MARK, None)
_SHORT: Final = _Marks(SHORT_MARK, 0)


class Matcher:
    """Finds one person in events and lines, and takes the person out of them.

    A user id counts in the fields of the table ``rules.json`` at any depth, and in texts behind a word for user; a UUID
    and an id of eight characters or more with a letter count anywhere. Addresses, identifiers and pseudonyms count in
    every text and name of a field, whatever their case, but not within a longer word or number.

    Args:
        subject: the person.
        id_fields: further names of fields that hold the user's id, such as ``student_id``.

    Raises:
        SubjectError: a name of a field is none.

    """

    def __init__(self, subject: Subject, *, id_fields: Iterable[str] = ()) -> None:
        table = standard_table()["user_id_fields"]
        fields = list(id_fields)
        if not all(map(_FIELD.fullmatch, fields)):
            raise SubjectError("a name of a field has letters, digits, underscores, dots and hyphens")
        self.subject = subject
        self.id_fields = tuple(fields)
        self._names = {*table["names"], *map(_name_of, fields)}
        self._endings = tuple(table["endings"])
        self._lists = {*table["lists"], *(f"{_name_of(name)}s" for name in fields)}
        self._list_endings = tuple(f"{ending}s" for ending in table["endings"])
        self._inner = frozenset(table["inner"])
        nouns = [re.sub(r"[_.-]?(?:id|pk|uuid)$", "", name, flags=re.IGNORECASE) for name in fields]
        self._texts = TextPatterns(subject, [noun for noun in nouns if noun])
        own = subject.user_id
        self._number = int(own) if own.isascii() and own.isdecimal() and own == str(int(own)) else None
        self._value = re.compile(f"{_PREFIX}{re.escape(own)}{_SUFFIX}")
        self._raw_id = _raw_id(own)
        self._kinds: dict[str, str] = {}

    def in_event(self, event: Mapping[str, Any]) -> bool:
        """Return whether an event is about the person."""
        waiting: list[tuple[Any, str]] = [(event, "")]
        while waiting:
            value, kind = waiting.pop()
            if isinstance(value, Mapping):
                for name, inner in value.items():
                    if self._is_in_name(name, kind):
                        return True
                    waiting.append((inner, self._kind_of(name, kind)))
            elif isinstance(value, (list, tuple)):
                waiting += [(one, _ID if kind else "") for one in value]
            elif self._is_in_scalar(value, kind):
                return True
        return False

    def in_bytes(self, line: bytes) -> bool:
        """Return whether a line is about the person, be it an event or no JSON at all.

        Args:
            line: of a file; its line break may be there.

        """
        return self._may_be_in(line) and self._is_in(line, parsed(line))

    def anonymised(self, event: Mapping[str, Any], *, short: bool = False) -> dict[str, Any]:
        """Return the event with :data:`~.texts.MARK` for each text that names the person, and null for the number.

        Null, because the mapping has numbers there; no account has it. Everything else is left as it is.

        Args:
            event: is left as it is.
            short: :data:`~.texts.SHORT_MARK` and 0 instead, so that the event does not become longer.

        """
        if short:
            return self._cleaned_object(event, "", _SHORT if self._number != 0 else _Marks(SHORT_MARK, None))
        return self._cleaned_object(event, "", _USUAL)

    def anonymised_bytes(self, line: bytes) -> bytes:
        """Return the line without the person. One without the person is returned as it is, byte for byte.

        Args:
            line: of a file; a line break at its end stays.

        """
        if not self.in_bytes(line):
            return line
        event = parsed(line)
        if event is not None:
            made = b""
            # What our writer would not write, or a field that stands there twice, is cleaned as text.
            with contextlib.suppress(TypeError, ValueError, RecursionError):
                made = encode_event(self.anonymised(event))
            if made and not self._is_in(made, parsed(made)):
                return made + b"\n" if line.endswith(b"\n") else made
        return self.cleaned_text(line)

    def cleaned_text(self, line: bytes, *, short: bool = False) -> bytes:
        """Return a line, taken as text and not as an event, without what names the person in a text.

        Args:
            line: any bytes.
            short: see :meth:`anonymised`.

        """
        text = line.decode("utf-8", "surrogateescape")
        return self._texts.cleaned(text, SHORT_MARK if short else MARK).encode("utf-8", "surrogateescape")

    def _may_be_in(self, line: bytes) -> bool:
        """Return False for most lines of others, quickly."""
        if b"\\u" in line or b"\\/" in line or not line.isascii():
            return True
        return self._raw_id.search(line) is not None or self._texts.may_be_in(line.lower())

    def _is_in(self, line: bytes, event: dict[str, Any] | None) -> bool:
        text = line.decode("utf-8", "surrogateescape")
        if event is None:
            return self._texts.found_in(text)
        # The line as text, too: of a field that stands there twice, the parser gives one.
        return self.in_event(event) or self._texts.names_in(text)

    def _kind_of(self, name: object, parent: str) -> str:
        """Return what a field of this name may hold of the user's id: ``_ID``, ``_LIST`` or nothing."""
        if type(name) is not str:
            return ""
        known = self._kinds.get(name)
        if known is None:
            short = _name_of(name)
            known = _LIST if short in self._lists or short.endswith(self._list_endings) else ""
            known = _ID if short in self._names or short.endswith(self._endings) else known
            known = known or (_INNER if short in self._inner else "")
            if len(self._kinds) >= _MAX_KNOWN:  # an application that makes names up cannot fill the memory
                self._kinds.clear()
            self._kinds[name] = known
        if known == _INNER:
            return _ID if parent else ""
        return known

    def _is_in_name(self, name: object, kind: str) -> bool:
        return isinstance(name, str) and (self._texts.names_in(name) or (bool(kind) and name == self.subject.user_id))

    def _is_in_scalar(self, value: object, kind: str) -> bool:
        if isinstance(value, str):
            if self._texts.found_in(value) or (bool(kind) and bool(self._value.fullmatch(value))):
                return True
            inner = _event_in(value)
            return inner is not None and self.in_event(inner)
        return kind == _ID and self._is_number(value)

    def _is_number(self, value: object) -> bool:
        return (
            self._number is not None
            and isinstance(value, (int, float))
            and not isinstance(value, bool)
            and value == self._number
        )

    def _cleaned_object(self, event: Mapping[str, Any], kind: str, marks: _Marks) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, value in event.items():
            written = name
            if self._is_in_name(name, kind):
                is_id = name == self.subject.user_id
                written = base = marks.text if is_id else self._texts.cleaned(name, marks.text)
                number = 1
                while written in made or written in event:
                    number += 1
                    written = f"{base} {number}"
            made[written] = self._cleaned_value(value, self._kind_of(name, kind), marks)
        return made

    def _cleaned_value(self, value: Any, kind: str, marks: _Marks) -> Any:
        if isinstance(value, Mapping):
            return self._cleaned_object(value, kind, marks)
        if isinstance(value, (list, tuple)):
            return [self._cleaned_value(one, _ID if kind else "", marks) for one in value]
        if not self._is_in_scalar(value, kind):
            return value
        if not isinstance(value, str):
            return marks.number
        if kind and self._value.fullmatch(value):
            return marks.text
        inner = _event_in(value)
        if inner is not None:
            value = json.dumps(self._cleaned_object(inner, "", marks), ensure_ascii=False, separators=(",", ":"))
        return self._texts.cleaned(value, marks.text)


def _raw_id(user_id: str) -> re.Pattern[bytes]:
    """Return a pattern that is in each line that has the id, as far as that can be said of bytes."""
    if not re.fullmatch(r"[\w.@:-]+", user_id, re.ASCII):
        return re.compile(b"")  # others may be written with escapes
    text = re.escape(user_id).encode()
    # Behind an escape of a URL (%2F12) or of JSON (\n12) it stands after what looks like a word. The id comes first in
    # the pattern: for a fixed beginning a text is searched ten times as fast.
    alone = rb"(?<!\w%b)(?<!\d[:.-]%b)" % (text, text)
    escaped = rb"(?<=%%[0-9A-Fa-f]{2}%b)|(?<=\\[nrtbf]%b)" % (text, text)
    return re.compile(rb"%b(?!\w)(?!\.0*[1-9])(?:%b|%b)" % (text, alone, escaped), re.ASCII)


def parsed(line: bytes) -> dict[str, Any] | None:
    """Return the event of a line, None when it is no JSON object."""
    try:
        event = json.loads(line, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _event_in(text: str) -> dict[str, Any] | None:
    """Return the event that a text holds as a whole, as dead letters do; None when it is none."""
    if not text.startswith("{") or not text.rstrip().endswith("}"):
        return None
    return parsed(text.encode("utf-8", "surrogatepass"))


def _refused(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are no JSON (RFC 8259, 6); such a line is searched as text


def _name_of(name: str) -> str:
    return _NOT_NAME.sub("", name.lower())
