"""Sends events to the ingest without making the application wait."""

from logbastion.shipping.handler import ShippingHandler
from logbastion.shipping.tcp import TcpTlsTransport
from logbastion.shipping.transport import Transport, TransportError

__all__ = ["ShippingHandler", "TcpTlsTransport", "Transport", "TransportError"]
