"""Makes from `retention.yml` what Elasticsearch is told about the life of an index, and the table that people read.

Run it by `make retention`; `tests/unit/test_retention.py` fails when what it made differs from its source.
"""

import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
SOURCE: Final = HERE / "retention.yml"
README: Final = HERE / "README.md"
PACKAGE: Final = HERE.parent / "python_handlers/src/logbastion/retention/policies.json"
STREAMS: Final = ("security", "audit", "application", "performance", "debug")
ROUNDINGS: Final = ("legal_minimum", "privacy_maximum")
# Days between two backups, and when they are taken (Elasticsearch's cron has seconds first; times are UTC).
FREQUENCIES: Final = {"daily": (1, "0 30 2 * * ?"), "weekly": (7, "0 30 2 ? * SUN"), "none": (0, "")}
# Elasticsearch looks for expired snapshots once a day (slm.retention_schedule), so one may live a day longer.
SNAPSHOT_DELETION_DELAY_DAYS: Final = 1
# Snapshots of a class that must not go early which are kept whatever their age: if no backup succeeds for a month, the old ones are all there is.
FEWEST_SNAPSHOTS: Final = 5
LARGEST_SHARD: Final = "50gb"
TABLE_BEGIN: Final = "<!-- BEGIN_RETENTION: made from retention.yml by `make retention` -->"
TABLE_END: Final = "<!-- END_RETENTION -->"
_OPTIONAL: Final = ("backup_expires_after_days", "identifiers_days", "identifiers_reason")
_NUMBERS: Final = (
    "retention_days",
    "compression_after_days",
    "archive_to_cold_storage_after_days",
    "rollover_after_days",
)


class RetentionError(ValueError):
    """`retention.yml` says something that cannot work; the message is a sentence for who wrote it."""


@dataclass(frozen=True)
class RetentionClass:
    """How long the events of one stream live. All periods are whole days; the names are the guide's (`RETENTION_POLICIES`)."""

    name: str
    retention_days: int
    rounding: str
    compression_after_days: int
    archive_to_cold_storage_after_days: int
    backup_frequency: str
    rollover_after_days: int
    reason: str
    backup_expires_after_days: int = 0
    identifiers_days: int = 0
    identifiers_reason: str = ""

    @property
    def policy_name(self) -> str:
        """Return the name of the ILM policy, of the SLM policy and of the index template."""
        return f"logs-django.{self.name}"

    @property
    def delete_after_rollover_days(self) -> int:
        """Return the `min_age` of ILM's delete phase. It counts from rollover, when the oldest event is as old as the index and the youngest is new."""
        kept_longer = self.rollover_after_days if self.rounding == "privacy_maximum" else 0
        return self.retention_days - kept_longer

    def after_rollover(self, days: int) -> int:
        """Return `days` after the oldest event of an index as days after its rollover."""
        return days - self.rollover_after_days

    @property
    def minimum_age_days(self) -> int:
        """Return the age that every event reaches in its index."""
        return self.delete_after_rollover_days

    @property
    def maximum_age_days(self) -> int:
        """Return the age that no event in an index exceeds."""
        return self.delete_after_rollover_days + self.rollover_after_days

    @property
    def maximum_age_with_backups_days(self) -> int:
        """Return the age beyond which an event is in no index and no snapshot: the last snapshot is taken just before the index is deleted."""
        if self.backup_frequency == "none":
            return self.maximum_age_days
        return self.maximum_age_days + self.backup_expires_after_days + SNAPSHOT_DELETION_DELAY_DAYS


def read_classes(text: str) -> list[RetentionClass]:
    """Return the classes that `text` (YAML) defines, in the order of `STREAMS`.

    Raises:
        RetentionError: for the first thing that cannot work.
    """
    try:
        source = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RetentionError(f"retention.yml is not YAML: {error}") from error
    if not isinstance(source, dict) or list(source) != ["classes"] or not isinstance(source["classes"], dict):
        raise RetentionError("retention.yml must hold one mapping `classes`, and nothing beside it.")
    found = source["classes"]
    if missing := [name for name in STREAMS if name not in found]:
        raise RetentionError(f"The class {missing[0]} is missing: its events would be kept for ever.")
    if unknown := [name for name in found if name not in STREAMS]:
        raise RetentionError(f"There is no stream {unknown[0]}; the streams are {', '.join(STREAMS)}.")
    return [_read_class(name, found[name]) for name in STREAMS]


