"""When the certificates of a PEM file expire.

The standard library has no public parser for a certificate that is no authority's, so the few fields in front of the
validity are stepped over here (RFC 5280, 4.1: version, serial number, signature, issuer, validity). Nothing else is
read, and no signature is checked: that is the connection's business.
"""

from __future__ import annotations

import datetime
import re
import ssl
from typing import Final

MAX_FILE_BYTES: Final = 4 * 1024 * 1024
"""Larger files are no bundle of certificates; the bundles of the public authorities have less than 300 KiB."""
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_LONG_FORM: Final = 0x80
_MOST_LENGTH_BYTES: Final = 4
_PIVOT: Final = 50  # RFC 5280, 4.1.2.5.1: years from 50 belong to the last century


def expiry_dates(pem: str) -> list[datetime.datetime]:
    """Return when each certificate of a text expires, in UTC, in the order of the text.

    Raises:
        ValueError: there is no certificate, or one of them is damaged.

    """
    found = _PEM.findall(pem)
    if not found:
        raise ValueError("there is no certificate in PEM form")
    return [_not_after(ssl.PEM_cert_to_DER_cert(block)) for block in found]


def _not_after(certificate: bytes) -> datetime.datetime:
    _, body, _ = _element(certificate, 0)
    _, fields, _ = _element(body, 0)
    tag, _, position = _element(fields, 0)
    # The version is left out when it is 1. After it come serial number, signature and issuer.
    for _ in range(3 if tag == _VERSION else 2):
        _, _, position = _element(fields, position)
    tag, validity, _ = _element(fields, position)
    if tag != _SEQUENCE:
        raise ValueError("a certificate has no validity where it belongs")
    _, _, position = _element(validity, 0)
    tag, text, _ = _element(validity, position)
    return _time(tag, text.decode("ascii"))


def _element(data: bytes, position: int) -> tuple[int, bytes, int]:
    """Return tag, content and the position behind the element (ITU-T X.690, 8.1)."""
    try:
        tag, length, begin = data[position], data[position + 1], position + 2
        if length >= _LONG_FORM:
            count = length - _LONG_FORM
            if not 0 < count <= _MOST_LENGTH_BYTES:
                raise ValueError("a certificate has a length that cannot be")
            length = int.from_bytes(data[begin : begin + count], "big")
            begin += count
    except IndexError:
        raise ValueError("a certificate ends too early") from None
    end = begin + length
    if end > len(data):
        raise ValueError("a certificate ends too early")
    return tag, data[begin:end], end


def _time(tag: int, text: str) -> datetime.datetime:
    if tag == _UTC_TIME:
        text = f"{'19' if int(text[:2]) >= _PIVOT else '20'}{text}"
    elif tag != _GENERALIZED_TIME:
        raise ValueError("a certificate's validity has no date")
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
