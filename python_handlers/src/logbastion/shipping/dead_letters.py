"""Events that a receiver will never take: kept with the reason, for a person to look at and perhaps send again."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Sequence
from typing import Final

from logbastion.shipping.spool.directory import DEAD_LETTERS, FILE_MODE, make_private_directory

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class DeadLetters:
    """Appends to ``<spool directory>/dead_letters/<date>.jsonl``, mode 0600, date in UTC. Nothing deletes these files.

    A line is ``{"refused_at":..., "stream":..., "reason":..., "event":{...}}``. Several processes may append to one
    file: a line is one write.

    Args:
        root: the spool's directory.

    """

    def __init__(self, root: str) -> None:
        self.directory = os.path.join(root, DEAD_LETTERS)

    def keep(self, refused: Sequence[tuple[str, str, bytes]]) -> None:
        """Write events down; returns when they are on the disk itself, since nobody else has them afterwards.

        Args:
            refused: stream, reason and event of each.

        Raises:
            OSError: the disk refuses, too. Some may have been written.

        """
        now = datetime.datetime.now(datetime.timezone.utc)
        lines = b"".join(_line(now.isoformat(timespec="milliseconds"), *one) for one in refused)
        make_private_directory(self.directory)
        path = os.path.join(self.directory, f"{now:%Y-%m-%d}.jsonl")
        descriptor = os.open(path, _FLAGS, FILE_MODE)
        try:
            written = os.write(descriptor, lines)
            if written != len(lines):
                os.write(descriptor, b"\n")  # so that the next line can be read; raises on a full disk
                raise OSError(28, f"{path}: no room for a dead letter")
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)


def _line(moment: str, stream: str, reason: str, event: bytes) -> bytes:
    head = json.dumps({"refused_at": moment, "stream": stream, "reason": reason})[:-1].encode()
    try:
        json.loads(event)
    except ValueError:
        event = json.dumps(event.decode("utf-8", "backslashreplace")).encode()
    return b'%b, "event": %b}\n' % (head, event)
