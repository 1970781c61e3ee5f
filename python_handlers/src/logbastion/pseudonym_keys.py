"""The file with the keys of pseudonyms: reading it, and adding a key to it.

One key a line, ``<key id> <64 hexadecimal digits>``; the newest stands last and is the one that is used. Older ones
stay in the file for as long as events that were made with them are kept: without them a person's events cannot be found
for erasure. Empty lines and lines that begin with ``#`` are skipped.

The keys are in a file and not in the environment, because an environment is shown by ``/proc/<pid>/environ``, process
managers, error pages and crash reports. Of this module's errors none quotes a line of the file, and no function raises
while a key is among its local variables: collectors of errors show those.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterator
from typing import Final, NoReturn

KEY_BYTES: Final = 32
"""As many as SHA-256 puts out: the least that RFC 2104, 3 recommends."""
MAX_KEY_ID: Final = 12
"""Short enough that no key id can be mistaken for a card number."""
_KEY_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?")
_HEX: Final = re.compile(rb"[0-9a-fA-F]{64}")
_MAX_FILE_BYTES: Final = 65_536
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
    keys, problem = _load(path)
    if problem:
        raise PseudonymKeyError(problem)
    return keys


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
    read it. Two calls at once wait for each other.

    Args:
        path: the file; a symbolic link is followed, and stays.
        key_id: see :class:`PseudonymKey`; by default today's date in UTC, with ``-2`` and so on when that is taken.

    Raises:
        PseudonymKeyError: the file cannot be used (see :func:`read_keys`), or the id is taken or has another form.
        OSError: the directory cannot be written, or the old owner cannot be given. The old file is as it was.

    """
    if key_id is not None:
        checked_key_id(key_id)
    target = os.path.realpath(path)
    with _locked(os.path.dirname(target)):
        exists = os.path.lexists(target)
        taken = {key.key_id for key in read_keys(target)} if exists else set()
        chosen = key_id if key_id is not None else _free_id(taken)
        if chosen in taken:
            raise PseudonymKeyError(f"The key id {chosen} is in {target} already: choose another one.")
        failure = _replace(target, chosen, exists)
    if failure is not None:
        raise failure
    return chosen


def _today() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d")


def _free_id(taken: set[str]) -> str:
    today = _today()
    return next(name for name in (today, *(f"{today}-{n}" for n in range(2, 1000))) if name not in taken)


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(target: str, key_id: str, exists: bool) -> OSError | None:
    """Write the new file; return what went wrong instead of raising it, because the keys are in this frame."""
    copy = f"{target}.{secrets.token_hex(8)}.new"
    descriptor = -1
    try:
        descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.fchmod(descriptor, 0o600)
        content = b""
        if exists:
            with open(target, "rb", buffering=0) as old:
                content = old.read(_MAX_FILE_BYTES + 1)
                before = os.fstat(old.fileno())
        if content and not content.endswith(b"\n"):
            content += b"\n"
        content += new_key_line(key_id).encode() + b"\n"
        if len(content) > _MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, "The file of keys would become too large", target)
        while content:
            content = content[os.write(descriptor, content) :]
        os.fsync(descriptor)
        if exists:
            now = os.fstat(descriptor)
            if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
        os.rename(copy, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(copy)
        return OSError(error.errno, error.strerror, target)  # a new one: the old one's traceback holds this frame
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return None


def _load(path: str | os.PathLike[str]) -> tuple[tuple[PseudonymKey, ...], str | None]:
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
    buffer = bytearray(_MAX_FILE_BYTES + 1)
    try:
        problem = _problem_of(os.fstat(descriptor), where)
        if problem:
            return (), problem
        length = 0
        while count := os.readv(descriptor, [memoryview(buffer)[length:]]):
            length += count
        return _parsed(buffer, length, where)
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


def _parsed(buffer: bytearray, length: int, where: str) -> tuple[tuple[PseudonymKey, ...], str | None]:
    if length > _MAX_FILE_BYTES:
        return (), f"{where} has more than {_MAX_FILE_BYTES} bytes: that is no file of keys."
    keys: dict[str, PseudonymKey] = {}
    begin, number = 0, 0
    while begin < length:
        number += 1
        found = buffer.find(b"\n", begin, length)
        end = found if found >= 0 else length
        line = buffer[begin:end]
        begin = end + 1
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
