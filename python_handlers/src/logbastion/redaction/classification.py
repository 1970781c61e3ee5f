"""What is sensitive, what is done with it, and why: the table ``classification.json`` and what projects add to it.

The table is data. Each entry is a *kind* with a category of the guide ("Sensitive Data Categories"), a treatment, a
reason that an auditor can follow, and the names of fields that hold it.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

CATEGORIES: Final = ("pii", "financial", "authentication", "educational")
"""The guide's four: personally identifiable information, financial information, authentication data, educational
records."""
TREATMENTS: Final = ("drop", "mask", "last_four", "pseudonymise", "truncate", "keep")
"""``drop``: a field goes away with its name; inside a text a marker stands for the value.
``mask``: a marker stands for the value.
``last_four``: a marker with the last four digits (PCI DSS v4.0.1, 3.4.1).
``pseudonymise``: a marker with a keyed hash, so that events of one person can be joined (GDPR Art. 4(5)); ``mask``
where there is no key.
``truncate``: for addresses of the network, the host's part becomes zero.
``keep``: nothing is done, and the table says why.
"""
VALUES: Final = ("token", "phrase", "line", "digits", "email")
"""How far a value reaches behind ``name=`` in a text: to the next space, to the next separator, to the end of the line,
as far as digits go, or one address."""

_FIELDS: Final = frozenset(
    {"kind", "category", "treatment", "reason", "contains", "endings", "words", "value", "in_text", "kept_in"}
)
_NAME: Final = re.compile(r"[a-z][a-z_]{0,19}")
_NOT_WORD: Final = re.compile(r"[^0-9a-z]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
# A name that ends like this tells something about log-in data and is none: PASSWORD_HASHERS, CSRF_COOKIE_AGE.
_ABOUT: Final = frozenset(
    {
        *(
            "age",
            "samesite",
            "httponly",
            "domain",
            "validators",
            "hashers",
            "hasher",
            "length",
            "ttl",
            "lifetime",
            "expires",
        ),
        *("expiry", "expired", "timeout", "count", "policy", "enabled", "required", "strength", "attempts", "tries"),
        *("changed", "updated", "backend", "algorithm"),
    }
)
_MAX_KEY: Final = 256
_MAX_KNOWN: Final = 4096


class ClassificationError(ValueError):
    """An entry of the table cannot work. The text says which and why."""


@dataclass(frozen=True)
class Kind:
    """One kind of sensitive data.

    Args:
        kind: its name, as it stands in markers.
        category: one of :data:`CATEGORIES`.
        treatment: one of :data:`TREATMENTS`.
        reason: the rule that demands it.
        contains: pieces of field names, small letters and digits only, that say that a field holds it.
        endings: the same, at the end of the name only.
        words: whole words of field names, however they are joined (``api_pin``, ``apiPin``).
        value: one of :data:`VALUES`.
        in_text: whether ``name=value`` inside a text counts, too.
        kept_in: streams in which it is kept as it is.

    """

    kind: str
    category: str
    treatment: str
    reason: str
    contains: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()
    value: str = "token"
    in_text: bool = True
    kept_in: frozenset[str] = frozenset()


def folded(text: str) -> str:
    """Return text in small letters without accents: ``Código`` is ``codigo``."""
    if text.isascii():
        return text.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).lower()


def words_of(key: str) -> list[str]:
    """Return the words of a field's name: ``Card-Number``, ``cardNumber`` and ``card_number`` are the same two."""
    return [word for word in _NOT_WORD.split(folded(_CAMEL.sub("_", key[:_MAX_KEY]))) if word]


