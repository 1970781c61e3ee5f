"""python-logstash-async over TLS: in memory and with SQLite, as it comes and tuned."""

# ruff: noqa: PLC0415 - imported late, see Setup
from __future__ import annotations

from benchmarks.shipping.setups.base import Log, Target, through_logging


class PythonLogstashAsync:
    """AsynchronousLogstashHandler with its own formatter.

    Args:
        sqlite: keep events in a database, not in memory.
        tuned: with larger batches and shorter intervals than the default's.

    """

    wire = "lines"
    tls = True
    patience_after_trouble = 45.0  # a refused connection holds it for thirty

    def __init__(self, *, sqlite: bool, tuned: bool) -> None:
        self._sqlite = sqlite
        self._tuned = tuned
        where = "SQLite" if sqlite else "memory"
        self.title = f"python-logstash-async, {where}, {'tuned' if tuned else 'default'}"
        self.keeps = frozenset({"flow"})
        self.burst = (3_000 if tuned else 2_000) if sqlite else (20_000 if tuned else 5_000)
        self.patience = 6.0 if tuned else 12.0  # by default, less than a batch waits for ten seconds

    def start(self, target: Target) -> Log:
        """See :class:`.base.Setup`."""
        from logstash_async.constants import constants
        from logstash_async.handler import AsynchronousLogstashHandler

        if self._tuned:
            constants.QUEUE_CHECK_INTERVAL = 0.05
            constants.QUEUED_EVENTS_FLUSH_INTERVAL = 0.5
            constants.QUEUED_EVENTS_FLUSH_COUNT = 1000
            constants.QUEUED_EVENTS_BATCH_SIZE = 1000
        handler = AsynchronousLogstashHandler(
            target.host,
            target.port,
            database_path=str(target.directory / "events.db") if self._sqlite else None,
            ssl_enable=True,
            ssl_verify=True,
            ca_certs=target.ca_file,
        )
        return through_logging(handler)

    def stop(self) -> None:
        """Nothing beyond ``logging.shutdown``."""
