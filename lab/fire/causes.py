"""What a cause is: what really happens, which alerts it wants to see, and how it is made and undone."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

Making = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Expected:
    """An alert that a cause makes.

    Args:
        name: of the alert.
        labels: which of several with that name, where another cause might make one too.
        after: it comes only when the cause is over, because another alert inhibits it before or because it is about what comes late.
        ends: whether it is resolved; the Watchdog never is.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    after: bool = False
    ends: bool = True


@dataclass(frozen=True)
class Cause:
    """Something that happens on the lab.

    Args:
        happens: what, in words for the table.
        alerts: that it makes.
        made: a context: made when it is entered, undone when it is left, also by an interrupt.
        within: seconds in which each alert has to reach the receiver, and in which it has to be over afterwards.
        stand_in: what is not the example stack's own behaviour, and why; empty for the real thing.
        ends_beside: whether the next cause may begin while its alerts are not yet over.
    """

    happens: str
    alerts: tuple[Expected, ...]
    made: Making
    within: float = 120
    stand_in: str = ""
    ends_beside: bool = False
