"""Waiting for what happens in another process."""

import time

import pytest

DEADLINE_SECONDS = 30


@pytest.fixture(scope="session")
def wait_for():
    """Call a function until it returns something true, and return that; fail after the deadline."""

    def wait(what, function):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            found = function()
            if found:
                return found
            time.sleep(0.2)
        pytest.fail(f"No {what} within {DEADLINE_SECONDS} s")

    return wait
