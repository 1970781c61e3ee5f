"""The deployed lab seen from outside, as an operator sees it: over TLS, with the credentials that the playbook made."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from lab import hosts, settings

OBSERVER = "observer"
APPLICATION = "app"
APPLICATION_NAME = "django-app"
ENVIRONMENT = "lab"
SECRETS = settings.PROJECT_ROOT / "secrets/lab"
AUTHORITY = SECRETS / "certificates/ca/ca.crt"
LOG_DIRECTORY = f"/var/log/{APPLICATION_NAME}"
ALERTS_FILE = "/var/lib/alert-receiver/alerts.jsonl"
TIMEOUT_SECONDS = 10

READER_OF_STREAM = {
    "application": "log_reader",
    "performance": "log_reader",
    "debug": "log_reader",
    "security": "security_log_reader",
    "audit": "security_log_reader",
}
"""Which credential may read which stream (elk_templates/security_roles)."""


def password_file(name: str) -> Path:
    """Return the file on the control node that holds the password `name`."""
    return SECRETS / "passwords" / name


def password(name: str) -> str:
    """Return the password `name`."""
    return password_file(name).read_text(encoding="ascii").strip()


def url(host: str, port: int) -> str:
    """Return the base URL of a service, by the host's address: the control node does not resolve the lab's names."""
    return f"https://{hosts.address(host)}:{port}"


def elasticsearch(user: str) -> Elasticsearch:
    """Return a client of the lab's Elasticsearch that is logged in as `user` and verifies the certificate."""
    return Elasticsearch(
        url(OBSERVER, 9200), ca_certs=str(AUTHORITY), basic_auth=(user, password(user)), request_timeout=TIMEOUT_SECONDS
    )


def index(stream: str) -> str:
    """Return the name of a data stream."""
    return f"logs-django.{stream}-{ENVIRONMENT}"


@dataclass(frozen=True)
class StreamCount:
    """One stream: what the application wrote into its files, and what Elasticsearch holds of it."""

    stream: str
    logged: int
    stored: int
    missing: int
    doubled: int

    @property
    def complete(self) -> bool:
        """Whether each logged event is stored exactly once."""
        return self.missing == 0 and self.doubled == 0


def logged_event_ids(stream: str) -> list[str]:
    """Return the ids of the events in the application's own file of this stream, in order.

    Raises:
        LabError: when the file cannot be read.
        ValueError: when a line of it is not an event.
    """
    path = f"{LOG_DIRECTORY}/{stream}.log"
    text = hosts.execute(APPLICATION, "sh", "-c", f"if [ -e {path} ]; then cat {path}; fi")
    return [json.loads(line)["event"]["id"] for line in text.splitlines()]


def stored_event_ids(stream: str) -> list[str]:
    """Return the ids of all events of this stream in Elasticsearch, one for each document."""
    client = elasticsearch(READER_OF_STREAM[stream])
    hits = scan(client, index=index(stream), query={"_source": ["event.id"]}, ignore_unavailable=True, size=2000)
    return [hit["_source"]["event"]["id"] for hit in hits]


def count(stream: str) -> StreamCount:
    """Compare a stream's file with what is stored, id by id."""
    logged = Counter(logged_event_ids(stream))
    stored = Counter(stored_event_ids(stream))
    return StreamCount(
        stream=stream,
        logged=logged.total(),
        stored=stored.total(),
        missing=len(logged.keys() - stored.keys()),
        doubled=sum(times - 1 for times in stored.values()) + sum(times - 1 for times in logged.values()),
    )


def targets() -> dict[str, str]:
    """Return Prometheus' targets, instance by job, with their health (`up`, `down`, `unknown`)."""
    active = _ask_prometheus("targets", {"state": "active"})["activeTargets"]
    return {f"{target['labels']['job']} {target['labels']['instance']}": target["health"] for target in active}


def alerts() -> list[dict[str, Any]]:
    """Return Prometheus' alerts that are pending or firing.

    Raises:
        requests.RequestException: when it does not answer.
    """
    found: list[dict[str, Any]] = _ask_prometheus("alerts", {})["alerts"]
    return found


def query(expression: str) -> list[dict[str, Any]]:
    """Return what Prometheus says to an instant query: the samples of a vector.

    Raises:
        requests.RequestException: when it does not answer.
    """
    found: list[dict[str, Any]] = _ask_prometheus("query", {"query": expression})["result"]
    return found


def _ask_prometheus(what: str, parameters: dict[str, str]) -> dict[str, Any]:
    answer = requests.get(
        f"{url(OBSERVER, 9090)}/api/v1/{what}",
        params=parameters,
        auth=("prometheus", password("prometheus_web")),
        verify=str(AUTHORITY),
        timeout=TIMEOUT_SECONDS,
    )
    answer.raise_for_status()
    data: dict[str, Any] = answer.json()["data"]
    return data


def send_test_alert(identifier: str) -> None:
    """Give Alertmanager an alert whose `job` is `identifier`: a group of its own, which does not wait for an earlier one's interval."""
    alert = {
        "labels": {"alertname": "LabTestAlert", "severity": "info", "service": "lab", "job": identifier},
        "annotations": {
            "summary": "A test alert of the lab",
            "description": "Nothing is wrong: the way from Alertmanager to its receiver is tried.",
        },
    }
    answer = requests.post(
        f"{url(OBSERVER, 9093)}/api/v2/alerts",
        json=[alert],
        auth=("alertmanager", password("alertmanager_web")),
        verify=str(AUTHORITY),
        timeout=TIMEOUT_SECONDS,
    )
    answer.raise_for_status()


def received_alerts(after: int = 0) -> list[dict[str, Any]]:
    """Return every alert that the lab's receiver has taken so far, in the order of arrival, but for the first ones."""
    text = hosts.execute(
        APPLICATION, "sh", "-c", f"if [ -e {ALERTS_FILE} ]; then tail -n +{after + 1} {ALERTS_FILE}; fi"
    )
    return [json.loads(line) for line in text.splitlines()]
