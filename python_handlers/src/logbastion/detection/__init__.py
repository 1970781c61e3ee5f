"""Sees guessed passwords and unusual access to data across all workers and hosts, and blocks addresses for a time.

Django applications set ``LOGBASTION_DETECTION`` (see :mod:`logbastion.django.detection.setup`); a program without
Django makes a :class:`SecurityEventDetector` with a store and hands it to :func:`configure_detection`.
"""

from logbastion.detection.active import configure_detection, security_detector, trigger_ip_block
from logbastion.detection.blocks import Blocks
from logbastion.detection.breaker import Breaker
from logbastion.detection.detector import SecurityEventDetector
from logbastion.detection.rules import RULES, Rule
from logbastion.detection.stores.base import Block, BlockPlan
from logbastion.detection.stores.memory import MemoryStore

__all__ = [
    "RULES",
    "Block",
    "BlockPlan",
    "Blocks",
    "Breaker",
    "MemoryStore",
    "Rule",
    "SecurityEventDetector",
    "configure_detection",
    "security_detector",
    "trigger_ip_block",
]
