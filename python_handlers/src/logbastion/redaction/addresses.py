"""Finds e-mail addresses and addresses of the network."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from logbastion.redaction.markers import Finding

# What may stand in an unquoted local part (RFC 5321, RFC 6531), seen backwards from the "@".
_LOCAL: Final = re.compile(r"[\w.+\-!#$%&'*/=?^`{|}~]{1,64}\Z")
_QUOTED_LOCAL: Final = re.compile(r"\\{0,8}\"[^\"@\r\n\\=:{}\[\],]{1,60}\\{0,8}\"\Z")
_DOMAIN: Final = re.compile(
    r"(?:[\w\-]{1,63}\.){1,8}[^\W\d_][\w\-]{1,62}|[\w\-]{1,63}(?!\w|\.\w)|\[[0-9A-Fa-f:.]{3,45}\]"
)
# "ana(at)x.pt", "ana [at] x [dot] pt": in brackets only, because "at" is a word.
_SPELT: Final = re.compile(
    r"(?i)(?<![\w.+\-])[\w.+\-]{1,64}[ \t]?[(\[](?:at|arroba)[)\]][ \t]?"
    r"(?:[\w\-]{1,63}(?:\.|[ \t]?[(\[](?:dot|ponto)[)\]][ \t]?)){1,8}[^\W\d_]{2,63}"
)
# Addresses of a machine's own programs; anybody else at "localhost" is a person.
_PROGRAMS: Final = re.compile(
    r"(?i)(?:root|postgres|mysql|redis|rabbit\w*|guest|celery[\w\-]*|worker[\w\-]*|django|www-data|nobody|git|daemon|gen\d+)"
)
HIDDEN: Final = "***"
"""What stands for a local part that was masked."""
_NEVER_FIRST: Final = "=&/?'`{|}*!#$%^.-"
_V4: Final = re.compile(r"(?<![\w.\-])(?:\d{1,3}\.){3}\d{1,3}(?![\w\-]|\.\d)")
# Addresses that are given out begin with four digits; "a::b" is more often a name in a programming language.
_V6: Final = re.compile(
    r"(?:(?<![\w:.])|(?<=[A-Za-z_]{2}:))(?:[0-9A-Fa-f]{4}|(?=::ffff:))(?:[0-9A-Fa-f]{0,4}:){2,8}"
    r"(?:[0-9A-Fa-f]{1,4}|(?:\d{1,3}\.){3}\d{1,3})?(?![\w:])"
)
_VERSION: Final = re.compile(r"(?i)(?:\bv|version|vers\u00e3o|release|build)[\s:=]{0,3}\Z")
_V4_DOTS: Final = 3
_V4_KEPT: Final = 24
_V6_KEPT: Final = 48
_BEFORE: Final = 12


def find_emails(text: str) -> Iterator[Finding]:
    """Yield e-mail addresses. To be asked of texts with an ``@``."""
    at = text.find("@")
    while at >= 0:
        local = _LOCAL.search(text, max(0, at - 64), at) or _QUOTED_LOCAL.search(text, max(0, at - 70), at)
        domain = _DOMAIN.match(text, at + 1) if local else None
        if local and domain:
            if local.re is _QUOTED_LOCAL:
                yield Finding(local.start(), domain.end(), "email")
                at = text.find("@", at + 1)
                continue
            start = local.start()
            # A "/" or "=" may belong to an address, but far more often to what stands before it.
            for sign in "=/&?`{|}":
                start = max(start, text.rfind(sign, start, at) + 1)
            start = _after_quote(text, start, at)
            while start < at and text[start] in _NEVER_FIRST:
                start += 1
            whole = "." in domain.group() or ":" in domain.group()
            whole = whole or (domain.group().lower() == "localhost" and not _PROGRAMS.fullmatch(text, start, at))
            if start < at and whole and not _is_harmless(text, start, at, domain.end()):
                yield Finding(start, domain.end(), "email")
        at = text.find("@", at + 1)


def find_spelt_emails(text: str) -> Iterator[Finding]:
    """Yield e-mail addresses with ``(at)`` or ``[at]`` in the place of the ``@``."""
    for match in _SPELT.finditer(text):
        yield Finding(match.start(), match.end(), "email")


def _after_quote(text: str, start: int, at: int) -> int:
    """Return the place behind a quote that opens a text; the one of o'neill, doubled in SQL, opens none."""
    quote = first = text.rfind("'", start, at)
    while first > start and text[first - 1] == "'":
        first -= 1
    return start if quote < start or (first > start and text[first - 1].isalnum()) else quote + 1


def _is_harmless(text: str, start: int, at: int, end: int) -> bool:
    """Say whether it is an address that was masked before, or that of a repository."""
    return text[start:at].endswith(HIDDEN) or (text[start:at] == "git" and text[end : end + 1] == ":")


def find_ips(text: str) -> Iterator[Finding]:
    """Yield IPv4 and IPv6 addresses of people's machines: not loopback, unspecified or multicast."""
    for match in _V4.finditer(text) if text.count(".") >= _V4_DOTS else ():
        if is_personal(match.group()) and not _VERSION.search(text, max(0, match.start() - _BEFORE), match.start()):
            yield Finding(match.start(), match.end(), "ip")
    if text.count(":") > 1:
        for match in _V6.finditer(text):
            if is_personal(match.group()):
                yield Finding(match.start(), match.end(), "ip")


def is_personal(candidate: str) -> bool:
    """Say whether a text is an address that may be that of somebody's machine."""
    try:
        address = ipaddress.ip_address(candidate)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local)


def truncated(address: str) -> str:
    """Return the network of an address: 24 bits of IPv4, 48 of IPv6, the rest zero.

    Raises:
        ValueError: it is no address.

    """
    found = ipaddress.ip_address(address)
    kept = _V4_KEPT if found.version == 4 else _V6_KEPT  # noqa: PLR2004
    return str(ipaddress.ip_network((found, kept), strict=False).network_address)
