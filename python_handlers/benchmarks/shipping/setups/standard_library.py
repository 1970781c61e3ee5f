"""What the standard library offers: SocketHandler as it comes, and behind a QueueHandler with JSON lines."""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import time

from benchmarks.shipping.event import fields
from benchmarks.shipping.setups.base import Log, Target, through_logging

_EXTRA = tuple(fields(""))


class LoggingAlone:
    """Nothing is sent: what logging itself costs, to be taken off from the others in one's head."""

    title = "logging alone (NullHandler)"
    wire = "lines"
    tls = False
    keeps: frozenset[str] = frozenset()
    burst = 40_000
    patience = 0.0
    patience_after_trouble = 0.0

    def start(self, target: Target) -> Log:
        """See :class:`.base.Setup`."""
        return through_logging(logging.NullHandler())

    def stop(self) -> None:
        """Nothing."""


class PickleSocket:
    """``logging.handlers.SocketHandler``: pickles, sent by the caller."""

    title = "SocketHandler (pickle)"
    wire = "frames"
    tls = False
    keeps = frozenset({"flow"})
    burst = 20_000
    patience = 3.0
    patience_after_trouble = 35.0  # SocketHandler's pauses between attempts grow to thirty seconds

    def start(self, target: Target) -> Log:
        """See :class:`.base.Setup`."""
        return through_logging(logging.handlers.SocketHandler(target.host, target.port))

    def stop(self) -> None:
        """Nothing beyond ``logging.shutdown``."""


class JsonFormatter(logging.Formatter):
    """As they are written by hand: a dict, json.dumps."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        event = {
            "@timestamp": f"{moment}.{int(record.created % 1 * 1e6):06d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        for name in _EXTRA:
            if name in record.__dict__:
                event[name] = record.__dict__[name]
        return json.dumps(event)


class LineSocketHandler(logging.handlers.SocketHandler):
    """Sends lines instead of pickles."""

    def makePickle(self, record: logging.LogRecord) -> bytes:  # noqa: N802 - logging's name
        """Return the formatted record as a line."""
        return self.format(record).encode() + b"\n"


class JsonQueue:
    """QueueHandler, QueueListener, SocketHandler with JSON lines."""

    title = "QueueHandler + SocketHandler, JSON"
    wire = "lines"
    tls = False
    keeps = frozenset({"flow"})
    burst = 20_000
    patience = 3.0
    patience_after_trouble = 35.0  # SocketHandler's pauses between attempts grow to thirty seconds

    def start(self, target: Target) -> Log:
        """See :class:`.base.Setup`."""
        sender = LineSocketHandler(target.host, target.port)
        sender.setFormatter(JsonFormatter())
        waiting: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        self._listener = logging.handlers.QueueListener(waiting, sender)
        self._listener.start()
        return through_logging(logging.handlers.QueueHandler(waiting))

    def stop(self) -> None:
        """Stop the listener, which sends what is queued first."""
        self._listener.stop()
