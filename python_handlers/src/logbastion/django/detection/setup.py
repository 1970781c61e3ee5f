"""The setting ``LOGBASTION_DETECTION``: what it may say, and the detector that it makes.

=====================  =====================  ==============================================================
Key                    Default                Says
=====================  =====================  ==============================================================
``STORE``              none, is demanded      ``redis``, ``database``, or ``memory`` for a single process
``REDIS_URL``          none                   see :meth:`logbastion.detection.stores.redis.RedisStore.from_url`
``REDIS_PASSWORD_FILE`` none                  a file with the password of Redis
``REDIS_TIMEOUT``      0.1                    seconds for a connection, and for an answer
``DATABASE``           ``default``            which of ``DATABASES``
``BLOCKING``           ``dry_run``            ``enforce``, ``dry_run`` (noted and counted only), ``off``
``ALLOWED_NETWORKS``   empty                  addresses and networks that are never blocked
``BLOCK_SECONDS``      900                    of the first block of an address
``BLOCK_GROWTH``       4                      each further block is so many times as long
``BLOCK_MAX_SECONDS``  86400                  of any block
``ALLOWED_USERS``      empty                  ids of those who may see more than three schools, or the dotted
                                              name of a function that says so of an id
``RULES``              empty                  other numbers, see :func:`logbastion.detection.rules.changed_rules`
=====================  =====================  ==============================================================
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from logbastion.detection import Blocks, Breaker, MemoryStore, SecurityEventDetector, configure_detection
from logbastion.detection.rules import changed_rules
from logbastion.detection.stores.base import BlockPlan, Store
from logbastion.detection.stores.redis import TIMEOUT, RedisStore
from logbastion.django.detection.store import DatabaseStore, own_connection

SETTING: Final = "LOGBASTION_DETECTION"
STORES: Final = ("redis", "database", "memory")
DEFAULTS: Final[dict[str, Any]] = {
    "STORE": "",
    "REDIS_URL": "",
    "REDIS_PASSWORD_FILE": None,
    "REDIS_TIMEOUT": TIMEOUT,
    "DATABASE": "default",
    "BLOCKING": "dry_run",
    "ALLOWED_NETWORKS": (),
    "BLOCK_SECONDS": 900,
    "BLOCK_GROWTH": 4,
    "BLOCK_MAX_SECONDS": 86_400,
    "ALLOWED_USERS": (),
    "RULES": {},
}
_NUMBERS: Final = ("REDIS_TIMEOUT", "BLOCK_SECONDS", "BLOCK_GROWTH", "BLOCK_MAX_SECONDS")


def detection_settings() -> dict[str, Any] | None:
    """Return the setting with its defaults; None when there is none.

    Raises:
        ValueError: with a sentence, when it is no mapping, has a key that is not known, or no number where one must be.

    """
    given = getattr(settings, SETTING, None)
    if not given:
        return None
    if not isinstance(given, Mapping):
        raise ValueError(f"{SETTING} must be a dict, and is of type {type(given).__name__}.")
    unknown = sorted(map(str, set(given) - set(DEFAULTS)))
    if unknown:
        raise ValueError(f"{SETTING} does not know {', '.join(unknown)}. It knows {', '.join(DEFAULTS)}.")
    for name in _NUMBERS:
        if not isinstance(given.get(name, 0), (int, float)):
            raise ValueError(f"{SETTING}[{name!r}] must be a number, and not {given[name]!r}.")
    return {**DEFAULTS, **given}


def apply_detection() -> None:
    """Make the detector of this process as the setting has it.

    Raises:
        ImproperlyConfigured: with a sentence, when it cannot be made.

    """
    try:
        asked = detection_settings()
        configure_detection(_detector(asked) if asked is not None else None)
    except (ValueError, TypeError, ImportError) as error:
        problem = f"{SETTING} cannot be used: {error}"
    else:
        return
    raise ImproperlyConfigured(problem)


def _detector(asked: Mapping[str, Any]) -> SecurityEventDetector:
    if not apps.is_installed("logbastion.django"):
        raise ValueError(f"{SETTING} needs 'logbastion.django' in INSTALLED_APPS, too: failed log-ins come from it.")
    store, breaker = _store(asked), Breaker()
    plan = BlockPlan(asked["BLOCK_SECONDS"], asked["BLOCK_GROWTH"], asked["BLOCK_MAX_SECONDS"])
    if isinstance(asked["ALLOWED_NETWORKS"], str):
        raise ValueError(f"{SETTING}['ALLOWED_NETWORKS'] must be a list, such as ['192.0.2.0/24'].")
    allowed = asked["ALLOWED_USERS"]
    return SecurityEventDetector(
        store,
        # One key for all workers, and another one than what it is made from.
        key=hmac.new(settings.SECRET_KEY.encode(), b"logbastion detection", "sha256").digest(),
        rules=changed_rules(asked["RULES"]),
        blocks=Blocks(
            store, breaker, mode=asked["BLOCKING"], plan=plan, allowed_networks=asked["ALLOWED_NETWORKS"]
        ),
        breaker=breaker,
        allowed_users=import_string(allowed) if isinstance(allowed, str) else allowed,
    )  # fmt: skip


def _store(asked: Mapping[str, Any]) -> Store:
    if asked["STORE"] not in STORES:
        raise ValueError(f"{SETTING}['STORE'] must be one of {', '.join(STORES)}, and not {asked['STORE']!r}.")
    if asked["STORE"] == "database":
        return DatabaseStore(own_connection(asked["DATABASE"]), reads=asked["DATABASE"])
    if asked["STORE"] == "memory":
        return MemoryStore()
    if not asked["REDIS_URL"]:
        raise ValueError(f"{SETTING} with the store 'redis' needs REDIS_URL, such as 'unix:///run/redis/redis.sock'.")
    return RedisStore.from_url(asked["REDIS_URL"], asked["REDIS_PASSWORD_FILE"], asked["REDIS_TIMEOUT"])
