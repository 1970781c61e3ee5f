"""The file with the keys of pseudonyms: reading it, and adding a key to it.

One key a line, ``<key id> <64 hexadecimal digits>``; the newest stands last and is the one that is used. Older ones
stay in the file for as long as a person's events shall be found by their pseudonyms, for erasure too; when that time is
over they are destroyed (:mod:`logbastion.pseudonym_key_months`). Empty lines and lines that begin with ``#`` are no
keys; some of these note what is known of keys (:mod:`logbastion.pseudonym_key_notes`).

The keys are in a file and not in the environment, because an environment is shown by ``/proc/<pid>/environ``, process
managers, error pages and crash reports. Of this module's errors none quotes a line of the file, and no function raises
while a key is among its local variables: collectors of errors show those.
"""

from __future__ import annotations

import datetime
import hmac
import os
import re
import secrets
import stat
from collections.abc import Callable
from typing import Final, NamedTuple, NoReturn

from logbastion.pseudonym_key_notes import (
    KeyNotes,
    destroyed_note,
    take_note,
    unused_note,
    without_key,
    without_notes_of,
)
from logbastion.pseudonym_key_writing import MAX_FILE_BYTES, alone_with, rewritten

KEY_BYTES: Final = 32
"""As many as SHA-256 puts out: the least that RFC 2104, 3 recommends."""
MAX_KEY_ID: Final = 12
"""Short enough that no key id can be mistaken for a card number."""
_KEY_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?")
_HEX: Final = re.compile(rb"[0-9a-fA-F]{64}")
_FEWEST_BYTE_VALUES: Final = 8  # 32 random bytes have about 30 different values; fewer than 8 is a placeholder
_FORBIDDEN_MODE: Final = 0o037


class PseudonymKeyError(ValueError):
    """The keys cannot be used. The text says what is wrong and what to do, and never holds a key."""


class PseudonymKey:
    """One key, ready for use, that cannot be shown.

    The key itself is within an ``hmac`` object, from which Python has no way to get it back; it is in no attribute, not
    in the ``repr``, and refuses to be copied or pickled. It is in the memory of the process nevertheless: who may read
    that (root, a debugger, a core dump, the swap) has it.

    Args:
        key_id: 1 to 12 small letters, digits and hyphens; public, part of each pseudonym.
        key: 32 bytes. The caller wipes its copy.

    Raises:
        PseudonymKeyError: the id has another form.

    """

    __slots__ = ("_mac", "key_id")

    def __init__(self, key_id: str, key: bytes | bytearray) -> None:
        self.key_id = ""
        self._mac = hmac.new(key, digestmod="sha256")
        del key  # what raises below shows its local variables to collectors of errors
        self.key_id = checked_key_id(key_id)

    def __repr__(self) -> str:
        return f"<PseudonymKey {self.key_id}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A pseudonym key is neither copied nor pickled: read the file of keys where it is needed.")

    def digest(self, message: bytes) -> bytes:
        """Return HMAC-SHA-256 of the message, 32 bytes (RFC 2104; FIPS 198-1)."""
        mac = self._mac.copy()
        mac.update(message)
        return mac.digest()


def checked_key_id(key_id: str) -> str:
    """Return the key id.

    Raises:
        PseudonymKeyError: it has another form than 1 to 12 small letters, digits and, not at an end, hyphens. It is not
            quoted: where keys and ids were mixed up, it is a key.

    """
    if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
        raise PseudonymKeyError(
            f"A key id has 1 to {MAX_KEY_ID} small letters, digits and, between them, hyphens; for example 20261201."
        )
    return key_id


def read_keys(path: str | os.PathLike[str]) -> tuple[PseudonymKey, ...]:
    """Return the keys of a file, the newest last; at least one.

    Raises:
        PseudonymKeyError: with a sentence, when the file cannot be read, is no regular file, may be read by everybody
            or written by others than its owner, or a line has another form.

    """
    return read_key_file(path).keys


