"""A handler for commands beside the application: it leaves events in the spool, and the application ships them."""

from __future__ import annotations

import logging
import os

from logbastion.formatters import EventFormatter
from logbastion.shipping.spool import Spool
from logbastion.streams import stream_for


class SpoolAppendingHandler(logging.Handler):
    """Appends each event to a spool and ships nothing: it has no transport, no certificate and no thread.

    Once the logging call has returned, the event is on the disk, of a power failure too. After :meth:`close`, or the
    end of this process however it comes, a process of the application takes the directory over within some seconds,
    as that of any process that has ended, and ships what is in it; when none runs, the next that starts.

    Args:
        directory: the spool of the application, whose user this process must run as.

    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        super().__init__()
        self.directory = os.path.abspath(os.fspath(directory))
        self.dropped = 0
        """Events that are not in the spool, because the disk took none."""
        self.reason = ""
        """Why; a sentence."""
        self._spool = Spool(self.directory, durability="host", dropped=self._count_dropped)
        self._kept_formatter = EventFormatter()
        self.setFormatter(self._kept_formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record's event."""
        try:
            formatter = self.formatter
            events = formatter if isinstance(formatter, EventFormatter) else self._kept_formatter
            line = events.format_json(record)
            self._spool.append(stream_for(record.name, record.levelno), line)
            self.reason = self._spool.error or self.reason
        except Exception:  # logging never stops the command
            self.handleError(record)

    def close(self) -> None:
        """Leave the directory for the application."""
        self.reason = self._spool.error or self.reason
        self._spool.close()
        super().close()

    def _count_dropped(self, _stream: str, _reason: str, count: int) -> None:
        self.dropped += count