class Classification:
    """The table, and the question which kind a field's name belongs to.

    Args:
        kinds: in the order in which they are asked; the first that fits counts.
        harmless: names of fields that no kind applies to, although a part of them looks so.

    Raises:
        ClassificationError: two kinds have the same name.

    """

    def __init__(self, kinds: Iterable[Kind], harmless: Iterable[str] = ()) -> None:
        self.kinds: dict[str, Kind] = {}
        for kind in kinds:
            if kind.kind in self.kinds:
                raise ClassificationError(f"The kind {kind.kind!r} is in the classification twice.")
            self.kinds[kind.kind] = kind
        self.harmless = frozenset("".join(words_of(name)) for name in harmless)
        self._known: dict[str, Kind | None] = {}
        self._phrases = tuple(piece for kind in self.kinds.values() if kind.in_text for piece in kind.contains)

    @classmethod
    def standard(cls, more: Iterable[Mapping[str, Any]] = (), harmless: Iterable[str] = ()) -> Classification:
        """Return the package's table with a project's own entries before it.

        Args:
            more: entries like those of ``classification.json``. One with the name of a standard kind replaces it, its
                fields are added to the standard ones.
            harmless: further names of fields that nothing applies to.

        Raises:
            ClassificationError: an entry cannot work.

        """
        table = _standard_table()
        standard = {entry["kind"]: entry for entry in table["kinds"]}
        own: dict[str, dict[str, Any]] = {}
        for number, entry in enumerate(more):
            if not isinstance(entry, Mapping):
                raise ClassificationError(f"Entry {number} of the classification is no mapping but {entry!r:.80}.")
            name = str(entry.get("kind"))
            base = standard.pop(name, None)
            own[name] = _joined(base, entry) if base else dict(entry)
        kinds = [_kind(entry) for entry in (*own.values(), *standard.values())]
        return cls(kinds, [*table["harmless"], *harmless])

    def kind_of(self, key: str) -> Kind | None:
        """Return the kind that a field of this name holds, or None."""
        try:
            return self._known[key]
        except KeyError:
            pass
        found = self._classify(words_of(key))
        if len(self._known) >= _MAX_KNOWN:  # names that somebody makes up cannot fill the memory
            self._known.clear()
        self._known[key] = found
        return found

    def kind_of_phrase(self, words: list[str]) -> Kind | None:
        """Return the kind that several words of a text name together, such as ``card number``, or None."""
        joined = folded("".join(words))
        if not joined.endswith(self._phrases):  # most are done with this question
            return None
        for kind in self.kinds.values():
            if kind.in_text and joined.endswith(kind.contains):
                return kind
        return None

    def _classify(self, words: list[str]) -> Kind | None:
        joined = "".join(words)
        if not joined or joined in self.harmless:
            return None
        bare = joined.rstrip("0123456789")
        about = words[-1] in _ABOUT
        words = [*words, *(word.rstrip("0123456789") for word in words if word[-1].isdigit())]
        for kind in self.kinds.values():
            if about and kind.category == "authentication":
                continue
            if (
                any(piece in joined for piece in kind.contains)
                or not kind.words.isdisjoint(words)
                or (bool(kind.endings) and bare.endswith(kind.endings))
                or bare in kind.words
            ):
                return kind
        return None


def weakened_kinds(more: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the standard kinds of log-in and financial data of which entries of a project let more be written.

    Stricter or as strict are ``drop``, ``mask`` and the standard treatment, in every stream (``kept_in`` is empty).

    Args:
        more: as for :meth:`Classification.standard`, which has accepted it.

    """
    guarded = ("authentication", "financial")
    standard = {entry["kind"]: entry for entry in _standard_table()["kinds"] if entry["category"] in guarded}
    return [
        entry["kind"]
        for entry in more
        if entry["kind"] in standard
        and (entry.get("kept_in") or entry["treatment"] not in {"drop", "mask", standard[entry["kind"]]["treatment"]})
    ]


def _standard_table() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("classification.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def _joined(base: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    lists = {name: [*base.get(name, ()), *entry.get(name, ())] for name in ("contains", "endings", "words")}
    return {**base, **entry, **lists}


def _kind(entry: Mapping[str, Any]) -> Kind:
    name = entry.get("kind")
    where = f"The entry {name!r} of the classification"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ClassificationError(f"{where} needs a kind of 1 to 20 small letters and underscores.")
    unknown = sorted(set(entry) - _FIELDS)
    if unknown:
        raise ClassificationError(f"{where} has unknown fields: {', '.join(map(str, unknown))}.")
    for field, choices in (("category", CATEGORIES), ("treatment", TREATMENTS), ("value", VALUES)):
        value = entry.get(field, "token" if field == "value" else None)
        if value not in choices:
            raise ClassificationError(f"{where}: {field} is {value!r}; choose from {', '.join(choices)}.")
    if not isinstance(entry.get("reason"), str) or not entry["reason"].strip():
        raise ClassificationError(f"{where} needs a reason: the rule that demands the treatment.")
    lists: dict[str, tuple[str, ...]] = {}
    for field in ("contains", "endings", "words", "kept_in"):
        values = entry.get(field, ())
        if isinstance(values, str) or not all(isinstance(value, str) and value for value in values):
            raise ClassificationError(f"{where}: {field} has to be a list of texts.")
        lists[field] = tuple(values) if field == "kept_in" else tuple("".join(words_of(value)) for value in values)
    if not isinstance(entry.get("in_text", True), bool):
        raise ClassificationError(f"{where}: in_text has to be true or false.")
    return Kind(
        kind=name,
        category=entry["category"],
        treatment=entry["treatment"],
        reason=entry["reason"],
        contains=lists["contains"],
        endings=lists["endings"],
        words=frozenset(lists["words"]),
        value=entry.get("value", "token"),
        in_text=entry.get("in_text", True),
        kept_in=frozenset(lists["kept_in"]),
    )
