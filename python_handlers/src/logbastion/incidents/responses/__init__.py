"""Responses: what is done about an incident. Each is off until it is named in the setting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from logbastion.incidents.responses.alertmanager import PostToAlertmanager
from logbastion.incidents.responses.base import Response
from logbastion.incidents.responses.block import BlockAddress
from logbastion.incidents.responses.function import CallFunction
from logbastion.incidents.responses.maintenance import SwitchMaintenance

__all__ = ["Response", "make_responses"]
_OWN: Final[dict[str, Callable[..., Response]]] = {
    "alertmanager": PostToAlertmanager,
    "block_address": BlockAddress,
    "maintenance": SwitchMaintenance,
}


def make_responses(asked: Mapping[str, Mapping[str, Any]]) -> dict[str, Response]:
    """Make the responses that a setting names; nothing else can ever run.

    Args:
        asked: ``alertmanager``, ``block_address`` and ``maintenance`` with the arguments of
            :class:`~logbastion.incidents.responses.alertmanager.PostToAlertmanager`,
            :class:`~logbastion.incidents.responses.block.BlockAddress` and
            :class:`~logbastion.incidents.responses.maintenance.SwitchMaintenance`; any other name is a function of the
            project: ``{"pause_payments": {"function": "school.payments.pause"}}``.

    Raises:
        ValueError: one cannot be made, with a sentence.

    """
    if not isinstance(asked, Mapping):
        raise ValueError("The responses to incidents must be a dict of names.")
    made: dict[str, Response] = {}
    for name, arguments in asked.items():
        if not isinstance(name, str) or not name.isidentifier() or not isinstance(arguments, Mapping):
            raise ValueError(f"The response {name!r} to incidents must be a name with a dict of arguments.")
        try:
            made[name] = _OWN.get(name, CallFunction)(**arguments)
        except (TypeError, ValueError, OSError) as error:
            raise ValueError(f"The response {name!r} to incidents cannot be made: {error}.") from None
    return made
