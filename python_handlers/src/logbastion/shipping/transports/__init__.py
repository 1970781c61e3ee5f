"""Ways of sending events, one module each; :mod:`logbastion.shipping.transports.base` says what they have in common."""

from logbastion.shipping.transports.base import Promise, Receipt, Refusal, Transport, TransportError
from logbastion.shipping.transports.beats import BeatsTransport
from logbastion.shipping.transports.elasticsearch import ElasticsearchTransport
from logbastion.shipping.transports.http import HttpTransport
from logbastion.shipping.transports.named import make_transport
from logbastion.shipping.transports.tcp import TcpTransport
from logbastion.shipping.transports.udp import UdpTransport

__all__ = [
    "TRANSPORTS",
    "BeatsTransport",
    "ElasticsearchTransport",
    "HttpTransport",
    "Promise",
    "Receipt",
    "Refusal",
    "TcpTransport",
    "Transport",
    "TransportError",
    "UdpTransport",
    "make_transport",
]

# The type checker sees here that each of them is a Transport.
TRANSPORTS: tuple[type[Transport], ...] = (
    TcpTransport,
    ElasticsearchTransport,
    HttpTransport,
    BeatsTransport,
    UdpTransport,
)
"""All there are."""
