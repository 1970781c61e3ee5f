"""Keyed pseudonyms: events of one person can be joined without saying who it is (GDPR, Art. 4(5) and 25).

A pseudonym is ``p1:<key id>:<26 characters of base32>``: 128 bits of HMAC-SHA-256 over the kind and the normalised
value. Without the key nobody can go back, nor try addresses out, as would be easy with a plain hash: there are few
addresses. With the key one can, so pseudonyms are still personal data (GDPR, recital 26), and the key is kept apart
from the logs. Base32 and not hexadecimal, because a run of digits in it would now and then be taken for a card number.

The keys are in a file that ``LOGBASTION_PSEUDONYM_KEYS_FILE`` names (see :mod:`logbastion.pseudonym_keys`). The last is
used; for erasure :meth:`Pseudonymizer.all_pseudonyms` gives a person's pseudonym under each. A rotation takes effect
without a restart. Deleting an old key makes the events that were made with it anonymous to oneself, too.

Without a file there are no pseudonyms: events then have the masked address alone and cannot be joined by person.
"""

from __future__ import annotations

import base64
import hmac
import logging
import os
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from logbastion.pseudonym_keys import PseudonymKey, PseudonymKeyError, read_keys

VARIABLE: Final = "LOGBASTION_PSEUDONYM_KEYS_FILE"
EMAIL: Final = "email"
"""The kind of e-mail addresses, and of whatever else people type where they log in."""
MAX_VALUE: Final = 1024
"""Longest value, in characters. An address has 254 at most (RFC 5321, 4.5.3.1.3)."""
_VERSION: Final = "p1"
_BYTES: Final = 16
_KIND: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")


class Pseudonymizer:
    """Makes pseudonyms with the keys of a file.

    Args:
        keys: the newest last; at least one, with different ids.

    Raises:
        PseudonymKeyError: there is no key, or two have the same id.

    """

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[PseudonymKey]) -> None:
        self._keys = tuple(keys)
        if not self._keys or len({key.key_id for key in self._keys}) != len(self._keys):
            raise PseudonymKeyError("Pseudonyms need at least one key, and each key an id of its own.")

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Pseudonymizer:
        """Read the keys of a file.

        Raises:
            PseudonymKeyError: see :func:`logbastion.pseudonym_keys.read_keys`.

        """
        return cls(read_keys(path))

    def __repr__(self) -> str:
        return f"<Pseudonymizer keys {', '.join(self.key_ids)}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A pseudonymizer is neither copied nor pickled: make one from the file of keys.")

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the known keys, the newest last."""
        return tuple(key.key_id for key in self._keys)

    def pseudonym(self, kind: str, value: str | int) -> str:
        """Return the pseudonym of a value under the newest key.

        Args:
            kind: what the value is: ``email``, ``user_id``, ``phone``...; 1 to 64 small letters, digits, underscores
                and dots. The same value has another pseudonym under another kind.
            value: see :func:`normalised`.

        Raises:
            ValueError: the kind has another form, or the value is empty, too long or neither text nor a whole number.
                The value is not quoted.

        """
        return _made(self._keys[-1], _message(kind, value))

    def all_pseudonyms(self, kind: str, value: str | int) -> tuple[str, ...]:
        """Return the pseudonym under each known key, the newest last: what to search for when a person is to be erased.

        Raises:
            ValueError: see :meth:`pseudonym`.

        """
        message = _message(kind, value)
        return tuple(_made(key, message) for key in self._keys)

    def matches(self, pseudonym: str, kind: str, value: str | int) -> bool:
        """Say whether a pseudonym is that of the value under any known key; compared in constant time.

        Raises:
            ValueError: see :meth:`pseudonym`.

        """
        given = pseudonym.encode("utf-8", "surrogatepass")
        found = [hmac.compare_digest(given, known.encode()) for known in self.all_pseudonyms(kind, value)]
        return any(found)


def normalised(kind: str, value: str | int) -> str:
    """Return the form of a value that pseudonyms are made of.

    E-mail addresses (kind ``email``): Unicode form NFKC, without space around, without regard to case, in the local
    part too. RFC 5321, 2.4 would let that differ; no large provider does, and Django compares addresses the same way
    when it resets a password. Addresses that name the same mailbox otherwise (``maria+school@``, dots, a domain
    in punycode) stay different. Other kinds are taken as they are; a whole number is its decimal digits.

    Raises:
        ValueError: the value is empty, longer than 1024 characters, or neither text nor a whole number.

    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("a pseudonym is made of text or of a whole number")
    if isinstance(value, int) and value.bit_length() > MAX_VALUE:
        raise ValueError("a number for a pseudonym has at most 1024 bits")
    text = str(value)
    if len(text) > MAX_VALUE:
        raise ValueError(f"a value for a pseudonym has at most {MAX_VALUE} characters")
    if kind == EMAIL:
        folded = unicodedata.normalize("NFKC", text).strip().casefold()
        text = unicodedata.normalize("NFKC", folded)  # folding may leave what NFKC would write otherwise
    if not text:
        raise ValueError("there is nothing to make a pseudonym of")
    return text


