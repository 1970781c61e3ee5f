"""Sends events to their receiver without making the application wait, and loses none on the way."""

from logbastion.shipping.handler import ShippingHandler
from logbastion.shipping.spool import Block, DropNewest, DropOldest, LaneLimit
from logbastion.shipping.status import ShippingCounts
from logbastion.shipping.transports import TcpTransport

__all__ = [
    "Block",
    "DropNewest",
    "DropOldest",
    "LaneLimit",
    "ShippingCounts",
    "ShippingHandler",
    "TcpTransport",
]
