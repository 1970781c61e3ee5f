"""In Redis (6.2 or newer, or Valkey): one script per step, the server's clock, and short time-outs.

A log-in waits for Redis for at most a connection and an answer of ``timeout`` seconds each; then the breaker
(:mod:`logbastion.detection.breaker`) leaves Redis alone for a while. Needs ``pip install 'logbastion[redis]'``.
"""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from logbastion.detection.stores import redis_scripts
from logbastion.detection.stores.base import (
    LISTED,
    MAX_BLOCKS,
    MAX_KEYS,
    Block,
    BlockPlan,
    Observation,
    Verdict,
)

TIMEOUT: Final = 0.1
"""Seconds. Redis on the same network answers in one thousandth of one."""
# In braces: all keys are on one node of a cluster, which a script over several keys needs.
_PREFIX: Final = "{logbastion}:"
_SECOND: Final = 1_000_000
_UNVERIFIED: Final = ("ssl_cert_reqs", "ssl_check_hostname")


class RedisStore:
    """Counts and blocks in Redis.

    Args:
        client: a ``redis.Redis``; see :meth:`from_url`.
        clock: seconds since 1970; None is the server's own, which all hosts share.
        prefix: of all keys; two applications on one Redis need two.
        max_keys: subjects that are remembered.
        max_blocks: blocks that are remembered.

    """

    def __init__(
        self,
        client: Any,
        clock: Callable[[], float] | None = None,
        prefix: str = _PREFIX,
        max_keys: int = MAX_KEYS,
        max_blocks: int = MAX_BLOCKS,
    ) -> None:
        self._client, self._clock, self._prefix = client, clock, prefix
        self._max_keys, self._max_blocks = max_keys, max_blocks
        self._record = client.register_script(redis_scripts.RECORD)
        self._add = client.register_script(redis_scripts.ADD_BLOCK)
        self._find = client.register_script(redis_scripts.FIND_BLOCK)
        self._remove = client.register_script(redis_scripts.REMOVE_BLOCK)
        self._list = client.register_script(redis_scripts.LIST_BLOCKS)

    @classmethod
    def from_url(
        cls, url: str, password_file: str | None = None, timeout: float = TIMEOUT, **options: Any
    ) -> RedisStore:
        """Make one; connects with the first step.

        Args:
            url: ``rediss://host:6379/0?ssl_ca_certs=/path/ca.crt``, ``redis://127.0.0.1:6379/0`` or ``unix:///path``.
            password_file: holds the password, so that it stands in no setting.
            timeout: seconds for a connection, and for an answer.
            options: further arguments of the class.

        Raises:
            ValueError: the package ``redis`` is missing, the URL cannot be used or switches the verification of TLS
                off, or the file cannot be read.

        """
        return cls(connect(url, password_file, timeout), **options)

    def record(self, observations: Sequence[Observation]) -> list[Verdict]:
        """Note what has happened now."""
        keys = [f"{self._prefix}subjects"]
        arguments: list[Any] = [self._time(), self._max_keys]
        for one in observations:
            keys.append(f"{self._prefix}{one.key}")
            arguments += [one.member, _micro(one.window), one.threshold, _micro(one.cooldown), one.cap]
        answer = self._record(keys=keys, args=arguments)
        return [Verdict(count, bool(alert), tuple(members)) for count, alert, members in answer]

    def add_block(self, network: str, plan: BlockPlan, reason: str, dry_run: bool) -> Block:
        """Block a network."""
        lengths = [_micro(plan.seconds), plan.growth, _micro(plan.max_seconds), _micro(plan.memory_seconds)]
        made = self._add(
            keys=[self._block_key(network), f"{self._prefix}blocks"],
            args=[
                self._time(), network, *lengths, reason, int(dry_run), self._max_blocks, self._block_key("")
            ],
        )  # fmt: skip
        return _block(network, made)

    def find_block(self, network: str) -> Block | None:
        """Return the block of a network, if it has one now."""
        return _if_now(network, self._find(keys=[self._block_key(network)], args=[self._time()]))

    def remove_block(self, network: str) -> Block | None:
        """Lift the block of a network."""
        keys = [self._block_key(network), f"{self._prefix}blocks"]
        return _if_now(network, self._remove(keys=keys, args=[self._time(), network]))

    def blocks(self) -> list[Block]:
        """Return what is blocked now."""
        networks = self._list(keys=[f"{self._prefix}blocks"], args=[self._time(), LISTED])
        found = [self.find_block(network) for network in networks]
        return [block for block in found if block is not None]

    def _block_key(self, network: str) -> str:
        return f"{self._prefix}block:{network}"

    def _time(self) -> str | int:
        return "" if self._clock is None else _micro(self._clock())


def connect(url: str, password_file: str | None, timeout: float) -> Any:
    """Return a ``redis.Redis`` that connects with its first command and gives up soon.

    Args:
        url: see :meth:`RedisStore.from_url`.
        password_file: the same.
        timeout: seconds for a connection, and for an answer.

    Raises:
        ValueError: as there.

    """
    try:
        import redis  # noqa: PLC0415 - an extra
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415
    except ImportError:
        raise ValueError("A store in Redis needs the package redis: pip install 'logbastion[redis]'.") from None
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    if any(name in asked for name in _UNVERIFIED):
        raise ValueError("The URL of Redis must not switch the verification of TLS off: name ssl_ca_certs instead.")
    password = {}
    if password_file:
        try:
            password = {"password": Path(password_file).read_text(encoding="utf-8").strip()}
        except (OSError, ValueError) as error:
            raise ValueError(f"The password of Redis cannot be read: {error}") from None
    # A connection that a restart of Redis has broken is tried once more; whoever is slow is not asked again.
    retry = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    return redis.Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=retry, decode_responses=True, **password
    )


def in_the_open(url: str) -> str | None:
    """Return the host that a URL sends to over the network without TLS; None when it does not."""
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "redis" or host in {"", "localhost"}:
        return None
    try:
        return None if ipaddress.ip_address(host).is_loopback else host
    except ValueError:
        return host


def _micro(seconds: float) -> int:
    return round(seconds * _SECOND)


def _if_now(network: str, found: Any) -> Block | None:
    block = _block(network, found) if found else None
    return block if block is not None and block.remaining > 0 else None


def _block(network: str, found: Any) -> Block:
    since, until, number, reason, dry_run, now, new = found
    remaining = max(0.0, (int(until) - int(now)) / _SECOND)
    return Block(
        network, int(since) / _SECOND, int(until) / _SECOND, int(number), reason, dry_run == "1", remaining, bool(new)
    )
