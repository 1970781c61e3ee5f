"""What the long runs share: a lab that is up, and a front that misbehaves before its Elasticsearch."""

import os

import pytest

from lab import hosts, main_job, stack
from tests.long.faulty_front import FaultyFront


@pytest.fixture(scope="session")
def front(tmp_path_factory):
    """Return the front before the Elasticsearch of a lab that is up; `make up` is run when there is none."""
    if not {stack.OBSERVER, stack.APPLICATION} <= set(hosts.existing()) or not stack.AUTHORITY.exists():
        main_job.up(20)
    seed = int.from_bytes(os.urandom(4))
    print(f"seed of the faults: {seed}")
    made = FaultyFront(
        tmp_path_factory.mktemp("front"),
        (hosts.address(stack.OBSERVER), 9200),
        stack.AUTHORITY,
        share=0.15,
        seed=seed,
    )
    made.start()
    yield made
    made.shutdown()
