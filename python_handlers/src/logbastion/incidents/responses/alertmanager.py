"""``alertmanager``: posts an incident to Alertmanager's API v2, so that people know before the next scrape."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from logbastion.incidents.reports import IncidentReport, Phase, rfc3339
from logbastion.shipping.destinations import parse_destinations
from logbastion.shipping.transports.base import TransportError
from logbastion.shipping.transports.http import HttpTransport

_PATH: Final = "/api/v2/alerts"
_TIMEOUT: Final = 8.0
_SEVERITIES: Final = {"CRITICAL": "critical", "HIGH": "critical", "MEDIUM": "warning", "LOW": "info"}


class PostToAlertmanager:
    """For each pattern: an alert ``Incident`` when it opens, again while it goes on, and its end.

    Workers that share a store have one alert; without one all workers of a host send the same labels, so Alertmanager
    makes one of theirs. Without news it ends by itself after the pattern's quiet time, as when the last process ends.
    No word of a log line goes out: title, runbook, number of lines and correlation ids do.

    Args:
        destinations: ``host:port``, all of them are told; TLS with authority and name verified.
        path_prefix: before ``/api/v2/alerts``, as Alertmanager's ``--web.route-prefix``.
        username: with ``password_file``, which is read for each post.
        labels: further ones for routing, such as ``{"service": "payments"}``.
        clock: seconds since 1970.
        options: ``ca_file``, ``certificate_file``, ``key_file``: see
            :class:`~logbastion.shipping.transports.connector.ConnectionOptions`.

    Raises:
        ValueError: a destination cannot be understood, or credentials are half given.

    """

    phases: Final = ("opened", "ongoing", "resolved")
    for_all: Final = True
    cooldown: Final = 5.0

    def __init__(
        self,
        destinations: str | Sequence[str],
        *,
        path_prefix: str = "",
        username: str | None = None,
        password_file: str | None = None,
        labels: dict[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        **options: Any,
    ) -> None:
        self._destinations = [str(one) for one in parse_destinations(destinations)]
        self._options = {
            "path": path_prefix.rstrip("/") + _PATH,
            "username": username,
            "password_file": password_file,
            "response_timeout": _TIMEOUT,
            **options,
        }
        self._labels, self._clock = dict(labels or {}), clock
        HttpTransport(self._destinations, **self._options)  # says now what is wrong

    def __call__(self, report: IncidentReport, phase: Phase) -> str:
        """Post to all; one that takes it is enough.

        Raises:
            TransportError: none took it.

        """
        alert = json.dumps(self._alert(report, phase)).encode()
        failures = []
        for destination in self._destinations:
            transport = HttpTransport([destination], **self._options)
            try:
                receipt = transport.send([alert])
                failures += [f"{destination}: {refusal.reason}" for refusal in receipt.refused]
            except TransportError as error:
                failures.append(str(error))
            finally:
                transport.finish(1.0)
        if len(failures) == len(self._destinations):
            raise TransportError("; ".join(failures))
        return "; ".join([f"told {len(self._destinations) - len(failures)} of {len(self._destinations)}", *failures])

    def _alert(self, report: IncidentReport, phase: Phase) -> dict[str, Any]:
        pattern, now = report.pattern, self._clock()
        return {
            "labels": {
                "alertname": "Incident",
                "incident": pattern.id,
                "severity": _SEVERITIES[pattern.severity],
                "service": report.service,
                "job": "logbastion",
                "instance": report.host,
                **self._labels,
            },
            "annotations": {
                "summary": f"{pattern.title} ({report.service} on {report.host})",
                "description": f"{report.count} lines since {rfc3339(report.first)}, incident {report.id}. "
                f"Correlation ids: {', '.join(report.correlation_ids) or 'none'}.",
                "runbook": pattern.runbook,
            },
            "startsAt": rfc3339(report.first),
            "endsAt": rfc3339(now if phase == "resolved" else now + pattern.quiet_seconds),
        }
