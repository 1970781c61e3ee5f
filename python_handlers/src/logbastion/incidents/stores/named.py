"""The setting of the store, ``logging_config(incidents={"store": ...})``.

================  ================================================================================================
Kind              Further keys
================  ================================================================================================
``memory``        none; each process has its own incidents. The default
``redis``         ``url``, ``password_file``, ``timeout`` (0.5 s), ``prefix`` (of the keys)
``database``      ``database`` (``default``), of Django's ``DATABASES``; needs ``logbastion.django.incidents``
================  ================================================================================================

The kind alone may stand for a mapping with ``kind``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from logbastion.incidents.stores.base import IncidentStore, Result
from logbastion.incidents.stores.redis import RedisIncidentStore

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "memory": (),
    "redis": ("url", "password_file", "timeout", "prefix"),
    "database": ("database",),
}
_MOST_SECONDS: Final = 10
_providers: dict[str, Callable[..., IncidentStore]] = {}


def provide_store(kind: str, make: Callable[..., IncidentStore]) -> None:
    """Say who makes stores of a kind: Django's, whose models are there later than logging is."""
    _providers[kind] = make


class ProvidedStore:
    """A store that :func:`provide_store` is to give; until then it is away.

    Args:
        kind: of :data:`KINDS`.
        options: for whoever makes it.

    """

    shared: Final = True

    def __init__(self, kind: str, **options: Any) -> None:
        self.kind, self._options = kind, options
        self._made: IncidentStore | None = None

    def update(self, scope: str, change: Callable[[dict[str, Any], float], Result]) -> Result:
        """Change a book.

        Raises:
            RuntimeError: nobody has provided the store.

        """
        if self._made is None:
            if self.kind not in _providers:
                raise RuntimeError("nobody provides the store: 'logbastion.django.incidents' is not in INSTALLED_APPS")
            self._made = _providers[self.kind](**self._options)
        return self._made.update(scope, change)


def checked_store(asked: object) -> dict[str, Any]:
    """Return the setting as a mapping with ``kind``.

    Raises:
        ValueError: with a sentence, when it cannot work.

    """
    given = {"kind": asked} if isinstance(asked, str) else {} if asked is None else asked
    if not isinstance(given, Mapping):
        raise ValueError(f"The store of incidents must be a name or a dict, and is of type {type(asked).__name__}.")
    store = {"kind": "memory", **given}
    kind = store["kind"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"The store of incidents must be one of {', '.join(KINDS)}, and not {kind!r}.")
    unknown = sorted(set(map(str, store)) - {"kind", *KINDS[kind]})
    if unknown:
        knows = ", ".join(KINDS[kind]) or "nothing further"
        raise ValueError(f"The store {kind!r} of incidents does not know {', '.join(unknown)}. It knows {knows}.")
    if kind == "redis" and not isinstance(store.get("url"), str):
        raise ValueError("The store 'redis' of incidents needs a url, such as 'unix:///run/redis/redis.sock'.")
    seconds = store.get("timeout", 1)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= _MOST_SECONDS:
        raise ValueError(f"The time-out of the store of incidents must be more than 0 and at most 10, not {seconds!r}.")
    return store


def make_store(asked: object) -> IncidentStore | None:
    """Make the store of a setting; None for memory. Connects nothing.

    Raises:
        ValueError: with a sentence, when it cannot work.

    """
    store = checked_store(asked)
    kind = store.pop("kind")
    if kind == "memory":
        return None
    return RedisIncidentStore.from_url(**store) if kind == "redis" else ProvidedStore(kind, **store)
