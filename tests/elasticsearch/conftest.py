"""One real Elasticsearch for all tests of this directory; each test takes an environment of its own, so that none sees another's events."""

import uuid
from collections.abc import Iterator

import pytest

from lab import elasticsearch_process


@pytest.fixture(scope="session")
def node() -> Iterator[elasticsearch_process.Node]:
    """Return a node over TLS, with our templates and roles and a user for each role (`node.passwords`)."""
    with elasticsearch_process.running() as started:
        yield started


@pytest.fixture
def environment() -> str:
    """Return the name of an environment whose streams (`logs-django.<stream>-<environment>`) nobody else uses."""
    return uuid.uuid4().hex
