# Copyright The Logbastion authors
# SPDX-License-Identifier: Apache-2.0
"""What Elasticsearch's objects mean: each kind in one form, whoever wrote it, so that ours and the stored one can be compared."""

from __future__ import annotations

from typing import Any

PATHS = {
    "snapshot_repository": "/_snapshot/",
    "ilm_policy": "/_ilm/policy/",
    "component_template": "/_component_template/",
    "index_template": "/_index_template/",
    "role": "/_security/role/",
    "slm_policy": "/_slm/policy/",
}

# What Elasticsearch adds to an object that does not say it. Values as of 8.19; the dates are its own since 9.2.
DEFAULTS: dict[str, dict[str, Any]] = {
    "snapshot_repository": {"settings": {}},
    "ilm_policy": {"_meta": {}},
    "slm_policy": {"config": {}, "retention": {}},
    "component_template": {"_meta": {}},
    "index_template": {"_meta": {}, "composed_of": [], "ignore_missing_component_templates": [], "template": {}},
    "role": {
        "cluster": [],
        "indices": [],
        "applications": [],
        "run_as": [],
        "global": {},
        "metadata": {},
    },
}
SERVERS_OWN = {
    *("created_date", "created_date_millis", "modified_date", "modified_date_millis"),
    *("transient_metadata", "uuid"),
}
DATA_STREAM_DEFAULTS = {"hidden": False, "allow_custom_routing": False}
INDEX_PRIVILEGE_DEFAULTS = {"allow_restricted_indices": False}


def flat_settings(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return index settings by full dotted name with leaves as Elasticsearch returns them: words, or lists of words."""
    flat = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(flat_settings(value, f"{name}."))
        else:
            name = name if name.startswith("index.") else f"index.{name}"
            flat[name] = [_word(item) for item in value] if isinstance(value, list) else _word(value)
    return flat


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _mappings(value: object) -> object:
    """`dynamic` may be returned as a word or as a truth value."""
    if not isinstance(value, dict):
        return value
    return {
        key: _word(item) if key == "dynamic" and not isinstance(item, dict) else _mappings(item)
        for key, item in value.items()
    }


def _phases(phases: dict[str, Any]) -> dict[str, Any]:
    """A phase without an age begins at once, and deleting takes what Elasticsearch made of the index with it."""
    return {
        name: {
            "min_age": "0ms",
            **phase,
            "actions": {
                action: {"delete_searchable_snapshot": True, **options} if action == "delete" else options
                for action, options in phase["actions"].items()
            },
        }
        for name, phase in phases.items()
    }


def normal(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return an object in one form, whoever wrote it: two objects mean the same if and only if their normal forms are equal."""
    if kind == "ilm_policy":
        body = body.get("policy", body)
    result = {**DEFAULTS[kind], **{key: value for key, value in body.items() if key not in SERVERS_OWN}}
    if kind == "ilm_policy":
        return {"_meta": result["_meta"], "phases": _phases(result["phases"])}
    if kind == "slm_policy":
        return result
    if kind == "snapshot_repository":
        return {**result, "settings": flat_settings(result["settings"], "")}
    if kind == "role":
        result["indices"] = [{**INDEX_PRIVILEGE_DEFAULTS, **entry} for entry in result["indices"]]
        result["cluster"] = sorted(result["cluster"])
        return result
    if isinstance(result.get("data_stream"), dict):
        result["data_stream"] = {**DATA_STREAM_DEFAULTS, **result["data_stream"]}
    template = {key: value for key, value in result.get("template", {}).items() if value}
    if "settings" in template:
        template["settings"] = flat_settings(template["settings"])
    if "mappings" in template:
        template["mappings"] = _mappings(template["mappings"])
    return {**result, "template": template}


def stored_body(kind: str, name: str, answer: dict[str, Any]) -> dict[str, Any] | None:
    """Return the object `name` out of the answer to a GET of it, None when the answer is without it."""
    if kind in ("component_template", "index_template"):
        found: dict[str, Any] = answer[f"{kind}s"][0][kind]
        return found
    entry: dict[str, Any] | None = answer.get(name)
    return entry["policy"] if entry and kind in ("ilm_policy", "slm_policy") else entry


def needed_feature(thing: dict[str, Any]) -> str:
    """Return `ilm` or `slm` for an object that a distribution without it refuses, else nothing."""
    if thing["kind"] in ("ilm_policy", "slm_policy"):
        return str(thing["kind"][:3])
    settings = flat_settings(thing["body"].get("template", {}).get("settings", {}))
    return "ilm" if any(name.startswith("index.lifecycle.") for name in settings) else ""
