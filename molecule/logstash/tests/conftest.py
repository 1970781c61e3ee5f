"""Fixtures of this scenario."""

from pathlib import Path
from typing import Any

import pytest

from lab import hosts
from tests.ingest.client import Credentials, IngestClient


@pytest.fixture(scope="module")
def ingest(inventory_name: str, secrets_directory: Path) -> IngestClient:
    client = secrets_directory / "certificates/clients/logstash-trixie.log-shipper"
    return IngestClient(
        inventory_name,
        Credentials(
            secrets_directory / "certificates/ca/ca.crt",
            client.with_name(client.name + ".crt"),
            client.with_name(client.name + ".key"),
        ),
        address=hosts.address(inventory_name),
    )


@pytest.fixture
def secret(secrets_directory: Path) -> Any:
    """Read a generated secret of the control node."""
    return lambda name: (secrets_directory / "passwords" / name).read_text().strip()
