"""Keeps what was found in a spool and is no record, for people to look at."""

from __future__ import annotations

import json
import os
from typing import Final

from logbastion.shipping.spool.directory import FILE_MODE, QUARANTINE, make_private_directory
from logbastion.shipping.spool.frames import Damage

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_MAX_FILE_BYTES: Final = 4 * 1024 * 1024
_MAX_LINE_BYTES: Final = 64 * 1024


class Quarantine:
    r"""One file of JSON lines for this process: where the damage was, and its bytes.

    ``text`` holds the bytes as UTF-8; those that are none stand as ``\udc80`` to ``\udcff``
    (``surrogateescape``), so ``line["text"].encode("utf-8", "surrogateescape")`` gives them back.

    Args:
        root: the spool's directory.
        name: of the file, without its ending.

    """

    def __init__(self, root: str, name: str) -> None:
        self._directory = os.path.join(root, QUARANTINE)
        self._path = os.path.join(self._directory, f"{name}.jsonl")

    def keep(self, stream: str, path: str, damage: Damage) -> bool:
        """Write a piece down; False when the file is full or the disk refuses, and the piece is only counted."""
        entry = {
            "stream": stream,
            "segment": os.path.join(os.path.basename(os.path.dirname(path)), os.path.basename(path)),
            "offset": damage.offset,
            "bytes": len(damage.line),
            "torn": damage.torn,
            "text": damage.line[:_MAX_LINE_BYTES].decode("utf-8", "surrogateescape"),
        }
        line = json.dumps(entry).encode() + b"\n"
        try:
            make_private_directory(self._directory)
            descriptor = os.open(self._path, _FLAGS, FILE_MODE)
            try:
                if os.fstat(descriptor).st_size + len(line) > _MAX_FILE_BYTES:
                    return False
                return os.write(descriptor, line) == len(line)
            finally:
                os.close(descriptor)
        except OSError:
            return False
