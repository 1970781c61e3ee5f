"""Years of simulated nights: each class logs at noon and is kept to its periods at two, with an archive."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from retention_helpers import DAY, START, Time, content_of, manager

from logbastion.archives import DirectoryStore
from logbastion.retention import RETENTION_POLICIES
from logbastion.retention.codecs import base_of

STREAMS = tuple(policy.stream for policy in RETENTION_POLICIES.values())
NOON = timedelta(hours=10)
"""After the run of the night, which is at two."""


class Night(NamedTuple):
    """What there is after a run: by file, where its copies are and how large they are in bytes."""

    day: int
    local: dict[str, int]
    archived: dict[str, int]
    backed_up: dict[str, int]


class Years:
    """A directory and an archive that live through the nights.

    Args:
        place: an empty directory.
        lines: an event's text for each number of a line of a day.

    """

    def __init__(self, place: Path, lines: Callable[[str, int], list[str]] = lambda stream, day: [""]) -> None:
        self.logs, self.archive = place / "logs", place / "archive"
        for directory in (self.logs, self.archive):
            directory.mkdir()
        self._lines = lines
        self.clock = Time(START)
        self._manager = manager(self.logs, self.clock, DirectoryStore(self.archive))
        self.days_in: dict[str, set[int]] = {}
        """Which days' events a file holds, by its name without suffix; read once, when it is first seen."""

    def nights(self, days: int, every: int = 1) -> Iterator[Night]:
        """Log on these days and return what is there after the run of each, or of each so many following nights."""
        for day in range(days):
            noon = START + day * DAY + NOON
            for stream in STREAMS:
                with (self.logs / f"{stream}.log").open("a") as file:
                    for text in self._lines(stream, day):
                        line = {"@timestamp": noon.isoformat(), "day": day, "message": text}
                        file.write(json.dumps(line) + "\n")
            self.clock.now = START + (day + 1) * DAY
            report = self._manager.enforce_retention_policies()
            assert report.failures == 0, report.actions
            if (day + 1) % every == 0:
                yield self._look(day)

    def _look(self, day: int) -> Night:
        found = []
        for directory in (self.logs, self.archive / "archive", self.archive / "backups"):
            sizes = {}
            for path in directory.rglob("*.log*"):
                if path.name.endswith(".sha256"):
                    continue
                base = base_of(path.name)
                if base not in self.days_in:
                    self.days_in[base] = {json.loads(line)["day"] for line in content_of(path).splitlines()}
                sizes[base] = path.stat().st_size
            found.append(sizes)
        return Night(day, *found)
