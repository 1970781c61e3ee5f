"""Prometheus metrics with the guide's names, right under one process and under several gunicorn workers.

With ``PROMETHEUS_MULTIPROC_DIR`` set before Python starts, prometheus-client keeps its values in files there; a scrape
adds those of all workers. Without it nothing is written. The metrics are made on first use, so that importing this
module neither writes a file nor fails.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from functools import cache, lru_cache
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from logbastion import metric_files
from logbastion.certificate_metrics import CertificateCollector
from logbastion.drop_counts import ASYNC_FILE, drop_counts
from logbastion.error_rate import ErrorRateCollector
from logbastion.redaction_counts import counts
from logbastion.retention_metrics import RetentionCollector, watch_retention
from logbastion.streams import STREAMS
from logbastion.unlocked import UnlockedHandler

OTHER: Final = "other"
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
KNOWN_LOGGERS: Final = (
    "accounts.auth", "finances.payments", "finances.stripe", "finances.pci_compliant", "security.events",
    "privacy.gdpr", "business", "performance", "system.log_management", "incidents", "django", "django.request",
    "django.security", "root",
)  # fmt: skip
"""Values of the label ``logger``; a child counts for its nearest parent here, everything else as ``other``."""
SECURITY_EVENT_TYPES: Final = (
    "authentication_failure", "authentication_success", "logout", "brute_force_attack", "data_access_anomaly",
    "security_log_access", "permission_denied", "password_changed", "payment_security_event",
    "distributed_guessing", "password_spraying", "slow_guessing", "ip_blocked", "ip_block_lifted", "ip_block_refused",
)  # fmt: skip
"""Values of the label ``event_type``; everything else counts as ``other``."""
UNCHECKED_OPERATIONS: Final = ("failed_login", "data_access", "block", "request", "incident")
"""Values of the label ``operation``: what detection looks at; ``incident`` is a step on those of all workers."""
BLOCK_MODES: Final = ("enforce", "dry_run")
RESPONSE_OUTCOMES: Final = ("done", "failed", "timed_out", "busy", "rate_limited")
# The alert SlowPerformance asks whether the 95th percentile is above 2.0 s: only an edge at 2.0 can answer that.
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
REQUEST_EVENT_TYPE: Final = "http_request"
_REMEMBERED: Final = 4096
"""Pairs of logger and level whose counter a handler remembers."""
_SECURITY_LOGGERS: Final = ("accounts.auth", "security", "django.security", "finances.pci_compliant")


class Instruments:
    """The metrics of this package, registered once per process."""

    def __init__(self) -> None:
        self.log_messages = Counter("django_log_messages_total", "Log messages", ["level", "logger"])
        self.request_duration = Histogram("django_request_duration_seconds", "Request duration", buckets=BUCKETS)
        self.security_events = Counter("security_events_total", "Security events", ["event_type"])
        self.redacted = Counter("logbastion_events_redacted_total", "Events in which something was redacted")
        self.redaction_failures = Counter(
            "logbastion_redaction_failures_total",
            "Events in whose place a notice was written, because they could not be prepared or redacted",
        )
        self.unchecked = Counter(
            "logbastion_detection_unchecked_total",
            "Operations that went on unchecked, because the store of detection failed",
            ["operation"],
        )
        self.blocked_requests = Counter(
            "logbastion_blocked_requests_total", "Requests of blocked addresses, refused or only noted", ["mode"]
        )
        self.incidents_opened = Counter("logbastion_incidents_opened_total", "Incidents opened", ["incident"])
        self.incidents_resolved = Counter("logbastion_incidents_resolved_total", "Incidents resolved", ["incident"])
        self.incident_lines_unjudged = Counter(
            "logbastion_incident_lines_not_judged_total", "Log records in which incident detection itself failed"
        )
        self.incident_responses = Counter(
            "logbastion_incident_responses_total",
            "Responses to incidents by what came of them",
            ["response", "outcome"],
        )
        self.dropped = Counter("logbastion_events_dropped_total", "Events given up", ["stream", "reason"])
        # Born at 0: an alert on increase() cannot see a series whose first value is 1.
        for logger in (*KNOWN_LOGGERS, OTHER):
            for level in LEVELS:
                self.log_messages.labels(level=level, logger=logger)
        for event_type in (*SECURITY_EVENT_TYPES, OTHER):
            self.security_events.labels(event_type=event_type)
        for operation in UNCHECKED_OPERATIONS:
            self.unchecked.labels(operation=operation)
        for stream in STREAMS:
            self.dropped.labels(stream=stream, reason=ASYNC_FILE)
        for mode in BLOCK_MODES:
            self.blocked_requests.labels(mode=mode)


@cache
def instruments() -> Instruments:
    """Return the metrics, made on the first call.

    Raises:
        OSError: ``PROMETHEUS_MULTIPROC_DIR`` is set to a directory that is not there or cannot be written.

    """
    made = Instruments()
    if not is_multiprocess():
        REGISTRY.register(ErrorRateCollector(made.log_messages.collect))
        REGISTRY.register(CertificateCollector())
        REGISTRY.register(RetentionCollector())
    return made


def is_multiprocess() -> bool:
    """Say whether the values of several processes are added up."""
    return bool(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))


def scrape(accept: str = "") -> tuple[bytes, str]:
    """Return the body and the content type of a scrape.

    Args:
        accept: the request's ``Accept`` header: Prometheus' text format or OpenMetrics.

    """
    instruments()
    publish_redactions()
    encoder, content_type = choose_encoder(accept)
    registry = REGISTRY
    if is_multiprocess():
        registry = CollectorRegistry()
        registry.register(_AllProcesses(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    return encoder(registry), content_type


class _AllProcesses(Collector):
    """The metrics of all processes; their files are read once for all of them."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        metrics = metric_files.read(self._directory)
        yield from metrics
        yield from ErrorRateCollector(lambda: metrics, os.path.join(self._directory, "error_rate.json")).collect()
        yield from CertificateCollector().collect()
        yield from RetentionCollector().collect()