def _read_class(name: str, body: Any) -> RetentionClass:
    known = {field.name: field for field in fields(RetentionClass) if field.name != "name"}
    if not isinstance(body, dict):
        raise RetentionError(f"{name} must be a mapping with {', '.join(known)}.")
    if unknown := sorted(set(body) - set(known)):
        raise RetentionError(
            f"{name} has a field {unknown[0]} that nobody reads; the known ones are {', '.join(known)}."
        )
    if missing := [key for key in known if key not in body and key not in _OPTIONAL]:
        raise RetentionError(f"{name} lacks {missing[0]}.")
    for key in (*_NUMBERS, *(key for key in ("backup_expires_after_days", "identifiers_days") if key in body)):
        # `True` is an int, too.
        if type(body[key]) is not int or body[key] < 1:
            raise RetentionError(f"{name}: {key} is {body[key]!r}, but must be a whole number of days, 1 or more.")
    for key, values in (("rounding", ROUNDINGS), ("backup_frequency", tuple(FREQUENCIES))):
        if body[key] not in values:
            raise RetentionError(f"{name}: {key} is {body[key]!r}, but must be one of {', '.join(values)}.")
    if not isinstance(body["reason"], str) or not body["reason"].strip():
        raise RetentionError(f"{name}: reason is empty. Who asks why the events are kept must find an answer.")
    if ("identifiers_days" in body) != bool(str(body.get("identifiers_reason") or "").strip()):
        raise RetentionError(
            f"{name}: identifiers_days and identifiers_reason belong together. Who asks why persons are found for so long must find an answer."
        )
    found = RetentionClass(name=name, **body)
    if found.identifiers_days > found.retention_days:
        raise RetentionError(
            f"{name}: identifiers_days is {found.identifiers_days}, but events are deleted after {found.retention_days}. Leave it "
            "out: identifiers then live as long as their events."
        )
    if complaint := _contradiction(found):
        raise RetentionError(f"{name}: {complaint}")
    return found


def _contradiction(one: RetentionClass) -> str:
    """Return a sentence on the first two fields that do not go together, else nothing."""
    compress, cold, rollover = (
        one.compression_after_days,
        one.archive_to_cold_storage_after_days,
        one.rollover_after_days,
    )
    interval, expiry = FREQUENCIES[one.backup_frequency][0], one.backup_expires_after_days
    if rollover > compress:
        return (
            f"it is compressed after {compress} days, but its index is written to for {rollover}. "
            "Give a rollover_after_days that is not above compression_after_days."
        )
    if not compress < cold < one.retention_days:
        return (
            f"compression ({compress}), cold storage ({cold}) and deletion ({one.retention_days}) must follow each other in this order, "
            "each a day or more after the one before."
        )
    if one.delete_after_rollover_days <= one.after_rollover(cold):
        return f"the index is deleted {one.delete_after_rollover_days} days after rollover, before it reaches cold storage."
    if not interval and expiry:
        return "backup_expires_after_days is given, but backup_frequency is none. Remove one of them."
    if interval and expiry < 2 * interval:
        return (
            f"a backup is taken every {interval} days and expires after {expiry or 'no time given'}. Give at least {2 * interval}, "
            "so that one failed backup leaves no gap."
        )
    return ""


def ilm_policy(one: RetentionClass) -> dict[str, Any]:
    """Return the body for `PUT _ilm/policy/<name>`. Defaults are written out, so that it equals what Elasticsearch returns.

    The warm phase merges each shard into one segment, which compresses it anew (`best_compression`) and blocks writes.
    """

    def age(days: int) -> str:
        return f"{days}d" if days else "0ms"

    phases = {
        "hot": {
            "min_age": "0ms",
            "actions": {
                "rollover": {"max_age": age(one.rollover_after_days), "max_primary_shard_size": LARGEST_SHARD},
                "set_priority": {"priority": 100},
            },
        },
        "warm": {
            "min_age": age(one.after_rollover(one.compression_after_days)),
            "actions": {"forcemerge": {"max_num_segments": 1}, "set_priority": {"priority": 50}},
        },
        "cold": {
            "min_age": age(one.after_rollover(one.archive_to_cold_storage_after_days)),
            "actions": {"readonly": {}, "set_priority": {"priority": 0}},
        },
        "delete": {
            "min_age": age(one.delete_after_rollover_days),
            "actions": {"delete": {"delete_searchable_snapshot": True}},
        },
    }
    return {"policy": {"phases": phases, "_meta": {"managed_by": "logbastion", "description": one.reason}}}


