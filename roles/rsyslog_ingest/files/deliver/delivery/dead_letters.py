"""The file of lines that cannot be stored."""

import base64
import json
import os

from delivery.events import Line


def keep_dead_letters(path: str, letters: list[tuple[Line, str]]) -> None:
    """Append lines that cannot be stored to the dead-letter file, one JSON object each, and sync it.

    Raises:
        OSError: when the file cannot be written; then it is as it was before.
    """
    content = b""
    for line, reason in letters:
        letter = {"received": line.received, "from": line.sender, "reason": reason}
        try:
            letter["raw"] = line.raw.decode("utf-8")
        except UnicodeDecodeError:
            letter["raw_base64"] = base64.b64encode(line.raw).decode("ascii")
        content += json.dumps(letter).encode("ascii") + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        before = os.fstat(descriptor).st_size
        try:
            if os.write(descriptor, content) != len(content):
                raise OSError(f"{path} could not be written completely")
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)
            raise
    finally:
        os.close(descriptor)
