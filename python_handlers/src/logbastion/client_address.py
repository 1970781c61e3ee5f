"""What a request says about its client: the address that may be believed, and the user agent.

``X-Forwarded-For`` is written by whoever sends the request; only what a proxy of one's own has appended to it can be
believed (OWASP ASVS 5.0, 4.1.3 and 15.3.4). So the header is read from the right, and only when the connection itself
comes from a trusted proxy. The headers ``Forwarded`` (RFC 7239) and ``X-Real-IP`` are not read.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

VARIABLE: Final = "LOGBASTION_TRUSTED_PROXIES"
UNIX_SOCKET: Final = "unix"
"""Stands in a list of trusted proxies for a peer without an address: a proxy that comes over a Unix socket."""
_MAX_HOPS: Final = 32
_MAX_HOP_LENGTH: Final = 64
_MAX_USER_AGENT: Final = 512
_HEADER: Final = "HTTP_X_FORWARDED_FOR"
_BRACKETED: Final = re.compile(r"\[([^\[\]]*)\](?::[0-9]{1,5})?")
_IPV4_AND_PORT: Final = re.compile(r"([0-9.]+):[0-9]{1,5}")

_Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
_Network: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"


class TrustedProxies:
    """The networks whose word about the client is believed.

    Args:
        networks: addresses and networks as text (``10.0.0.5``, ``10.0.0.0/8``, ``2001:db8::/32``), separated by commas
            or spaces, or as an iterable of texts. The word ``unix`` stands for a peer that has no address, because it
            comes over a Unix socket: gunicorn then gives an empty ``REMOTE_ADDR``.

    Raises:
        ValueError: with a sentence, when an entry is no network, has bits set beyond its prefix, or is a network of
            everybody (``0.0.0.0/0``): trusting everybody means believing what the client writes.

    """

    def __init__(self, networks: str | Iterable[str] = ()) -> None:
        entries = networks.replace(",", " ").split() if isinstance(networks, str) else [*networks]
        self._unix = UNIX_SOCKET in entries
        self._networks = tuple(_network(entry) for entry in entries if entry != UNIX_SOCKET)

    def __repr__(self) -> str:
        unix = [UNIX_SOCKET] if self._unix else []
        return f"TrustedProxies({', '.join([*unix, *map(str, self._networks)])!r})"

    def trusts(self, address: _Address | None) -> bool:
        """Say whether an address is a trusted proxy's; None stands for a peer without an address."""
        if address is None:
            return self._unix
        return any(address in network for network in self._networks)


def get_client_ip(request: Any, trusted_proxies: TrustedProxies | str | Iterable[str] | None = None) -> str | None:
    """Return the client's address, or None when it is not known. The text is always a valid address.

    * The connection's peer (``REMOTE_ADDR``) is no trusted proxy: it is the client, whatever the headers say.
    * It is one: ``X-Forwarded-For`` is read from the right. The first address that is no trusted proxy's is the client.
      What stands to the left of it was written by the client and is never looked at.
    * All are trusted: the left-most, a client within one's own network. No header: the peer itself.
    * Something that is no address (``unknown``, RFC 7239, 6.2) is met first: None. A trusted proxy did not know, and
      its own address would be wrong: who blocks attackers by it would block the proxy.
    * ``REMOTE_ADDR`` is empty or missing (a Unix socket): None, unless ``unix`` is among the trusted proxies.

    Several header lines, ports, brackets and zones are understood. ``::ffff:192.0.2.1`` becomes ``192.0.2.1``; IPv6 is
    written as RFC 5952 has it. Where the server itself has put the client into ``REMOTE_ADDR`` already (nginx's
    ``realip``, uvicorn's ``--proxy-headers``), leave the list empty.

    Args:
        request: a Django request, or anything with a mapping ``META``.
        trusted_proxies: see :class:`TrustedProxies`; by default what :func:`set_trusted_proxies` was told or, without
            it, the environment variable ``LOGBASTION_TRUSTED_PROXIES``. None of them: nobody is trusted.

    Raises:
        ValueError: ``trusted_proxies`` was given and is wrong. A wrong environment variable trusts nobody and is
            reported once on ``system.log_management``.

    """
    if trusted_proxies is None:
        trusted = proxies_in_use()
    elif isinstance(trusted_proxies, TrustedProxies):
        trusted = trusted_proxies
    else:
        trusted = TrustedProxies(trusted_proxies)
    try:
        client = _client_of(_meta(request), trusted)
    except Exception:  # a request that is none
        return None
    return str(client) if client is not None else None


