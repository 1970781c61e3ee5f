"""What an erasure that broke off has searched and found nothing in: the next run of it goes on behind that."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Final

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class Searched:
    """Of one erasure: indices and copies that have nothing of the person, and the state in which they were.

    Only the first search looks here; the one at the end reads everything. Holds no personal data.

    Args:
        path: a file, made with mode 0600 at the first :meth:`add`; None keeps it in memory only. What cannot be read or
            written is searched again.

    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._states: dict[tuple[str, str], str] = {}
        if path is not None:
            self._read(path)

    def _read(self, path: Path) -> None:
        try:
            lines = path.read_bytes().splitlines()
        except OSError:
            return
        for line in lines:
            # A crash can have torn one.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                told = json.loads(line)
                self._states[str(told["place"]), str(told["what"])] = str(told["state"])

    def has(self, place: str, what: str, state: str) -> bool:
        """Return whether an index or a copy was searched in exactly this state."""
        return bool(state) and self._states.get((place, what)) == state

    def add(self, place: str, what: str, state: str) -> None:
        """Note that there is nothing of the person.

        Args:
            place: its name.
            what: an index or a copy.
            state: is another one after each change; empty when nobody can tell, then nothing is noted.

        """
        if not state:
            return
        self._states[place, what] = state
        if self._path is None:
            return
        # The first line break ends what a crash has torn.
        line = b"\n" + json.dumps({"place": place, "what": what, "state": state}).encode() + b"\n"
        # Without fsync: what is lost costs only time.
        with contextlib.suppress(OSError):
            descriptor = os.open(self._path, _NEW, 0o600)
            with os.fdopen(descriptor, "ab", buffering=0) as file:
                file.write(line)

    def forget(self) -> None:
        """Begin anew: the erasure is complete, or the search at the end has found what this did not.

        Raises:
            OSError: the file cannot be removed.

        """
        self._states.clear()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
