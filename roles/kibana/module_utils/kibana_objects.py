# Copyright The Logbastion authors
# SPDX-License-Identifier: Apache-2.0
"""What Kibana's saved objects mean: in one form, whoever wrote them, so that ours and the stored ones can be compared."""

from __future__ import annotations

import hashlib
import json
from typing import Any

SavedObject = dict[str, Any]


def key_of(thing: SavedObject) -> str:
    """Return how an object is named in results and in the state file: type and id."""
    return f"{thing['type']}:{thing['id']}"


def normal(thing: SavedObject) -> SavedObject:
    """Return an object without what is Kibana's own.

    That is everything but type, id, attributes and references: versions, times, names of users, `coreMigrationVersion` and `typeMigrationVersion` (which
    Kibana writes when it migrates an object), `managed`, `originId`, `accessControl` (fields of Kibana's `SavedObject`, 8.19 and 9.x). Attributes that hold
    JSON as text (`panelsJSON`, `searchSourceJSON`) are compared by meaning, and references have no order.
    """
    references = [{name: entry[name] for name in ("type", "id", "name")} for entry in thing.get("references", [])]
    return {
        "type": thing["type"],
        "id": thing["id"],
        "attributes": _meaning(thing.get("attributes", {})),
        "references": sorted(references, key=lambda entry: (entry["name"], entry["type"], entry["id"])),
    }


def _meaning(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return _meaning(json.loads(value))
        except ValueError:
            return value
    if isinstance(value, dict):
        return {name: _meaning(item) for name, item in value.items()}
    return [_meaning(item) for item in value] if isinstance(value, list) else value


def digest(thing: SavedObject) -> str:
    """Return a SHA-256 (hexadecimal) that two objects share if and only if their normal forms are equal."""
    return hashlib.sha256(json.dumps(normal(thing), sort_keys=True).encode()).hexdigest()


def remembered(wanted: SavedObject, stored: SavedObject) -> dict[str, str]:
    """Return what the state file says of an object that was loaded: from what, and as what Kibana has stored it."""
    return {"source": digest(wanted), "stored": digest(stored)}


def differs(wanted: SavedObject, stored: SavedObject | None, memory: dict[str, str] | None) -> bool:
    """Tell whether an object has to be loaded.

    Kibana migrates what it loads, so that it may never again look like its source. Then it is compared with what Kibana had made of the same source.
    """
    if stored is None:
        return True
    return normal(stored) != normal(wanted) and remembered(wanted, stored) != memory


def twice(things: list[SavedObject]) -> list[str]:
    """Return the objects that are named more than once, sorted."""
    keys = [key_of(thing) for thing in things]
    return sorted({key for key in keys if keys.count(key) > 1})


def sentence(error: dict[str, Any]) -> str:
    """Return what Kibana says of an object that it did not load, as a sentence (the errors of its import API)."""
    reason = error.get("error", {})
    kind = reason.get("type", "unknown")
    name = f"{error.get('type')} {error.get('id')}"
    if kind == "missing_references":
        missing = ", ".join(f"{entry['type']} {entry['id']}" for entry in reason.get("references", []))
        return f"{name} refers to {missing}, which is neither among the files nor in the space"
    if kind == "unsupported_type":
        return f"{name} is of a type that this Kibana does not have"
    if kind in ("conflict", "ambiguous_conflict"):
        return f"{name} is taken by an object of another space"
    return f"{name}: {reason.get('message', kind)}"
