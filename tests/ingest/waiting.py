"""Waiting for what a service does in its own time."""

import time
from collections.abc import Callable
from typing import Any

import requests


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Return the first true value of `condition`; errors of the network count as false.

    Raises:
        AssertionError: when it is not true in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            found = condition()
        except (OSError, requests.RequestException):
            found = None
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s")
