"""Whom a failure is counted for: the network of an address, an account, a user; and the keys that stand for them."""

from __future__ import annotations

import hmac
import ipaddress
import unicodedata
from typing import Final, TypeAlias

from logbastion.sanitize import without_controls

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
_IPV6_PREFIX: Final = 64
"""What a provider gives to one customer at least (RFC 6177, RIPE-690): who has it can send from each address in it."""
_MAX_NAME: Final = 4096
_DIGITS: Final = 32
"""Hexadecimal digits of a key: 128 bits."""


def address_of(text: object) -> Address | None:
    """Return the address that a text is, an IPv4 one for ``::ffff:192.0.2.1``; None when it is none."""
    try:
        address = ipaddress.ip_address(str(text).strip().partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def network_of(address: Address) -> str:
    """Return the network that counts as one client: an IPv4 address alone, of IPv6 the /64 (RFC 5952 spelling)."""
    if address.version == 4:  # noqa: PLR2004
        return str(address)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, _IPV6_PREFIX)))


def account_of(name: object) -> str:
    """Return the one spelling of a user name or e-mail address; empty when nothing was typed.

    Unicode form NFKC, without invisible characters, without regard to case: full-width letters, ligatures and
    zero-width characters are no second account. Letters that only look alike, such as a Cyrillic and a Latin ``a``,
    stay different: for Django they are different accounts, so guessing at one is not guessing at the other, and to
    take them for one would let somebody raise alarms about another person's account. Failures with them count for
    their address all the same.
    """
    if not isinstance(name, str):
        return ""
    folded = without_controls(unicodedata.normalize("NFKC", name[:_MAX_NAME])).strip().casefold()
    return unicodedata.normalize("NFKC", folded)


class Subjects:
    """Makes the keys under which a store counts: HMAC-SHA-256, so that it holds neither names nor addresses.

    Args:
        key: a secret that all processes share. With another one, counting starts anew.

    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, kind: str, value: str) -> str:
        """Return 32 hexadecimal digits for a value of a kind."""
        message = f"logbastion detection\0{kind}\0{value}".encode("utf-8", "surrogatepass")
        return hmac.new(self._key, message, "sha256").hexdigest()[:_DIGITS]