def slm_policy(one: RetentionClass) -> dict[str, Any]:
    """Return the body for `PUT _slm/policy/<name>`, for a class that has backups. The repository is registered by the role `log_store`."""
    retention: dict[str, Any] = {"expire_after": f"{one.backup_expires_after_days}d"}
    if one.rounding == "legal_minimum":
        retention["min_count"] = FEWEST_SNAPSHOTS
    return {
        "name": f"<{one.policy_name}-{{now/d}}>",
        "schedule": FREQUENCIES[one.backup_frequency][1],
        "repository": "logbastion",
        "config": {
            "indices": [f"{one.policy_name}-*"],
            # Before the first event of a class there is no index.
            "ignore_unavailable": True,
            "include_global_state": False,
            "metadata": {"managed_by": "logbastion"},
        },
        "retention": retention,
    }


def lifecycle_template(one: RetentionClass) -> dict[str, Any]:
    """Return the component template that gives new indices of a stream their ILM policy."""
    return {
        "version": 1,
        "_meta": {"managed_by": "logbastion", "description": f"The life of an index of {one.policy_name}."},
        "template": {"settings": {"index": {"lifecycle": {"name": one.policy_name}}}},
    }


def file_policies(classes: list[RetentionClass]) -> dict[str, dict[str, Any]]:
    """Return what the package `logbastion` reads its `RETENTION_POLICIES` from, by the guide's names."""
    return {
        f"{one.name}_logs": {
            "stream": one.name,
            "retention_days": one.retention_days,
            "compression_after_days": one.compression_after_days,
            "rounding": one.rounding,
            "archive_to_cold_storage_after_days": one.archive_to_cold_storage_after_days,
            "backup_frequency": one.backup_frequency,
            "identifiers_days": one.identifiers_days,
        }
        for one in classes
    }


def table(classes: list[RetentionClass]) -> str:
    """Return the table of README.md, in Markdown."""
    lines = [
        "| Stream | Kept for | Rounding | Index until | Warm, cold, deleted after rollover | Backup | Age of an event at its deletion | "
        "In no index and no snapshot after | Why | Persons found by pseudonym for |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in classes:
        phases = [
            one.after_rollover(one.compression_after_days),
            one.after_rollover(one.archive_to_cold_storage_after_days),
        ]
        ages = ", ".join(str(days) for days in (*phases, one.delete_after_rollover_days))
        backup = one.backup_frequency
        if backup != "none":
            backup += f", kept {one.backup_expires_after_days} days"
        lines.append(
            f"| {one.name} | {one.retention_days} days | {one.rounding.replace('_', ' ')} | {one.rollover_after_days} days or {LARGEST_SHARD} "
            f"| {ages} days | {backup} | {one.minimum_age_days} to {one.maximum_age_days} days | {one.maximum_age_with_backups_days} days | {one.reason} "
            f"| {one.identifiers_days or one.retention_days} days{'. ' * bool(one.identifiers_reason)}{one.identifiers_reason} |"
        )
    return "\n".join(lines) + "\n"


def made(classes: list[RetentionClass]) -> dict[Path, str]:
    """Return every file that is made, with its text."""

    def text(body: dict[str, Any]) -> str:
        return json.dumps(body, indent=2) + "\n"

    files: dict[Path, str] = {PACKAGE: text(file_policies(classes))}
    for one in classes:
        files[HERE / f"ilm_policies/{one.policy_name}.json"] = text(ilm_policy(one))
        files[HERE / f"component_templates/{one.policy_name}@lifecycle.json"] = text(lifecycle_template(one))
        if one.backup_frequency != "none":
            files[HERE / f"slm_policies/{one.policy_name}.json"] = text(slm_policy(one))
    before, _, rest = README.read_text(encoding="utf-8").partition(TABLE_BEGIN)
    _, _, after = rest.partition(TABLE_END)
    if not after:
        raise RetentionError(
            f"README.md lacks the lines {TABLE_BEGIN} and {TABLE_END}, between which the table belongs."
        )
    files[README] = f"{before}{TABLE_BEGIN}\n{table(classes)}{TABLE_END}{after}"
    return files


def left_over(files: dict[Path, str]) -> list[Path]:
    """Return policies and lifecycle templates that no class asks for any more."""
    present = [
        path
        for pattern in ("ilm_policies/*", "slm_policies/*", "component_templates/*@lifecycle.json")
        for path in HERE.glob(pattern)
    ]
    return sorted(set(present) - set(files))


def main() -> int:
    """Write what has changed, remove what nobody asks for, and say both; 1 with a sentence when `retention.yml` cannot work."""
    try:
        files = made(read_classes(SOURCE.read_text(encoding="utf-8")))
    except RetentionError as error:
        print(error, file=sys.stderr)
        return 1
    for path, text in files.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(HERE.parent)}")
    for path in left_over(files):
        path.unlink()
        print(f"removed: {path.relative_to(HERE.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
