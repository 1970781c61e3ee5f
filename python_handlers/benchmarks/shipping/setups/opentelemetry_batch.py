"""OpenTelemetry's batch processor with the OTLP exporter over HTTPS."""

# ruff: noqa: PLC0415 - imported late, see Setup
from __future__ import annotations

import warnings

from benchmarks.shipping.setups.base import Log, Target, through_logging


class OpenTelemetryBatch:
    """LoggingHandler, BatchLogRecordProcessor, OTLPLogExporter with their defaults."""

    title = "OpenTelemetry batch, OTLP over HTTPS"
    wire = "http"
    tls = True
    keeps: frozenset[str] = frozenset()  # its queue of 2048 drops in a burst
    burst = 8_000
    patience = 7.0
    patience_after_trouble = 12.0

    def start(self, target: Target) -> Log:
        """See :class:`.base.Setup`."""
        warnings.simplefilter("ignore")  # the handler is to move to another package
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

        exporter = OTLPLogExporter(
            endpoint=f"https://{target.host}:{target.port}/v1/logs", certificate_file=target.ca_file
        )
        self._provider = LoggerProvider()
        self._provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        return through_logging(LoggingHandler(logger_provider=self._provider))

    def stop(self) -> None:
        """Shut the provider down, which exports what is queued (it does so at exit by itself, too)."""
        self._provider.shutdown()
