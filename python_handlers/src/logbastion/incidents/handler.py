"""``IncidentDetectionHandler``: shows records to a detector (guide, "Integration with logging system")."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from logbastion.incidents.detector import IncidentDetector
from logbastion.incidents.options import detector_from
from logbastion.unlocked import UnlockedHandler


class IncidentDetectionHandler(UnlockedHandler):
    """A handler for the root logger that looks at WARNING and above.

    Args:
        detector: what it asks.
        options: instead of a detector; see :func:`logbastion.incidents.options.detector_from`.
        service_name: of the events and alerts, with ``options``.
        environment: ``service.environment``, with ``options``.
        level: the least that is looked at.

    Raises:
        ValueError: the options or a pattern cannot work, with a sentence.

    """

    def __init__(
        self,
        detector: IncidentDetector | None = None,
        *,
        options: Mapping[str, Any] | bool | None = None,
        service_name: str | None = None,
        environment: str | None = None,
        level: int | str = logging.WARNING,
    ) -> None:
        super().__init__(level)
        self.options = options if isinstance(options, Mapping) else {}
        self.detector = detector if detector is not None else detector_from(options, service_name, environment)

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a record. Never raises."""
        if record.levelno >= self.level:
            self.detector.analyze_log_entry(record)

    def close(self) -> None:
        """Give responses that run half a second to end, and tell what is left: a second in all."""
        self.detector.close()
        super().close()
