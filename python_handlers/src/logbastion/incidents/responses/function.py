"""A project's own function as a response."""

from __future__ import annotations

import importlib
import re
from typing import Final

from logbastion.incidents.reports import IncidentReport, Phase

_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)


class CallFunction:
    """Calls a function with the :class:`~logbastion.incidents.IncidentReport` when an incident opens.

    What it returns is recorded, in at most 500 characters. It is imported when it is first needed, because settings are
    read before the application's modules can be.

    Args:
        function: its dotted name, such as ``school.payments.pause``.

    Raises:
        ValueError: that is no dotted name.

    """

    phases: Final = ("opened",)
    for_all: Final = False
    cooldown: Final = float("inf")

    def __init__(self, function: str) -> None:
        if not isinstance(function, str) or not _DOTTED.fullmatch(function):
            raise ValueError(f"function must be a dotted name such as 'school.payments.pause', and not {function!r}")
        self._module, _, self._name = function.rpartition(".")

    def __call__(self, report: IncidentReport, _phase: Phase) -> object:
        """Import and call."""
        return getattr(importlib.import_module(self._module), self._name)(report)