class KeyFile(NamedTuple):
    """What is in a file of keys.

    Args:
        keys: the newest last; at least one.
        notes: on these and on destroyed ones.

    """

    keys: tuple[PseudonymKey, ...]
    notes: KeyNotes

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys, the newest last."""
        return tuple(key.key_id for key in self.keys)


def read_key_file(path: str | os.PathLike[str]) -> KeyFile:
    """Return the keys of a file and the notes on them.

    Raises:
        PseudonymKeyError: see :func:`read_keys`.

    """
    notes = KeyNotes({}, {})
    keys, problem = _load(path, notes)
    if problem:
        raise PseudonymKeyError(problem)
    return KeyFile(keys, notes)


def new_key_line(key_id: str | None = None) -> str:
    """Return a line for the file of keys, without its line break, with a new random key.

    It *is* a secret: write it to the file, not to a terminal or a log. :func:`add_key` does.

    Args:
        key_id: see :class:`PseudonymKey`; by default today's date in UTC, as ``20261201``.

    Raises:
        PseudonymKeyError: the id has another form.

    """
    checked = checked_key_id(_today() if key_id is None else key_id)
    return f"{checked} {secrets.token_bytes(KEY_BYTES).hex()}"


def add_key(path: str | os.PathLike[str], key_id: str | None = None) -> str:
    """Add a new key, which becomes the one that is used, and return its id.

    A file that is not there is made, with mode 0600. One that is there is replaced in one step by a copy with the new
    line, which is on the disk before it has the name; who reads meanwhile sees the old file or the new one. The copy
    has mode 0600 until it is complete, and then owner, group and mode of the old one, because the application has to
    read it. Two calls at once wait for each other. Of the key that was used until now it is noted that it is not any
    more.

    Args:
        path: the file; a symbolic link is followed, and stays.
        key_id: see :class:`PseudonymKey`; by default today's date in UTC, with ``-2`` and so on when that is taken.

    Raises:
        PseudonymKeyError: the file cannot be used (see :func:`read_keys`), or the id is taken, was that of a destroyed
            key, or has another form.
        OSError: the directory cannot be written, or the old owner cannot be given. The old file is as it was.

    """
    if key_id is not None:
        checked_key_id(key_id)
    today = datetime.datetime.now(datetime.timezone.utc).date()

    def decide(found: KeyFile | None) -> KeyChanges:
        return KeyChanges(add=key_id or free_key_id(found, today))

    return change_keys(path, decide, today).add


class KeyChanges(NamedTuple):
    """What shall be changed in a file of keys, all in one step.

    Args:
        add: id of a new key, empty for none.
        unused: ids of keys of which it shall be noted that they are not used any more.
        destroy: ids of keys that shall be destroyed.

    """

    add: str = ""
    unused: tuple[str, ...] = ()
    destroy: tuple[str, ...] = ()


def change_keys(
    path: str | os.PathLike[str], decide: Callable[[KeyFile | None], KeyChanges], today: datetime.date
) -> KeyChanges:
    """Change a file of keys as :func:`add_key` does: alone, in one step, owner, group and mode kept.

    Args:
        path: the file; a symbolic link is followed, and stays. One that is not there can only get a key.
        decide: is given what is in the file, None when there is no file, and says what shall be changed.
        today: in UTC, for the notes.

    Returns:
        What was changed.

    Raises:
        PseudonymKeyError: the file cannot be used, the id of the new key is taken, a key is not there, or it is the
            one that is used and no new one is added. Nothing was changed.
        OSError: see :func:`add_key`. Nothing was changed.
        Exception: what ``decide`` raises. Nothing was changed.

    """
    target = os.path.realpath(path)
    with alone_with(target):
        exists = os.path.lexists(target)
        found = read_key_file(target) if exists else None
        changes = decide(found)
        _check_changes(changes, found, target)
        failure = None
        if changes != KeyChanges():
            failure = rewritten(target, exists, lambda content: _changed(content, changes, found, today))
    if failure is not None:
        raise failure
    return changes


def _check_changes(changes: KeyChanges, found: KeyFile | None, target: str) -> None:
    ids = found.key_ids if found is not None else ()
    gone = found.notes.destroyed if found is not None else {}
    if changes.add in ids or changes.add in gone:
        which = "was that of a key that was destroyed" if changes.add in gone else f"is in {target} already"
        raise PseudonymKeyError(f"The key id {changes.add} {which}: choose another one.")
    if absent := [key_id for key_id in (*changes.unused, *changes.destroy) if key_id not in ids]:
        raise PseudonymKeyError(f"There is no key {absent[0]} in {target}: its keys are {', '.join(ids) or 'none'}.")
    if not changes.add and ids and ids[-1] in changes.destroy:
        raise PseudonymKeyError(
            f"The key {ids[-1]} is the one that is used: make a new one first (logbastion keys make --another)."
        )


def _changed(content: bytes, changes: KeyChanges, found: KeyFile | None, today: datetime.date) -> bytes:
    """Return the new content. Raises nothing: the keys are in this frame."""
    unused = set(changes.unused)
    if changes.add:
        content += new_key_line(changes.add).encode() + b"\n"
        if found is not None:
            unused.add(found.key_ids[-1])
    for key_id in sorted(unused - set(changes.destroy)):
        content = without_notes_of(content, key_id) + unused_note(key_id, today)
    for key_id in changes.destroy:
        content = without_key(content, key_id) + destroyed_note(key_id, today)
    return content


def free_key_id(found: KeyFile | None, today: datetime.date) -> str:
    """Return an id for a new key: the day, as ``20261201``, with ``-2`` and so on when that is or was another one's."""
    taken = {*found.key_ids, *found.notes.destroyed} if found is not None else set()
    day = today.strftime("%Y%m%d")
    return next(name for name in (day, *(f"{day}-{n}" for n in range(2, 1000))) if name not in taken)


