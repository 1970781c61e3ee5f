"""Addresses of receivers as people write them, and the order in which they are tried."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

_MAX_PORT: Final = 65535


class Destination(NamedTuple):
    """A host name or address, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_destinations(text: str | Sequence[str]) -> tuple[Destination, ...]:
    """Return the destinations in ``host:port,host:port`` or in a sequence of ``host:port``.

    Raises:
        ValueError: none is given, or one has no host, no port, or a port outside 1 to 65535.

    """
    parts = text.split(",") if isinstance(text, str) else list(text)
    found = tuple(_parse(part.strip()) for part in parts if part.strip())
    if not found:
        raise ValueError("No destination is given: write host:port, several separated by commas.")
    return found


def _parse(part: str) -> Destination:
    scheme, separator, _ = part.partition("://")
    if separator:
        raise ValueError(
            f"The destination {part!r} begins with {scheme}://: write host:port alone. How events are sent is the "
            "transport's choice."
        )
    host, colon, port = part.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"The destination {part!r} is unclear: write an IPv6 address in brackets, [2001:db8::1]:5959.")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= _MAX_PORT:
        raise ValueError(f"The destination {part!r} cannot be used: write host:port, for example observer:5959.")
    return Destination(host, int(port))


class Route:
    """Says which destination is tried next: the first one written, unless it has failed a short while ago.

    Args:
        destinations: in the order of preference.
        avoid_seconds: how long one that has failed is put behind the others.

    """

    def __init__(self, destinations: Sequence[Destination], avoid_seconds: float = 30.0) -> None:
        self.destinations = tuple(destinations)
        self._avoid_seconds = avoid_seconds
        self._failed: dict[int, float] = {}

    def order(self) -> list[int]:
        """Return the indexes of all destinations, the one to try first at the front."""
        now = time.monotonic()
        recent = {index: at for index, at in self._failed.items() if now - at < self._avoid_seconds}
        # Of those that have failed, the one that has been left alone for longest.
        return sorted(range(len(self.destinations)), key=lambda index: (recent.get(index, 0.0), index))

    def failed(self, index: int) -> None:
        """Put a destination behind the others for a while."""
        self._failed[index] = time.monotonic()

    def worked(self, index: int) -> None:
        """Forget that a destination has failed."""
        self._failed.pop(index, None)

    def has_other(self) -> bool:
        """Say whether there is a destination that has not failed a short while ago."""
        now = time.monotonic()
        return any(
            now - self._failed.get(index, -self._avoid_seconds) >= self._avoid_seconds
            for index in range(len(self.destinations))
        )