def child_exit(server: Any, worker: Any) -> None:
    """Gunicorn's hook: takes over the counters of a worker that has ended. Import it in ``gunicorn.conf.py``."""
    if is_multiprocess():
        try:
            metric_files.bury(os.environ["PROMETHEUS_MULTIPROC_DIR"], worker.pid)
        except OSError as error:  # the server goes on without
            server.log.warning("The metrics of worker %s stay in files of their own: %s", worker.pid, error)


class _Serial:
    """Runs updates one after the other, also across signals and forks.

    prometheus-client's locks are not re-entrant: a signal handler that logs while its own thread is counting, or a
    fork while another thread is, would hang for ever. So every update of this package goes through one re-entrant
    lock that a fork waits for, and an update within an update is put off until the outer one is done.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._busy = False
        self._later: deque[Callable[[], object]] = deque()

    def __call__(self, update: Callable[..., object], *arguments: Any) -> None:
        with self.lock:
            if self._busy:
                self._later.append(lambda: update(*arguments))
                return
            self._busy = True
            try:
                update(*arguments)
                if self._later:
                    self._do_later()
            finally:
                self._busy = False

    def _do_later(self) -> None:
        while self._later:
            self._later.popleft()()


serially = _Serial()
os.register_at_fork(
    before=serially.lock.acquire, after_in_parent=serially.lock.release, after_in_child=serially.lock.release
)


def observe_request(seconds: float) -> None:
    """Count one request in ``django_request_duration_seconds``."""
    serially(instruments().request_duration.observe, seconds)


def count_unchecked(operation: str) -> None:
    """Count in ``logbastion_detection_unchecked_total``: nobody could look at an operation. Never raises."""
    with contextlib.suppress(Exception):  # no directory for metrics: the log-in goes on
        serially(instruments().unchecked.labels(operation=operation).inc)


def count_blocked_request(mode: str) -> None:
    """Count in ``logbastion_blocked_requests_total``: a request of a blocked address. Never raises."""
    with contextlib.suppress(Exception):
        serially(instruments().blocked_requests.labels(mode=mode).inc)


def prepare_incidents(incidents: Iterable[str], responses: Iterable[str]) -> None:
    """Have the series of incidents and responses born at 0. Never raises."""
    with contextlib.suppress(Exception):
        made = instruments()
        for incident in incidents:
            made.incidents_opened.labels(incident=incident)
            made.incidents_resolved.labels(incident=incident)
        for response in responses:
            for outcome in RESPONSE_OUTCOMES:
                made.incident_responses.labels(response=response, outcome=outcome)


def count_incident(happened: str, incident: str) -> None:
    """Count that an incident is ``opened`` or ``resolved``, or that a record was ``not_judged``. Never raises."""
    with contextlib.suppress(Exception):
        made = instruments()
        if happened == "not_judged":
            serially(made.incident_lines_unjudged.inc)
        else:
            counter = made.incidents_opened if happened == "opened" else made.incidents_resolved
            serially(counter.labels(incident=incident).inc)


def count_incident_response(response: str, outcome: str) -> None:
    """Count in ``logbastion_incident_responses_total``; outcomes are :data:`RESPONSE_OUTCOMES`. Never raises."""
    with contextlib.suppress(Exception):
        serially(instruments().incident_responses.labels(response=response, outcome=outcome).inc)


class PrometheusLoggingHandler(UnlockedHandler):
    """Counts log messages and security events, and observes request durations (guide, "Prometheus Metrics").

    * ``django_log_messages_total{level,logger}``: every record. Levels between two known ones count as the lower.
    * ``security_events_total{event_type}``: records of the security loggers that have an ``event_type`` or, as the
      guide's detector writes, an ``alert_type``. A failed ``authentication_attempt`` counts as
      ``authentication_failure``, which is what the alert SecurityBreach looks at.
    * ``django_request_duration_seconds``: records that carry ``duration_ms`` and are requests, that is, have the
      ``event_type`` ``http_request`` or none. Durations of other operations would falsify the percentile.

    Args:
        known_loggers: further values of the label ``logger``.
        log_directory: where the log files are; the runs of ``logbastion retention`` over it are published.

    """

    def __init__(self, known_loggers: Collection[str] = (), log_directory: str | None = None) -> None:
        super().__init__()
        watch_retention(log_directory)
        self._known = frozenset(KNOWN_LOGGERS) | frozenset(known_loggers)
        # Looking for a child of a metric costs more than counting.
        self._counter = lru_cache(maxsize=_REMEMBERED)(self._counter_of)
        made = instruments()
        for logger in known_loggers:
            for level in LEVELS:
                made.log_messages.labels(level=level, logger=logger)

    def emit(self, record: logging.LogRecord) -> None:
        """Count the record."""
        try:
            serially(self._count, record)
        except Exception:  # logging never stops the application
            self.handleError(record)

    def _count(self, record: logging.LogRecord) -> None:
        count, is_security = self._counter(record.name, record.levelno)
        count()
        if is_security:
            _count_security_event(record)
        if "duration_ms" in record.__dict__:
            _observe_duration(record)
        # The event of this record has been written by now, unless that is done by another thread.
        if counts.pending:
            _publish_redactions()

    def _counter_of(self, name: str, level: int) -> tuple[Callable[[], None], bool]:
        """Return what counts the logger's messages of this level, and whether it logs security events."""
        counter = instruments().log_messages.labels(level=_level(level), logger=self._label(name))
        return counter.inc, _is_security_logger(name)

    def _label(self, name: str) -> str:
        while name:
            if name in self._known:
                return name
            name = name.rpartition(".")[0]
        return OTHER


