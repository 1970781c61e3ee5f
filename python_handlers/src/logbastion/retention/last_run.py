"""When the retention manager last kept to the periods of a directory, for whoever asks from another process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final, NamedTuple

from logbastion.files import FILE_MODE

FILE_NAME: Final = ".last-retention-run"


class LastRun(NamedTuple):
    """News of a run.

    Args:
        finished: its end, in seconds since 1970.
        failures: how many files it could not handle.
        archived: the end of the last run in which the archive took all that was due; 0 when there was none.
        archive_failures: how many of this run's failures are the archive's.

    """

    finished: float
    failures: int
    archived: float = 0.0
    archive_failures: int = 0


def write_last_run(directory: Path, run: LastRun) -> None:
    """Leave the news of a run in the directory; a reader sees the old one or this one.

    Raises:
        OSError: it cannot be written.

    """
    unfinished = directory / f"{FILE_NAME}.partial"
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump(run._asdict(), file)
    os.rename(unfinished, directory / FILE_NAME)


def read_last_run(directory: Path) -> LastRun | None:
    """Return the news of the last run, None when there was none or it cannot be read."""
    try:
        found = json.loads((directory / FILE_NAME).read_text(encoding="ascii"))
        archived, failures = float(found.get("archived", 0)), int(found.get("archive_failures", 0))
        return LastRun(float(found["finished"]), int(found["failures"]), archived, failures)
    except (OSError, ValueError, TypeError, KeyError):
        return None
