"""Fixtures of this scenario."""

import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from ingest_client import ELASTICSEARCH, Ingest, Metrics, Store

from lab import hosts


@pytest.fixture(scope="module")
def ingest(host: Any, inventory_name: str, secrets_directory: Path) -> Ingest:
    return Ingest(host, inventory_name, secrets_directory / "certificates")


@pytest.fixture(scope="session")
def store(secrets_directory: Path) -> Store:
    password = (secrets_directory / "passwords/log_reader").read_text().strip()
    url = f"https://{hosts.address(ELASTICSEARCH)}:9200"
    return Store(url, secrets_directory / "certificates/ca/ca.crt", ("log_reader", password))


@pytest.fixture(scope="session")
def environment() -> str:
    """Of the events that are sent."""
    return "scenario"


@pytest.fixture(scope="module")
def metrics(inventory_name: str, secrets_directory: Path) -> Metrics:
    password = (secrets_directory / "passwords/ingest_metrics").read_text().strip()
    return Metrics(inventory_name, 5960, secrets_directory / "certificates/ca/ca.crt", ("prometheus", password))


@pytest.fixture
def run() -> str:
    """A name of its own for the events of one test."""
    return uuid.uuid4().hex


@pytest.fixture
def elasticsearch_away() -> Iterable[Callable[[], None]]:
    """Stop Elasticsearch; call it to bring it back."""
    hosts.execute(ELASTICSEARCH, "systemctl", "stop", "elasticsearch")
    yield lambda: hosts.execute(ELASTICSEARCH, "systemctl", "start", "elasticsearch")
    hosts.execute(ELASTICSEARCH, "systemctl", "start", "elasticsearch")
