"""What an erasure did in all places together. Holds no personal data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from logbastion.erasure.ledger import COMPLETE, FAILED, HELD
from logbastion.erasure.place import PlaceResult


@dataclass(frozen=True)
class ErasureReport:
    """The result of one run.

    Args:
        erasure_id: in the ledger; empty for a dry run.
        dry_run: whether nothing was changed.
        results: of each place.
        left: place to the number of events of the person that the last search still found.
        errors: sentences on what could not be searched again.

    """

    erasure_id: str
    dry_run: bool
    results: tuple[PlaceResult, ...]
    left: dict[str, int]
    errors: tuple[str, ...] = ()

    @property
    def outcome(self) -> str:
        """Return ``complete``, ``held`` (nothing is left but what a legal hold keeps) or ``failed``."""
        if self.all_errors:
            return FAILED
        held = {result.place: result.held for result in self.results}
        if not self.dry_run and any(count > held.get(place, 0) for place, count in self.left.items()):
            return FAILED
        return HELD if any(held.values()) else COMPLETE

    @property
    def all_errors(self) -> tuple[str, ...]:
        """Return the sentences of all places, then those of the search afterwards."""
        return (*(f"{result.place}: {error}" for result in self.results for error in result.errors), *self.errors)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the numbers of each place."""
        return {
            result.place: {
                "searched": result.searched,
                "found": result.found,
                "anonymised": result.anonymised,
                "deleted": result.deleted,
                "held": result.held,
                "errors": len(result.errors),
                "left": self.left.get(result.place, 0),
            }
            for result in self.results
        }

    def total(self, what: str) -> int:
        """Return the sum of one of the numbers over all places."""
        return sum(counts[what] for counts in self.counts().values())

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "version": 1,
            "erasure_id": self.erasure_id,
            "dry_run": self.dry_run,
            "outcome": self.outcome,
            "places": [{**asdict(result), "left": self.left.get(result.place, 0)} for result in self.results],
            "errors": list(self.all_errors),
        }
