"""What becomes of a person's events in each stream, from the table ``rules.json`` and what a project changes in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

from logbastion.streams import STREAMS

DELETE: Final = "delete"
ANONYMISE: Final = "anonymise"
ACTIONS: Final = (DELETE, ANONYMISE)
_DATA_STREAM: Final = "logs-django."


@dataclass(frozen=True)
class Rule:
    """What is done with a person's events of one stream.

    Args:
        action: ``delete`` or ``anonymise``.
        reason: a sentence with the article of the GDPR.

    """

    action: str
    reason: str


@dataclass(frozen=True)
class Rules:
    """The rule of each stream. :meth:`standard` gives those of the table.

    Args:
        of_stream: stream to rule.
        otherwise: for events of a stream that is not known.

    """

    of_stream: Mapping[str, Rule]
    otherwise: Rule

    @classmethod
    def standard(cls, changed: Mapping[str, str] | None = None) -> Rules:
        """Return the rules of the table.

        Args:
            changed: stream to ``delete`` or ``anonymise``, in place of the table's.

        Raises:
            ValueError: a stream or an action is not known.

        """
        table = standard_table()
        rules = {entry["stream"]: Rule(entry["action"], entry["reason"]) for entry in table["streams"]}
        for stream, action in (changed or {}).items():
            if stream not in STREAMS:
                raise ValueError(f"there is no stream {stream!r}; the streams are {', '.join(STREAMS)}")
            if action not in ACTIONS:
                raise ValueError(f"the action for {stream} is {action!r}; choose from {', '.join(ACTIONS)}")
            if action != rules[stream].action:
                rules[stream] = Rule(action, "Decided by whoever ran the erasure.")
        return cls(MappingProxyType(rules), Rule(**table["otherwise"]))

    def rule_for(self, stream: str) -> Rule:
        """Return the rule of a stream.

        Args:
            stream: its name, or that of its data stream (``logs-django.audit-production``).

        """
        name = stream.removeprefix(_DATA_STREAM).partition("-")[0]
        return self.of_stream.get(name, self.otherwise)

    def action_for(self, stream: str) -> str:
        """Return ``delete`` or ``anonymise``; see :meth:`rule_for`."""
        return self.rule_for(stream).action


@lru_cache(maxsize=1)
def standard_table() -> Mapping[str, Any]:
    """Return the table ``rules.json``."""
    table: dict[str, Any] = json.loads(files("logbastion.erasure").joinpath("rules.json").read_text(encoding="utf-8"))
    return MappingProxyType(table)
