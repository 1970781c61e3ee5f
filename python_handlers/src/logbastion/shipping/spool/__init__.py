"""Keeps events between the logging call and the receiver: on the disk, in order, bounded, one lane for each stream."""

from logbastion.shipping.spool.lane import Batch
from logbastion.shipping.spool.policies import DEFAULT_LIMITS, Block, DropNewest, DropOldest, LaneLimit, Policy
from logbastion.shipping.spool.spool import Durability, Spool

__all__ = [
    "DEFAULT_LIMITS",
    "Batch",
    "Block",
    "DropNewest",
    "DropOldest",
    "Durability",
    "LaneLimit",
    "Policy",
    "Spool",
]
