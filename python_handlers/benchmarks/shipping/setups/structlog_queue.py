"""structlog that renders JSON, through the standard library's QueueHandler."""

# ruff: noqa: PLC0415 - imported late, see Setup
from __future__ import annotations

import logging
import logging.handlers
import queue
from typing import Any

from benchmarks.shipping.event import ARGUMENTS, LOGGER, MESSAGE, fields
from benchmarks.shipping.setups.base import Log, Target, through_logging
from benchmarks.shipping.setups.standard_library import LineSocketHandler


class StructlogQueue:
    """As structlog's documentation sets up rendering within structlog."""

    title = "structlog + QueueHandler, JSON"
    wire = "lines"
    tls = False
    keeps = frozenset({"flow"})
    burst = 20_000
    patience = 3.0
    patience_after_trouble = 35.0

    def start(self, target: Target) -> Log:
        """See :class:`.base.Setup`."""
        import structlog

        sender = LineSocketHandler(target.host, target.port)
        waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        self._listener = logging.handlers.QueueListener(waiting, sender)
        self._listener.start()
        through_logging(logging.handlers.QueueHandler(waiting))
        structlog.configure(
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.stdlib.PositionalArgumentsFormatter(),
                structlog.processors.TimeStamper(fmt="iso"),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
            logger_factory=structlog.stdlib.LoggerFactory(),
            cache_logger_on_first_use=True,
        )
        logger: Any = structlog.get_logger(LOGGER)
        info = logger.info

        def log(marked: str) -> None:
            info(MESSAGE, *ARGUMENTS, **fields(marked))

        return log

    def stop(self) -> None:
        """Stop the listener, which sends what is queued first."""
        self._listener.stop()