def _message(kind: str, value: str | int) -> bytes:
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise ValueError("a kind has 1 to 64 small letters, digits, underscores and dots")
    # The kind has no NUL, so no two pairs of kind and value give the same message.
    return f"logbastion {_VERSION}\0{kind}\0{normalised(kind, value)}".encode("utf-8", "surrogatepass")


def _made(key: PseudonymKey, message: bytes) -> str:
    text = base64.b32encode(key.digest(message)[:_BYTES]).decode().rstrip("=").lower()
    return f"{_VERSION}:{key.key_id}:{text}"


class _Configured:
    """The keys of this process, read again when their file has changed.

    Without a lock: a fork could come while another thread has it, and two threads that both read do no harm.
    """

    def __init__(self) -> None:
        self.path: str | os.PathLike[str] | None = None
        self._known: tuple[object, Pseudonymizer | None] = (None, None)

    def get(self) -> Pseudonymizer | None:
        path = self.path or os.environ.get(VARIABLE)
        if not path:
            return None
        signature = _signature(path)
        seen, pseudonymizer = self._known
        if seen == signature:
            return pseudonymizer
        try:
            pseudonymizer = Pseudonymizer.from_file(path)
        except PseudonymKeyError as error:
            same_file = isinstance(seen, tuple) and seen[0] == signature[0]
            pseudonymizer = pseudonymizer if same_file else None
            self._known = (signature, pseudonymizer)  # before the record: a handler may ask again
            logging.getLogger("system.log_management").error(
                "Pseudonyms %s: %s",
                "go on with the keys that were read before" if pseudonymizer else "cannot be made",
                error,
                extra={"event_type": "pseudonym_keys_unusable"},
            )
            return pseudonymizer
        self._known = (signature, pseudonymizer)
        return pseudonymizer


def _signature(path: str | os.PathLike[str]) -> tuple[object, ...]:
    named = os.fspath(path)
    try:
        status = os.stat(named)
    except (OSError, ValueError):
        return named, None
    # Mode and times of the inode too: a file that was refused for its mode is read again after a chmod.
    return named, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


_configured = _Configured()


def configure_pseudonyms(path: str | os.PathLike[str] | None) -> None:
    """Name the file of keys for this process; None goes back to the environment variable. Nothing is read yet."""
    _configured.path = path


def configured_pseudonymizer() -> Pseudonymizer | None:
    """Return the pseudonymizer of the configured file, or None when there is none or it cannot be used.

    A changed file is read again. One that cannot be used is reported once on ``system.log_management``; keys that were
    read from the same path before go on being used. Never raises.
    """
    try:
        return _configured.get()
    except Exception:  # a path that is none, a handler that raises
        return None


def pseudonym_of(kind: str, value: Any) -> str | None:
    """Return the pseudonym under the newest configured key, or None without a key or a usable value. Never raises."""
    pseudonymizer = configured_pseudonymizer()
    try:
        return pseudonymizer.pseudonym(kind, value) if pseudonymizer is not None else None
    except Exception:  # no text, empty, too long
        return None
