"""The node under test, as a user of the cluster sees it."""

import pytest
from service_over_tls import ServiceOverTls


@pytest.fixture(scope="session")
def password(secrets_directory):
    return (secrets_directory / "passwords/elastic").read_text().strip()


@pytest.fixture(scope="module")
def node(inventory_name, secrets_directory, password):
    return ServiceOverTls(inventory_name, 9200, secrets_directory / "certificates/ca/ca.crt", ("elastic", password))
