"""What a response is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from logbastion.incidents.reports import IncidentReport, Phase


class Response(Protocol):
    """One thing that is done about an incident; doing it twice must do no harm.

    ``phases``: when it runs. ``for_all``: for each pattern, not only for those that name it. ``cooldown``: seconds, at
    most, in which one pattern does not start it again; the pattern's own is used when it is shorter.
    """

    @property
    def phases(self) -> Collection[str]: ...  # noqa: D102 - see the class

    @property
    def for_all(self) -> bool: ...  # noqa: D102

    @property
    def cooldown(self) -> float: ...  # noqa: D102

    def __call__(self, report: IncidentReport, phase: Phase, /) -> object:
        """Do it, and return in a few words what was done or found; raise when it failed."""
