"""One builder at a time: two runs of the lab share a cache."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from lab import settings


@contextmanager
def cache_lock() -> Iterator[None]:
    """Hold the cache's lock for the block; the kernel gives it back when the process dies, however it dies."""
    settings.cache_directory().mkdir(parents=True, exist_ok=True)
    with (settings.cache_directory() / "lock").open("w", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
