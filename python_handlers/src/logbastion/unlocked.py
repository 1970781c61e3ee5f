"""What handlers have in common that format outside of their lock."""

from __future__ import annotations

import logging


class UnlockedHandler(logging.Handler):
    """A handler whose lock is not held while it works: threads do not wait for each other's formatting.

    Its ``emit`` has to be right under threads by itself.
    """

    def handle(self, record: logging.LogRecord) -> bool | logging.LogRecord:  # type: ignore[override]
        """Do what :meth:`logging.Handler.handle` does, without the lock; a record that a filter returns is used."""
        if not self.filters:  # most have none, and asking takes longer than looking
            self.emit(record)
            return True
        passed: bool | logging.LogRecord = self.filter(record)
        if passed is True:
            self.emit(record)
        elif passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed
