"""The person whose traces are looked for: everything that may stand for them in an event."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NoReturn

from logbastion.pseudonyms import MAX_VALUE, Pseudonymizer
from logbastion.redaction.classification import Classification

LEAST_IDENTIFIER: Final = 4
"""Characters. What is shorter stands in too many events of other people by chance."""
_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@]+")
_USER_KIND: Final = "user_id"


class SubjectError(ValueError):
    """What was given cannot stand for one person. The text says why, and does not repeat it."""


@dataclass(frozen=True, repr=False)
class Subject:
    """A person, by all that an event may hold of them. Made by :meth:`of`.

    Args:
        user_id: the primary key as text: decimal digits, a UUID or another text.
        emails: addresses, also former ones.
        identifiers: further texts that name the person and no one else, such as a telephone number or a user name.
        pseudonyms: what stands for all of these under every key that is still there.

    """

    user_id: str
    emails: tuple[str, ...] = ()
    identifiers: tuple[str, ...] = ()
    pseudonyms: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return "<Subject>"  # shown by collectors of errors

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A subject is neither copied nor pickled: it names a person.")

    @classmethod
    def of(
        cls,
        user_id: str | int,
        emails: Iterable[str] = (),
        identifiers: Iterable[str] = (),
        keys: Pseudonymizer | None = None,
    ) -> Subject:
        """Return the subject, with the pseudonyms under all keys.

        Args:
            user_id: the user's primary key.
            emails: of the person.
            identifiers: further texts, of four characters or more.
            keys: all keys that are still there; None when pseudonyms are not used.

        Raises:
            SubjectError: the id is empty, an address is none, or an identifier is too short or too long. The value is
                not repeated.

        """
        if isinstance(user_id, bool) or not isinstance(user_id, (str, int)):
            raise SubjectError("the user id has to be text or a whole number")
        if isinstance(user_id, int) and user_id.bit_length() > MAX_VALUE:
            raise SubjectError("the user id is too large")
        own = _checked(str(user_id), "the user id", least=1)
        if own == "0" or not any(map(str.isalnum, own)):
            raise SubjectError("the user id needs a letter or a digit, and is not 0, which stands for erased users")
        addresses = tuple(dict.fromkeys(_checked(one, "an e-mail address", least=3) for one in emails))
        if not all(map(_ADDRESS.fullmatch, addresses)):
            raise SubjectError("an e-mail address has one @ with something on both sides, and no spaces")
        further = tuple(dict.fromkeys(_checked(one, "an identifier", least=LEAST_IDENTIFIER) for one in identifiers))
        return cls(own, addresses, further, _pseudonyms(own, (*addresses, *further), keys))


def _checked(value: str, what: str, *, least: int) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not least <= len(text) <= MAX_VALUE:
        raise SubjectError(f"{what} needs {least} to {MAX_VALUE} characters")
    if text.casefold() in "[erased]":
        raise SubjectError(f"{what} must not be a part of the mark that stands for erased people")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise SubjectError(f"{what} must not have control characters")
    return text


def _pseudonyms(user_id: str, texts: tuple[str, ...], keys: Pseudonymizer | None) -> frozenset[str]:
    if keys is None:
        return frozenset()
    # People type anything where an address belongs, so each text may stand under each kind.
    treated = (kind.kind for kind in Classification.standard().kinds.values() if kind.treatment == "pseudonymise")
    kinds = sorted({*treated, _USER_KIND})
    return frozenset(one for kind in kinds for text in (user_id, *texts) for one in keys.all_pseudonyms(kind, text))
