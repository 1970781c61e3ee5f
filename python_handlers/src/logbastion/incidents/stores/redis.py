"""In Redis (6.2 or newer, or Valkey): a book is swapped for its next version by one script, or not at all.

Whoever comes too late begins again with the newer book. The time is that of the server, which all hosts share. A book
that nobody has touched for eight days is forgotten. Needs ``pip install 'logbastion[redis]'``.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from typing import Any, Final

from logbastion.detection.stores.redis import connect
from logbastion.incidents.stores.base import Result

TIMEOUT: Final = 0.5
"""Seconds. No logging call waits for it, and the end of a process waits no longer than a second."""
_PREFIX: Final = "{logbastion}:"
_KEPT_MILLISECONDS: Final = 8 * 86_400_000
_ATTEMPTS: Final = 200
_PAUSE: Final = 0.005
_MICRO: Final = 1_000_000

# KEYS: the book.
_READ: Final = """
local time = redis.call('TIME')
local found = redis.call('HMGET', KEYS[1], 'version', 'book')
return {time[1], time[2], found[1] or '', found[2] or ''}
"""
# KEYS: the book. ARGV: the version that was read, the next one, the new book, milliseconds that it is kept.
_SWAP: Final = """
if (redis.call('HGET', KEYS[1], 'version') or '') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'book', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""


class RedisIncidentStore:
    """Incidents in Redis.

    Args:
        client: a ``redis.Redis``; see :meth:`from_url`.
        prefix: of all keys; the service and its environment are in the key.

    """

    shared: Final = True

    def __init__(self, client: Any, prefix: str = _PREFIX) -> None:
        self._prefix = prefix
        self._read, self._swap = client.register_script(_READ), client.register_script(_SWAP)

    @classmethod
    def from_url(
        cls, url: str, password_file: str | None = None, timeout: float = TIMEOUT, prefix: str = _PREFIX
    ) -> RedisIncidentStore:
        """Make one; connects with the first step. See :func:`logbastion.detection.stores.redis.connect`.

        Raises:
            ValueError: as there.

        """
        return cls(connect(url, password_file, timeout), prefix)

    def update(self, scope: str, change: Callable[[dict[str, Any], float], Result]) -> Result:
        """Change a book.

        Raises:
            redis.RedisError: Redis is away.
            RuntimeError: others were faster each time.

        """
        keys = [f"{self._prefix}incidents:{scope}"]
        for attempt in range(_ATTEMPTS):
            seconds, micro, version, before = self._read(keys=keys)
            book = json.loads(before) if before else {}
            result = change(book, int(seconds) + int(micro) / _MICRO)
            after = json.dumps(book)
            following = str(int(version or 0) + 1)
            if after == before or self._swap(keys=keys, args=[version, following, after, _KEPT_MILLISECONDS]):
                return result
            time.sleep(random.random() * _PAUSE * min(attempt + 1, 8))  # noqa: S311 - no secret
        raise RuntimeError("the book of incidents is changed faster than it can be read")
