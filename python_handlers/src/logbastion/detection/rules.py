"""What is taken for an attack: one table, with the guide's thresholds first."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
CAP: Final = 256
"""The most that is remembered for one subject of one rule; also the highest threshold."""


@dataclass(frozen=True)
class Rule:
    """One rule. It holds when a subject has ``threshold`` of what is counted within any ``window_seconds``.

    Args:
        name: of the rule.
        subject: whom it counts for; an address is a network, see :func:`logbastion.detection.subjects.network_of`.
        counts: each failure, or the different addresses, accounts or schools.
        threshold: from which number on, 2 to 256.
        window_seconds: how far back; it slides, so no burst falls between two windows.
        cooldown_seconds: how long a subject is not alerted on again.
        alert_type: of the event.
        level: of the event, a number of :mod:`logging`.
        severity: the guide's word.
        message: of the event.
        blocks: whether the address is blocked.

    Raises:
        ValueError: a number is out of its range.

    """

    name: str
    subject: Literal["address", "account", "user"]
    counts: Literal["failures", "addresses", "accounts", "schools"]
    threshold: int
    window_seconds: float
    cooldown_seconds: float
    alert_type: str
    level: int
    severity: str
    message: str
    blocks: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.threshold <= CAP:  # noqa: PLR2004
            raise ValueError(f"The rule {self.name!r} of detection needs a threshold from 2 to {CAP}.")
        if not (0 < self.window_seconds <= _DAY and self.cooldown_seconds > 0):
            raise ValueError(f"The rule {self.name!r} of detection needs a window of at most a day, and a cooldown.")


RULES: Final[dict[str, Rule]] = {
    rule.name: rule
    for rule in (
        # The guide's: five failures within 15 minutes.
        Rule(
            "address", "address", "failures", 5, 15 * _MINUTE, 15 * _MINUTE,
            "brute_force_attack", logging.CRITICAL, "HIGH", "SECURITY ALERT: Brute force attack detected", blocks=True,
        ),
        # One account from many addresses: a botnet. Blocking the account would lock its owner out, so it is told alone.
        Rule(
            "account", "account", "addresses", 5, 15 * _MINUTE, 15 * _MINUTE,
            "distributed_guessing", logging.CRITICAL, "HIGH",
            "SECURITY ALERT: One account is guessed at from many addresses",
        ),
        # Many accounts from one address, slower than the first rule.
        Rule(
            "accounts", "address", "accounts", 5, _HOUR, _HOUR,
            "password_spraying", logging.CRITICAL, "HIGH", "SECURITY ALERT: One address tries many accounts",
            blocks=True,
        ),
        # So slowly that 15 minutes see nothing. A school behind one address has people who mistype: not blocked.
        Rule(
            "address_slowly", "address", "failures", 30, _DAY, _DAY,
            "slow_guessing", logging.WARNING, "MEDIUM", "Passwords are guessed slowly from one address",
        ),
        Rule(
            "account_slowly", "account", "failures", 20, _DAY, _DAY,
            "slow_guessing", logging.WARNING, "MEDIUM", "The password of one account is guessed slowly",
        ),
        # The guide's: more than three schools.
        Rule(
            "schools", "user", "schools", 4, _HOUR, _HOUR,
            "data_access_anomaly", logging.WARNING, "MEDIUM", "Unusual multi-school data access pattern",
        ),
    )
}  # fmt: skip
"""The rules by name. ``replace`` or :func:`changed_rules` make others."""
_CHANGEABLE: Final = frozenset({"threshold", "window_seconds", "cooldown_seconds", "blocks"})


def changed_rules(changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Rule]:
    """Return the rules with other numbers.

    Args:
        changes: by name of the rule ``threshold``, ``window_seconds``, ``cooldown_seconds`` or ``blocks``.

    Raises:
        ValueError: there is no such rule or number, or it is out of its range.

    """
    rules = dict(RULES)
    for name, values in changes.items():
        unknown = set(values) - _CHANGEABLE
        if name not in rules or unknown:
            raise ValueError(
                f"Detection has no rule {name!r} with {', '.join(sorted(unknown)) or 'that name'}: the rules are "
                f"{', '.join(RULES)}, and {', '.join(sorted(_CHANGEABLE))} can be changed."
            )
        rules[name] = replace(rules[name], **values)
        if rules[name].blocks and rules[name].subject != "address":
            raise ValueError(f"The rule {name!r} of detection cannot block: it is about no address.")
    return rules
