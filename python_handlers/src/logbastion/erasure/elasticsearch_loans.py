"""Settings of an index that an erasure changes for a while, and how they come back, also after a crash.

What they were is written into the index itself, by the same request that changes them: Elasticsearch does both or
neither, and whoever runs the erasure again, from whatever host, finds it. It stands in a setting that has no effect: a
rule to keep the index away from nodes that have an attribute which no node has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from logbastion.erasure.elasticsearch_questions import GoneError
from logbastion.erasure.elasticsearch_store import Store

NOTE: Final = "routing.allocation.exclude.logbastion_erasure"
BLOCKS: Final = ("blocks.write", "blocks.read_only", "blocks.read_only_allow_delete")
_EXPUNGE: Final = "merge.policy.expunge_deletes_allowed"
"""Percent of deleted documents below which a merge that is asked for leaves a segment as it is."""
_CLEANING: Final = "cleaning"
"""In the note: old versions of documents may still be in the index's files."""


def is_lent(settings: Mapping[str, str]) -> bool:
    """Return whether an erasure has changed something, or not yet cleaned up."""
    return NOTE in settings


def lend(store: Store, name: str) -> None:
    """Open an index for changes.

    Raises:
        PlaceError: Elasticsearch refuses.

    """
    settings = store.settings_of(name)
    kept = _read(settings.get(NOTE, ""))
    changes: dict[str, str | None] = {}
    for block in BLOCKS:
        if settings.get(block) == "true":
            kept[block] = "true"
            changes[block] = None
    if _EXPUNGE not in kept:
        kept[_EXPUNGE] = settings.get(_EXPUNGE, "")
        changes[_EXPUNGE] = "0"
    kept[_CLEANING] = ""
    if changes or not is_lent(settings):
        store.change_settings(name, {**changes, NOTE: _written(kept)})


def give_back(store: Store, name: str, *, clean: bool) -> None:
    """Put back what an index had.

    Args:
        store: where it is.
        name: of the index.
        clean: whether no old version of a document is in its files; otherwise the next erasure looks after it.

    Raises:
        PlaceError: Elasticsearch refuses.

    """
    try:
        kept = _read(store.settings_of(name).get(NOTE, ""))
    except GoneError:
        return
    if not kept:
        return
    changes = {key: value or None for key, value in kept.items() if key != _CLEANING}
    note = None if clean else f"{_CLEANING}="
    store.change_settings(name, {**changes, NOTE: note})


def _read(note: str) -> dict[str, str]:
    return {key: value for key, _, value in (part.partition("=") for part in note.split(";") if part)}


def _written(kept: Mapping[str, str]) -> str:
    return ";".join(f"{key}={value}" for key, value in kept.items())