def get_user_agent(request: Any) -> str | None:
    """Return the first 512 characters of the request's ``User-Agent``, or None."""
    value = _meta(request).get("HTTP_USER_AGENT")
    return value[:_MAX_USER_AGENT] if isinstance(value, str) and value else None


_told: TrustedProxies | None = None


def set_trusted_proxies(networks: TrustedProxies | str | Iterable[str] | None) -> None:
    """Set the trusted proxies of this process; None goes back to the environment variable.

    Raises:
        ValueError: see :class:`TrustedProxies`.

    """
    global _told  # noqa: PLW0603 - one setting of the process, written when it starts
    _told = networks if networks is None or isinstance(networks, TrustedProxies) else TrustedProxies(networks)


def proxies_from_environment() -> TrustedProxies:
    """Return what the environment variable ``LOGBASTION_TRUSTED_PROXIES`` says; without it nobody is trusted.

    Raises:
        ValueError: see :class:`TrustedProxies`.

    """
    return TrustedProxies(os.environ.get(VARIABLE, ""))


def proxies_in_use() -> TrustedProxies:
    """Return the trusted proxies of this process. Never raises."""
    return _told if _told is not None else _from_variable(os.environ.get(VARIABLE, ""))


@lru_cache(maxsize=4)  # reports a wrong value once, too
def _from_variable(value: str) -> TrustedProxies:
    try:
        return TrustedProxies(value)
    except ValueError as error:
        logging.getLogger("system.log_management").error(
            "%s cannot be used, so no proxy is trusted: %s", VARIABLE, error, extra={"event_type": "logging_setting"}
        )
        return TrustedProxies()


def _network(entry: object) -> _Network:
    try:
        network = ipaddress.ip_network(str(entry))
    except ValueError as error:
        raise ValueError(
            f"The trusted proxy {entry!r} is no network ({error}). Write addresses and networks such as 10.0.0.5 or "
            f"10.0.0.0/8, or {UNIX_SOCKET} for a proxy that comes over a Unix socket."
        ) from None
    if network.prefixlen == 0:
        raise ValueError(
            f"The trusted proxy {entry!r} is everybody: then each client could choose its address. Name the networks "
            "of your proxies."
        )
    return network


def _meta(request: Any) -> Mapping[str, Any]:
    try:
        meta = getattr(request, "META", None)
        return meta if isinstance(meta, Mapping) else {}
    except Exception:  # a hostile request object
        return {}


def _client_of(meta: Mapping[str, Any], trusted: TrustedProxies) -> _Address | None:
    given = meta.get("REMOTE_ADDR")
    peer = _address(given) if isinstance(given, str) and given else None
    if peer is None and given:  # text that is no address, such as a server's `localhost`, is nobody's
        return None
    if not trusted.trusts(peer):
        return peer
    header = meta.get(_HEADER)
    client = peer
    for hop in reversed(header.rsplit(",", _MAX_HOPS) if isinstance(header, str) else []):
        text = hop.strip(" \t")
        if not text:  # RFC 9110, 5.6.1.2: empty elements of a list are ignored
            continue
        client = _address(text)
        if client is None or not trusted.trusts(client):
            break
    return client


def _address(text: str) -> _Address | None:
    if len(text) > _MAX_HOP_LENGTH:
        return None
    bracketed, with_port = _BRACKETED.fullmatch(text), _IPV4_AND_PORT.fullmatch(text)
    if bracketed:
        text = bracketed[1]
        if ":" not in text:
            return None
    elif with_port:
        text = with_port[1]
    try:
        # A zone (fe80::1%eth0) means something on one machine only, and Elasticsearch's type `ip` refuses it.
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # A server that listens on both families shows IPv4 clients like this; one client must have one text.
    return getattr(address, "ipv4_mapped", None) or address
