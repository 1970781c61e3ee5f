"""Everything that can be measured, by name, in the order of the table."""

from __future__ import annotations

from typing import Final

from benchmarks.shipping.setups.base import Setup
from benchmarks.shipping.setups.opentelemetry_batch import OpenTelemetryBatch
from benchmarks.shipping.setups.ours import Ours
from benchmarks.shipping.setups.python_logstash_async import PythonLogstashAsync
from benchmarks.shipping.setups.standard_library import JsonQueue, LoggingAlone, PickleSocket
from benchmarks.shipping.setups.structlog_queue import StructlogQueue

SETUPS: Final[dict[str, Setup]] = {
    "ours": Ours("process", gate=True),
    "ours-nogate": Ours("process", gate=False),
    "ours-host": Ours("host", gate=True),
    "ours-host-nogate": Ours("host", gate=False),
    "ours-memory": Ours(None, gate=True),
    "logging": LoggingAlone(),
    "socket": PickleSocket(),
    "queue": JsonQueue(),
    "pla": PythonLogstashAsync(sqlite=False, tuned=False),
    "pla-sqlite": PythonLogstashAsync(sqlite=True, tuned=False),
    "pla-tuned": PythonLogstashAsync(sqlite=False, tuned=True),
    "pla-sqlite-tuned": PythonLogstashAsync(sqlite=True, tuned=True),
    "structlog": StructlogQueue(),
    "otel": OpenTelemetryBatch(),
}
