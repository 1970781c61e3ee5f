"""What a run of the retention manager did, or would do."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

ROTATED: Final = "rotated"
COMPRESSED: Final = "compressed"
ARCHIVED: Final = "archived"
BACKED_UP: Final = "backed up"
DELETED: Final = "deleted"
LOCKED: Final = "locked"
HELD: Final = "held"
UNKNOWN: Final = "unknown"
FAILED: Final = "failed"
MADE: Final = "made"
DESTROYED: Final = "destroyed"
DUE: Final = "due"


@dataclass(frozen=True)
class Action:
    """One thing that was done to a file or a key, or was not and why.

    Args:
        kind: ``rotated``, ``compressed``, ``archived``, ``backed up``, ``deleted``, ``held`` (kept by a legal hold),
            ``locked`` (kept by the archive's object lock), ``unknown`` (left alone) or ``failed``. Of
            keys of pseudonyms: ``made``, ``destroyed``, ``due`` (to be destroyed by somebody else), ``held`` or
            ``failed``.
        file: its name in the directory; of a key its id, after ``pseudonym key``.
        reason: a sentence.
        size: of the file in bytes, before.

    """

    kind: str
    file: str
    reason: str
    size: int = 0


@dataclass
class RetentionReport:
    """What a run did, or with ``dry_run`` would have done, in its order."""

    directory: str
    dry_run: bool
    actions: list[Action] = field(default_factory=list)
    archive_failures: int = 0
    """How many of the failures are the archive's."""
    archive_away: str = ""
    """Why the archive could not be used, a sentence; the run went on without it."""

    @property
    def failures(self) -> int:
        """Return how many files could not be handled as their policy asks."""
        return self.count(FAILED)

    def count(self, kind: str) -> int:
        """Return how many actions are of one kind."""
        return Counter(action.kind for action in self.actions)[kind]

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"version": 1, **asdict(self), "failures": self.failures}