def _today() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d")


def _load(path: str | os.PathLike[str], notes: KeyNotes) -> tuple[tuple[PseudonymKey, ...], str | None]:
    """Return the keys, or the sentence that says why there are none. Raises nothing: the keys are in this frame."""
    try:
        named = os.fspath(path)
        where = f"The file of pseudonym keys {named}"
        # Without O_NONBLOCK, opening a pipe would wait for somebody who writes.
        descriptor = os.open(named, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        # Somebody may have put the key itself where its file's name belongs; then that is not repeated.
        if _HEX.search(os.fsencode(named)):
            return (), (
                "LOGBASTION_PSEUDONYM_KEYS_FILE holds what looks like a key, not the path of a file. That key has been "
                "seen: make a new one in a file (logbastion.pseudonym_keys.add_key), and name the file here."
            )
        return (), f"{where} cannot be opened by this user (uid {os.geteuid()}): {error.strerror}."
    except (TypeError, ValueError):
        return (), "The path of the file of pseudonym keys is no path."
    buffer = bytearray(MAX_FILE_BYTES + 1)
    try:
        problem = _problem_of(os.fstat(descriptor), where)
        if problem:
            return (), problem
        length = 0
        while count := os.readv(descriptor, [memoryview(buffer)[length:]]):
            length += count
        return _parsed(buffer, length, where, notes)
    except OSError as error:
        return (), f"{where} cannot be read: {error.strerror}."
    finally:
        os.close(descriptor)
        _wipe(buffer)


def _problem_of(status: os.stat_result, where: str) -> str | None:
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISREG(status.st_mode):
        return f"{where} is no regular file."
    if mode & _FORBIDDEN_MODE:
        return (
            f"{where} has mode {mode:04o}: only its owner may write it, only its group may also read it, nobody else "
            "anything. Run chmod 0600 on it (0640 when the application reads it as a member of the group), and make a "
            "new key if others could read it."
        )
    return None


def _parsed(buffer: bytearray, length: int, where: str, notes: KeyNotes) -> tuple[tuple[PseudonymKey, ...], str | None]:
    if length > MAX_FILE_BYTES:
        return (), f"{where} has more than {MAX_FILE_BYTES} bytes: that is no file of keys."
    keys: dict[str, PseudonymKey] = {}
    begin, number = 0, 0
    while begin < length:
        number += 1
        found = buffer.find(b"\n", begin, length)
        end = found if found >= 0 else length
        line = buffer[begin:end]
        begin = end + 1
        take_note(line, notes)
        key, problem = _parsed_line(line)
        _wipe(line)
        if problem:
            return (), f"{where}, line {number}: {problem}"
        if key is not None and key.key_id in keys:
            return (), f"{where}, line {number}: the key id {key.key_id} stands there twice. Each key has its own."
        if key is not None:
            keys[key.key_id] = key
    if not keys:
        return (), f"{where} has no key. logbastion.pseudonym_keys.add_key makes one."
    return tuple(keys.values()), None


def _parsed_line(line: bytearray) -> tuple[PseudonymKey | None, str | None]:
    words = line.split()  # bytearrays, which can be wiped
    try:
        if not words or words[0].startswith(b"#"):
            return None, None
        if len(words) != 2 or not _HEX.fullmatch(words[1]):  # noqa: PLR2004
            return None, f"write a key id, a space and {2 * KEY_BYTES} hexadecimal digits ({KEY_BYTES} bytes)."
        if _HEX.search(words[0]) or not _KEY_ID.fullmatch(words[0].decode("ascii", "replace")):
            return (
                None,
                f"the key id is not made of 1 to {MAX_KEY_ID} small letters, digits and hyphens.",
            )
        key = bytearray(KEY_BYTES)
        for place in range(KEY_BYTES):
            key[place] = int(words[1][2 * place : 2 * place + 2], 16)
        try:
            if len(set(key)) < _FEWEST_BYTE_VALUES:
                return None, "this is a placeholder and no random key. logbastion.pseudonym_keys.add_key makes one."
            return PseudonymKey(words[0].decode("ascii"), key), None
        finally:
            _wipe(key)
    except ValueError:
        return None, "it cannot be read."
    finally:
        for word in words:
            _wipe(word)


def _wipe(secret: bytearray) -> None:
    secret[:] = bytes(len(secret))
