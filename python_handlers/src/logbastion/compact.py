"""Events without their bulky parts (guide, "Efficient Log Record Handling")."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any, Final

from logbastion.formatters import EventFormatter, event_id
from logbastion.gate import Gate
from logbastion.names import DEFAULT_ENVIRONMENT

DROPPED: Final = ("request_body", "full_stack_trace")
"""What the guide drops."""
_OWN: Final = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__)


class MemoryEfficientFormatter(EventFormatter):
    """Formats a record as :class:`EventFormatter` does, without the attributes that take much room.

    It works on a copy of the record that lacks them, before their values are looked at. The record itself keeps all of
    them for other handlers, and gets nothing but the id of its event: the line is not kept on it, and a line that
    another formatter has kept there is neither used nor replaced. The event has the same ``event.id`` as elsewhere, so
    this formatter and :class:`EventFormatter` should not feed the same store: only the first of the two would be kept.

    Only attributes of the record, given by ``extra``, are dropped; keys inside of their values are not looked for.

    Args:
        service_name: see :class:`EventFormatter`, also for the next three.
        environment: as there.
        host_name: as there.
        gate: as there.
        drop: names to drop besides ``request_body`` and ``full_stack_trace``.

    Raises:
        ValueError: the environment's name has other characters than are allowed, or a name to drop is one that every
            record has, such as ``msg``.

    """

    def __init__(
        self,
        service_name: str = "django",
        environment: str = DEFAULT_ENVIRONMENT,
        *,
        host_name: str | None = None,
        gate: Gate | None = None,
        drop: Collection[str] = (),
    ) -> None:
        super().__init__(service_name, environment, host_name=host_name, gate=gate)
        if isinstance(drop, str):  # its letters would be taken for names
            drop = (drop,)
        own = sorted(_OWN.intersection(drop))
        if own:
            raise ValueError(f"A record cannot be without {', '.join(own)}: only what `extra` gives can be dropped.")
        self._dropped = frozenset(DROPPED) | frozenset(drop)

    def format_json(self, record: logging.LogRecord) -> bytes:
        """Return the event's JSON as UTF-8, without a line break; see :class:`EventFormatter`."""
        # What the other class keeps on its record is kept on the copy, and is gone with it.
        return super().format_json(self._reduced(record))

    def event(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the event before the gate."""
        return super().event(self._reduced(record))

    def _reduced(self, record: logging.LogRecord) -> logging.LogRecord:
        event_id(record)  # on the record itself: all handlers write the same
        attributes = record.__dict__.copy()  # one step: another thread may put something on the record meanwhile
        for name in self._dropped:
            attributes.pop(name, None)
        reduced: logging.LogRecord = object.__new__(type(record))
        reduced.__dict__.update(attributes)
        return reduced
