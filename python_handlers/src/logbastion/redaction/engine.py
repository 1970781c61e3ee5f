"""The gate that redacts: takes a finished event and returns what of it may be written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import is_
from typing import Any, Final

from logbastion.jsonsafe import safe_str
from logbastion.pseudonyms import pseudonym_of
from logbastion.redaction.addresses import HIDDEN, is_personal, truncated
from logbastion.redaction.classification import Classification, Kind
from logbastion.redaction.markers import MARK, MARKER, marker
from logbastion.redaction.numbers import find_numbers
from logbastion.redaction.text import Pseudonym, TextRedactor
from logbastion.redaction_counts import counts
from logbastion.streams import APPLICATION, STREAMS

_DATASET: Final = "django."
_STREAMS: Final[dict[object, str]] = {f"{_DATASET}{stream}": stream for stream in STREAMS}
# Made by the formatter from what is no input: identifiers, times, names of the configuration.
_OWN: Final = frozenset({"@timestamp", "timestamp", "level", "event", "service", "host", "process", "ecs"})
_IDENTIFIERS: Final = frozenset(
    {
        "id",
        "ids",
        "pk",
        "count",
        "total",
        "bytes",
        "size",
        "ms",
        "ns",
        "us",
        "timestamp",
        "time",
        "epoch",
        "port",
        "line",
        "lineno",
    }
)
# Names that may mean anything, so that what they hold has to look like a key.
_MAYBE: Final = frozenset(
    {"key", "chave", "hash", "ticket", "nonce", "session", "sessao", "sess\u00e3o", "sess", "auth"}
)
_OPAQUE: Final = re.compile(r"(?=[A-Za-z_\-+/=]{0,80}[0-9])(?=[0-9_\-+/=]{0,80}[A-Za-z])[A-Za-z0-9_\-+/=]{24,512}")
_LEAST_DIGITS: Final = 9
_SHORT_NUMBERS: Final = range(1 - 10 ** (_LEAST_DIGITS - 2), 10 ** (_LEAST_DIGITS - 2))
"""Those that have fewer characters, with their sign."""
_VALUE: Final = "value"
"""The field that another one may name; see :meth:`Redactor._named_value`."""
_MAX_PLAIN_NAMES: Final = 4096
_MAX_IDENTIFIERS: Final = 1024
_CORRELATION_ID: Final = "correlation_id"
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Redactor:
    """A :data:`logbastion.gate.Gate` over all of an event: message, exception, traceback, ``extra`` to any depth.

    Fields whose name is classified are treated as the table says, whatever their value. All other texts, and the names
    of fields themselves, are searched for what looks like a secret. It is idempotent: what it returns passes
    unchanged.

    Args:
        classification: the table; by default the package's own.
        pseudonym: given the kind and the value, returns a keyed pseudonym; without it such values are masked.
        more: entries of a project's own for the standard table; see :meth:`Classification.standard`.
        harmless: names of fields that no kind applies to.

    Raises:
        ClassificationError: an entry cannot work.

    """

    def __init__(
        self,
        classification: Classification | None = None,
        *,
        pseudonym: Pseudonym | None = None,
        more: Iterable[Mapping[str, Any]] = (),
        harmless: Iterable[str] = (),
    ) -> None:
        self.classification = classification or Classification.standard(more, harmless)
        self._texts = TextRedactor(self.classification, pseudonym)
        self._pieces: dict[str, _PieceJudge] = {}

    def __call__(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the event as it may be written. The event that is given may be changed.

        Raises:
            Exception: something unforeseen; the formatter then writes a notice instead of the event.

        """
        try:
            stream = _STREAMS[event["event"]["dataset"]]
        except (KeyError, TypeError):
            stream = _stream_of(event)
        event.update(self.judge({name: event[name] for name in event if name not in _OWN}, stream))
        return event

    def judge(self, content: dict[str, Any], stream: str) -> dict[str, Any]:
        """Return the content of an event as it may be written; see :data:`logbastion.gate.Judge`."""
        pieces = self.judge_pieces(stream)
        changed = False
        for name, value in content.items():
            kind = type(value)
            if kind is str:
                if value in pieces.texts:
                    continue
                written: Any = pieces.keyword(value, name)
            elif kind is int:
                continue
            elif name == "extra":
                written = self._mapping(value, stream)
            elif name == "error":
                written = {key: self._texts.redact(text, stream) for key, text in value.items()}
            elif name == "security":
                written = self._security(value, stream)
            elif isinstance(value, (dict, list)):
                written = self._value(value, name, stream)
            else:
                continue
            if written is not value and written != value:
                content[name] = written  # of a name that is there, so that the loop can go on
                changed = True
        if changed:
            counts.redacted += 1
            counts.pending = True
        return content

    def judge_pieces(self, stream: str) -> _PieceJudge:
        """Return what judges single pieces; see :class:`logbastion.gate.PieceJudge`."""
        return self._pieces.get(stream) or self._pieces.setdefault(
            stream, _PieceJudge(self._texts, self._value, stream)
        )

    def redact_text(self, text: str, stream: str = APPLICATION) -> str:
        """Return a text as it may be written."""
        return self._texts.redact(text, stream)

    def redact_fields(self, fields: Mapping[str, Any], stream: str = APPLICATION) -> dict[str, Any]:
        """Return fields as they may be written; those to be dropped are missing.

        Args:
            fields: their values are made of dict with text keys, list, str, int, float, bool and None.
            stream: where they go.

        """
        return dict(self._mapping(fields, stream))

    def arguments(self, named: Mapping[str, Any], stream: str = APPLICATION) -> Mapping[str, Any]:
        """Return the arguments of ``"%(password)s"`` with a marker for what their names say is sensitive.

        Once they are in the message, nothing tells any more which name a value had.

        Args:
            named: as the logging call was given them; it is not changed.
            stream: where the message goes.

        """
        shown: dict[str, Any] = {}
        for name, value in named.items():
            kind = self.classification.kind_of(name) if type(name) is str else None
            if kind is None or not kind.in_text or kind.treatment == "keep" or stream in kind.kept_in:
                continue
            if value is not None and not isinstance(value, bool) and value != "":
                shown[name] = self._texts.shown(kind.kind, safe_str(value))
        return {**named, **shown} if shown else named

    def _security(self, fields: dict[str, Any], stream: str) -> dict[str, Any]:
        """Keep ``source_ip`` an address, because it is mapped as one."""
        result = {key: self._value(value, key, stream) for key, value in fields.items() if key != "source_ip"}
        kind = self.classification.kinds.get("ip")
        if "source_ip" in fields:
            address = fields["source_ip"]
            kept = kind is None or kind.treatment == "keep" or stream in kind.kept_in or not is_personal(address)
            result["source_ip"] = address if kept else truncated(address)
        return result

    def _mapping(self, fields: Mapping[str, Any], stream: str) -> Mapping[str, Any]:
        """Return the fields as they may be written, the very same mapping when that is how they are."""
        pieces = self.judge_pieces(stream)
        plain, clean = pieces.names, pieces.texts
        if _VALUE in fields:
            fields = self._named_value(fields)
        for key, value in fields.items():
            if key not in plain:
                return self._changed_mapping(fields, {}, stream)
            kind = type(value)
            if kind is str:
                if value in clean:
                    continue
                written: Any = pieces.text(value)
            elif value is None or (kind is int and value in _SHORT_NUMBERS):
                continue
            else:
                written = self._value(value, key, stream)
            if written is not value:
                return self._changed_mapping(fields, {key: written}, stream)
        return fields

    def _changed_mapping(self, fields: Mapping[str, Any], known: Mapping[str, Any], stream: str) -> dict[str, Any]:
        """Return new fields, of which some values are known by now: asked again, they would take twice the time.

        And again twice at the next level, and so on: a secret ten levels down would be looked for a thousand times.
        """
        result: dict[str, Any] = {}
        plain = self.judge_pieces(stream).names
        for key, value in fields.items():
            if key in plain and key not in result:
                result[key] = known[key] if key in known else self._value(value, key, stream)
            else:
                self._put_field(result, key, value, stream)
        return result

    def _named_value(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return ``{"name": "password", "value": ...}`` with the value under the name that it belongs to."""
        for key in ("name", "key", "field"):
            name = fields.get(key)
            if type(name) is str and self.classification.kind_of(name) is not None and name not in fields:
                return {**{known: value for known, value in fields.items() if known != _VALUE}, name: fields[_VALUE]}
        return fields

    def _pairs(self, items: list[Any], stream: str) -> list[Any]:
        """Return a list of ``[name, value]``, such as headers, with each value treated by its name."""
        result = []
        for name, value in items:
            kind = self.classification.kind_of(name)
            if kind is None or kind.treatment == "keep" or stream in kind.kept_in:
                result.append([self._texts.redact(name, stream), self._value(value, name, stream)])
            elif kind.treatment == "drop":
                result.append([self._texts.redact(name, stream), marker(kind.kind)])
            else:
                result.append([self._texts.redact(name, stream), self._treated(value, kind, stream)])
        return result

    def _put_field(self, result: dict[str, Any], key: str, value: Any, stream: str) -> None:
        name = self._texts.redact(key, stream)
        unmarked = name is key and MARK not in key
        kind = self.classification.kind_of(key) if unmarked else self._kind_of_marked(key, name)
        if kind is not None:
            if kind.treatment == "drop":
                return
            if kind.treatment == "keep" or stream in kind.kept_in:
                kind = None
        if kind is None and key.lower() in _MAYBE:
            kind = self._kind_of_opaque(value)
        elif kind is None and unmarked and key != _VALUE:
            plain = self.judge_pieces(stream).names
            if len(plain) >= _MAX_PLAIN_NAMES:  # names that somebody makes up cannot fill the memory
                plain.clear()
            plain.add(key)
        while name in result:
            name += "_"
        result[name] = self._value(value, key, stream) if kind is None else self._treated(value, kind, stream)

    def _kind_of_opaque(self, value: Any) -> Kind | None:
        """Return the kind of a key or the like under a name that may mean anything."""
        if type(value) is str and _OPAQUE.fullmatch(value):
            return self.classification.kinds.get("token")
        return None

    def _kind_of_marked(self, key: str, name: str) -> Kind | None:
        """Return the kind of a field whose name has markers: before they came, or of what is left beside them.

        A second pass sees only what is left, so what that would drop is dropped at once.
        """
        found = self.classification.kind_of(MARKER.sub("", key))
        left = self.classification.kind_of(MARKER.sub("", name))
        return left if found is None or (left is not None and left.treatment == "drop") else found

    def _treated(self, value: Any, kind: Kind, stream: str) -> Any:
        if value is None or isinstance(value, bool) or value == "":
            return value
        if isinstance(value, dict):
            return {self._texts.redact(key, stream): self._treated(item, kind, stream) for key, item in value.items()}
        if isinstance(value, list):
            return [self._treated(item, kind, stream) for item in value]
        text = value if isinstance(value, str) else str(value)
        if MARKER.fullmatch(text) or (kind.kind == "email" and _is_masked(text)):
            return text
        return self._texts.shown(kind.kind, text)

    def _value(self, value: Any, key: str, stream: str) -> Any:
        if type(value) is str:
            return self._texts.redact(value, stream)
        if isinstance(value, dict):
            return self._mapping(value, stream)
        if isinstance(value, list):
            if value and all(type(item) is list and len(item) == 2 and type(item[0]) is str for item in value):  # noqa: PLR2004
                return self._pairs(value, stream)
            written = [self._value(item, key, stream) for item in value]
            return value if all(map(is_, written, value)) else written
        if isinstance(value, int) and not isinstance(value, bool):
            return self._number(value, key)
        return value

    def _number(self, value: int, key: str) -> Any:
        """Treat the number of a card, of a taxpayer or of a telephone; an ``..._id`` is none of the last two."""
        text = str(value)
        if len(text) < _LEAST_DIGITS:
            return value
        for finding in find_numbers(text):
            if finding.kind == "card" or _last_word(key) not in _IDENTIFIERS:
                return self._texts.shown(finding.kind, text)
        return value


class _PieceJudge:
    """Judges pieces of one stream's events; see :class:`logbastion.gate.PieceJudge`."""

    __slots__ = ("_redact_new", "_stream", "_value_of", "identifiers", "names", "numbers", "texts")

    def __init__(self, texts: TextRedactor, value_of: Callable[[Any, str, str], Any], stream: str) -> None:
        self.names: set[str] = set()
        self.texts = texts.clean_in(stream)
        self.identifiers: set[str] = set()
        self.numbers = _SHORT_NUMBERS
        self._redact_new = texts.redact_new
        self._value_of = value_of
        self._stream = stream

    def text(self, text: str) -> str:
        return self._redact_new(text, self._stream, self.texts)

    def keyword(self, text: str, name: str) -> str:
        """Do what :meth:`text` does with the value of a field beside ``extra``; a UUID is a ``correlation_id``."""
        if name != _CORRELATION_ID:
            return self.text(text)
        if text in self.identifiers:
            return text
        if _UUID.fullmatch(text) is None:
            written = self.text(text)
            if text not in self.texts:
                return written
        if len(self.identifiers) >= _MAX_IDENTIFIERS:
            self.identifiers.clear()
        self.identifiers.add(text)
        return text

    def value(self, value: Any, name: str) -> Any:
        return self._value_of(value, name, self._stream)


@lru_cache(maxsize=1)
def standard_redactor() -> Redactor:
    """Return the redactor with the standard table and the configured pseudonyms, the same at each call."""
    return Redactor(pseudonym=pseudonym_of)


def _is_masked(address: str) -> bool:
    """Say whether somebody has hidden an address before, as :func:`logbastion.events.masked_email` does."""
    local, _, domain = address.rpartition("@")
    return address == HIDDEN or (len(local) <= 1 + len(HIDDEN) and local.endswith(HIDDEN) and "@" not in domain)


def _last_word(key: str) -> str:
    return key.rpartition("_")[2].lower()


def _stream_of(event: Mapping[str, Any]) -> str:
    facts = event.get("event")
    dataset = facts.get("dataset") if isinstance(facts, dict) else None
    if isinstance(dataset, str) and dataset.startswith(_DATASET):
        return dataset[len(_DATASET) :]
    return APPLICATION
