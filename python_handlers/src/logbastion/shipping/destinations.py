"""Addresses of receivers as people write them."""

from __future__ import annotations

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
    host, colon, port = part.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"The destination {part!r} is unclear: write an IPv6 address in brackets, [2001:db8::1]:5959.")
    if not colon or not host or not port.isascii() or not port.isdigit() or not 0 < int(port) <= _MAX_PORT:
        raise ValueError(f"The destination {part!r} cannot be used: write host:port, for example observer:5959.")
    return Destination(host, int(port))
