"""``maintenance``: a flag in a file, for a time, that turns visitors away.

:class:`logbastion.django.incidents.middleware.MaintenanceMiddleware` reads it. By hand: ``rm`` lifts it.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from typing import Final

from logbastion.incidents.reports import IncidentReport, Phase, rfc3339

_MOST: Final = 86_400


class SwitchMaintenance:
    """Writes the flag when an incident opens, with the time at which it ends by itself.

    Args:
        file: the flag, in a directory of the application's own.
        seconds: how long, 1 to 86400.
        clock: seconds since 1970.

    Raises:
        ValueError: a value is none that can be.

    """

    phases: Final = ("opened",)
    for_all: Final = False
    cooldown: Final = float("inf")

    def __init__(self, file: str, seconds: float = 600, clock: Callable[[], float] = time.time) -> None:
        if not isinstance(file, (str, os.PathLike)) or not os.path.isabs(file):
            raise ValueError(f"file must be an absolute path, and not {file!r}")
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 1 <= seconds <= _MOST:
            raise ValueError(f"seconds must be a number from 1 to {_MOST}, and not {seconds!r}")
        self._file, self._seconds, self._clock = os.fspath(file), seconds, clock

    def __call__(self, report: IncidentReport, _phase: Phase) -> str:
        """Write the flag, unless one is there that lasts longer."""
        until = self._clock() + self._seconds
        if maintenance_until(self._file) >= until:
            return "there is a flag that lasts longer"
        descriptor, name = tempfile.mkstemp(dir=os.path.dirname(self._file), prefix=".maintenance-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"until": until, "incident_id": report.id}, file)
            os.replace(name, self._file)
        except BaseException:
            os.unlink(name)
            raise
        return f"maintenance until {rfc3339(until)}"


def maintenance_until(path: str) -> float:
    """Return when a flag's maintenance ends, in seconds since 1970; 0 without a flag that can be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return float(json.load(file)["until"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0.0
