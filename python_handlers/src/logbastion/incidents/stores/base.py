"""What a store of incidents does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")


class IncidentStore(Protocol):
    """Holds a book of incidents (:mod:`logbastion.incidents.book`) for each service."""

    @property
    def shared(self) -> bool:
        """Whether other processes have the same books; then a step may take time, and fail."""

    def update(self, scope: str, change: Callable[[dict[str, Any], float], Result]) -> Result:
        """Change a book as one step for all processes, and return what the change returns.

        Args:
            scope: names the book.
            change: is given the book, which it changes in place, and the time by the store's clock in seconds since
                1970. It may be called again with a newer book, so it must do nothing else.

        Raises:
            Exception: the store is away.

        """
