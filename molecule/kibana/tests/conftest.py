"""Fixtures of this scenario."""

from pathlib import Path
from typing import Any

import pytest
import requests
from stand_in_client import StandInForKibana

from lab import hosts


@pytest.fixture
def secret(secrets_directory: Path) -> Any:
    """Read a generated secret of the control node."""
    return lambda name: (secrets_directory / "passwords" / name).read_text().strip()


@pytest.fixture
def kibana(inventory_name: str, secrets_directory: Path, secret: Any) -> StandInForKibana:
    authority = secrets_directory / "certificates/ca/ca.crt"
    return StandInForKibana(inventory_name, 5601, authority, ("elastic", secret("elastic")))


@pytest.fixture
def elasticsearch(inventory_name: str, secrets_directory: Path) -> Any:
    """Ask the host's Elasticsearch."""

    def ask(path: str, **arguments: Any) -> requests.Response:
        return requests.get(
            f"https://{hosts.address(inventory_name)}:9200{path}",
            verify=secrets_directory / "certificates/ca/ca.crt",
            timeout=30,
            **arguments,
        )

    return ask
