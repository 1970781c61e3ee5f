"""The one setting of incident detection, ``logging_config(incidents=...)``.

=============  ==================================================================================================
Key            Says
=============  ==================================================================================================
``patterns``   a project's own entries, or the path of a JSON file with them
``without``    ids of shipped entries that are left out
``timeout``    seconds after which a response counts as failed; 10 when nothing is said
``responses``  by name what is switched on, see :func:`logbastion.incidents.responses.make_responses`; the further
               argument ``on`` lists ids of patterns that are answered so, beside those whose entry says it
``store``      where incidents are that all workers share, see :mod:`logbastion.incidents.stores.named`; by default each
               process has its own
=============  ==================================================================================================

``True`` stands for an empty mapping: the shipped patterns, events and metrics, no response but that of the environment.
``LOGBASTION_INCIDENTS_ALERTMANAGER`` (``host:port``, several separated by commas) switches ``alertmanager`` on where
the setting does not name it, with ``_USERNAME`` and ``_PASSWORD_FILE`` behind that name and ``LOGBASTION_CA_FILE``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from logbastion.incidents.detector import IncidentDetector
from logbastion.incidents.patterns import IncidentPattern, load_patterns, read_patterns
from logbastion.incidents.responses import Response, make_responses
from logbastion.incidents.responses.runner import TIMEOUT, Responder
from logbastion.incidents.stores.named import make_store
from logbastion.names import DEFAULT_ENVIRONMENT

ALERTMANAGER_VARIABLE: Final = "LOGBASTION_INCIDENTS_ALERTMANAGER"
_KEYS: Final = ("patterns", "without", "timeout", "responses", "store")


def checked_options(
    options: Mapping[str, Any] | bool | None,
) -> tuple[tuple[IncidentPattern, ...], dict[str, Response], float]:
    """Return table, responses and time-out of the setting. Opens files, connects nothing.

    Raises:
        ValueError: something in it cannot work, with a sentence.

    """
    asked: Mapping[str, Any] = {} if options is None or isinstance(options, bool) else options
    if not isinstance(asked, Mapping):
        raise ValueError(f"The setting of incidents must be True or a dict, and is of type {type(options).__name__}.")
    unknown = sorted(set(map(str, asked)) - set(_KEYS))
    if unknown:
        raise ValueError(f"The setting of incidents does not know {', '.join(unknown)}. It knows {', '.join(_KEYS)}.")
    make_store(asked.get("store"))  # says now what is wrong
    own, without = asked.get("patterns") or (), asked.get("without") or ()
    entries = read_patterns(own) if isinstance(own, (str, os.PathLike)) else own
    patterns = load_patterns(entries, (without,) if isinstance(without, str) else without)
    responses, patterns = _responses(asked.get("responses") or {}, patterns)
    named = {name for one in patterns for name in one.response}
    unused = sorted(name for name, made in responses.items() if name not in named and not made.for_all)
    if unused:
        raise ValueError(f"No incident pattern names the response {', '.join(unused)}, so it would never run.")
    timeout = asked.get("timeout", TIMEOUT)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= 300:  # noqa: PLR2004
        raise ValueError(f"The time-out of responses must be more than 0 and at most 300 seconds, not {timeout!r}.")
    return patterns, responses, float(timeout)


def with_environment(options: Mapping[str, Any] | bool, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the setting with what the environment adds to it.

    Args:
        options: the setting.
        variables: of the environment.

    """
    found = {} if isinstance(options, bool) else dict(options)
    responses, destinations = found.get("responses") or {}, variables.get(ALERTMANAGER_VARIABLE)
    if not destinations or not isinstance(responses, Mapping) or "alertmanager" in responses:
        return found
    names = {
        "ca_file": "LOGBASTION_CA_FILE",
        "username": f"{ALERTMANAGER_VARIABLE}_USERNAME",
        "password_file": f"{ALERTMANAGER_VARIABLE}_PASSWORD_FILE",
    }
    more = {key: variables[name] for key, name in names.items() if variables.get(name)}
    return {**found, "responses": {**responses, "alertmanager": {"destinations": destinations, **more}}}


def _responses(
    asked: Mapping[str, Any], patterns: tuple[IncidentPattern, ...]
) -> tuple[dict[str, Response], tuple[IncidentPattern, ...]]:
    if not isinstance(asked, Mapping) or not all(isinstance(one, Mapping) for one in asked.values()):
        raise ValueError("The responses to incidents must be a dict of names with a dict of arguments each.")
    known = {one.id for one in patterns}
    for name, arguments in asked.items():
        ids = arguments.get("on", ())
        if isinstance(ids, str) or not set(ids) <= known:
            raise ValueError(
                f"The response {name!r} must have in `on` a list of ids of incident patterns, not {ids!r}."
            )
        patterns = tuple(
            replace(one, response=(*one.response, name)) if one.id in ids and name not in one.response else one
            for one in patterns
        )
    plain = {name: {key: value for key, value in given.items() if key != "on"} for name, given in asked.items()}
    return make_responses(plain), patterns


def detector_from(
    options: Mapping[str, Any] | bool | None, service_name: str | None = None, environment: str | None = None
) -> IncidentDetector:
    """Make the detector of a setting.

    Raises:
        ValueError: as :func:`checked_options`, or the store's package or password is missing.

    """
    patterns, responses, timeout = checked_options(options)
    return IncidentDetector(
        patterns,
        responder=Responder(responses, timeout=timeout),
        service_name=service_name,
        environment=environment or DEFAULT_ENVIRONMENT,
        store=make_store(options.get("store") if isinstance(options, Mapping) else None),
    )