def _count_security_event(record: logging.LogRecord) -> None:
    event_type = security_event_type(record)
    if event_type is not None:
        instruments().security_events.labels(event_type=event_type).inc()


def _observe_duration(record: logging.LogRecord) -> None:
    milliseconds = getattr(record, "duration_ms", None)
    if (
        isinstance(milliseconds, (int, float))
        and math.isfinite(milliseconds)
        and milliseconds >= 0
        and getattr(record, "event_type", REQUEST_EVENT_TYPE) == REQUEST_EVENT_TYPE
    ):
        instruments().request_duration.observe(milliseconds / 1000)


def publish_redactions() -> None:
    """Add what the redaction of this process has done since the last time, and what asynchronous files dropped."""
    serially(_publish_redactions)


def _publish_redactions() -> None:
    redacted, failed = counts.take()
    if redacted:
        instruments().redacted.inc(redacted)
    if failed:
        instruments().redaction_failures.inc(failed)
    for stream, dropped in drop_counts.take().items():
        instruments().dropped.labels(stream=stream, reason=ASYNC_FILE).inc(dropped)


def _level(number: int) -> str:
    return LEVELS[min(max(number // 10, 1), 5) - 1]


def _is_security_logger(logger: str) -> bool:
    return any(logger == name or logger.startswith(name + ".") for name in _SECURITY_LOGGERS)


def security_event_type(record: logging.LogRecord) -> str | None:
    """Return the label ``event_type`` of a record, or None when it is no security event."""
    if not _is_security_logger(record.name):
        return None
    event_type = getattr(record, "event_type", None) or getattr(record, "alert_type", None)
    if event_type is None:
        return None
    if event_type == "authentication_attempt":
        success = getattr(record, "success", None)
        event_type = "authentication_success" if success is True else "authentication_failure"
    if isinstance(event_type, str) and event_type in SECURITY_EVENT_TYPES:
        return event_type
    # pci_compliant logs ordinary transactions too; only its security events are counted.
    return None if record.name.startswith("finances.") else OTHER
