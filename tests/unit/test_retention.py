"""Retention periods: what is made from them is current, and no event goes a day before or after its rule."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import yaml

TEMPLATES = Path(__file__).resolve().parents[2] / "elk_templates"

_spec = importlib.util.spec_from_file_location("retention", TEMPLATES / "retention.py")
retention = sys.modules["retention"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(retention)

CLASSES = {one.name: one for one in retention.read_classes(retention.SOURCE.read_text())}
# The guide's RETENTION_POLICIES: retention, compression, cold storage, backup.
GUIDE = {
    "security": (2555, 30, 365, "daily"),
    "audit": (2555, 30, 365, "daily"),
    "application": (90, 7, 30, "weekly"),
    "performance": (30, 3, 14, "weekly"),
    "debug": (7, 1, 3, "none"),
}


def test_the_guides_periods_are_there():
    assert {
        name: (
            one.retention_days,
            one.compression_after_days,
            one.archive_to_cold_storage_after_days,
            one.backup_frequency,
        )
        for name, one in CLASSES.items()
    } == GUIDE


def test_what_is_made_from_the_periods_is_current():
    files = retention.made(list(CLASSES.values()))
    assert {path: path.read_text() for path in files} == files, "Run `make retention`."
    assert retention.left_over(files) == []


@pytest.mark.parametrize("name", CLASSES)
def test_the_index_template_takes_the_policy(name):
    template = json.loads((TEMPLATES / f"index_templates/logs-django.{name}.json").read_text())
    made = retention.lifecycle_template(CLASSES[name])
    assert f"logs-django.{name}@lifecycle" in template["composed_of"]
    assert made["template"]["settings"]["index"]["lifecycle"]["name"] == CLASSES[name].policy_name


def days(text: str) -> int:
    return 0 if text == "0ms" else int(text.removesuffix("d"))


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("size_reached_every", [None, 0.25, 7.5])
def test_2600_days_of_events_go_when_their_rule_says(name, size_reached_every):
    """An index is rolled over by age, or earlier by size; ILM then counts from that moment. Six events a day."""
    one, phases = CLASSES[name], retention.ilm_policy(CLASSES[name])["policy"]["phases"]
    life = min(days(phases["hot"]["actions"]["rollover"]["max_age"]), size_reached_every or 10**9)
    ages = []
    for number in range(2600 * 6):
        born = number / 6
        rolled_over = (born // life + 1) * life
        ages.append(rolled_over + days(phases["delete"]["min_age"]) - born)
    if one.rounding == "legal_minimum":
        assert min(ages) >= one.retention_days
    else:
        assert max(ages) <= one.retention_days
    assert one.minimum_age_days <= min(ages)
    assert max(ages) <= one.maximum_age_days
    if size_reached_every is None:
        assert max(ages) == one.maximum_age_days


@pytest.mark.parametrize("name", CLASSES)
def test_the_age_with_backups_is_that_of_the_last_snapshot(name):
    """A snapshot of the last moment holds the oldest event; it expires, and is removed by the next daily look."""
    one = CLASSES[name]
    last = one.maximum_age_days
    if one.backup_frequency != "none":
        last += days(retention.slm_policy(one)["retention"]["expire_after"]) + 1
    assert one.maximum_age_with_backups_days == last


def test_a_minimum_that_backups_must_outlive_keeps_some_whatever_their_age():
    kept = {name: retention.slm_policy(one)["retention"].get("min_count") for name, one in CLASSES.items()}
    assert kept["security"] == kept["audit"] == 5
    # What must go may not be kept by a failing backup.
    assert kept["application"] is kept["performance"] is None


def changed(name: str = "application", **changes) -> str:
    source = yaml.safe_load(retention.SOURCE.read_text())
    body = source["classes"][name]
    for key, value in changes.items():
        if value is None:
            del body[key]
        else:
            body[key] = value
    return yaml.safe_dump(source)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("classes: [", "is not YAML"),
        ("[]", "must hold one mapping `classes`"),
        ("classes: {security: {}}", "The class audit is missing: its events would be kept for ever"),
        (retention.SOURCE.read_text() + "  other: {}\n", "There is no stream other; the streams are security"),
        (changed(retention_days=None), "application lacks retention_days"),
        (changed(retension_days=90), "has a field retension_days that nobody reads"),
        (changed(retention_days="90"), "retention_days is '90', but must be a whole number of days"),
        (changed(retention_days=True), "retention_days is True, but must be a whole number"),
        (
            changed(compression_after_days=0),
            "compression_after_days is 0, but must be a whole number of days, 1 or more",
        ),
        (changed(rounding="up"), "rounding is 'up', but must be one of legal_minimum, privacy_maximum"),
        (changed(backup_frequency="hourly"), "backup_frequency is 'hourly', but must be one of daily, weekly, none"),
        (changed(reason=" "), "reason is empty"),
        (changed(rollover_after_days=8), "compressed after 7 days, but its index is written to for 8"),
        (
            changed(archive_to_cold_storage_after_days=7),
            "compression (7), cold storage (7) and deletion (90) must follow",
        ),
        (changed(retention_days=30), "compression (7), cold storage (30) and deletion (30) must follow"),
        (changed(backup_frequency="none"), "backup_expires_after_days is given, but backup_frequency is none"),
        (changed(backup_expires_after_days=13), "taken every 7 days and expires after 13. Give at least 14"),
        (
            changed(identifiers_days=91, identifiers_reason="claims"),
            "identifiers_days is 91, but events are deleted after 90",
        ),
        (changed(identifiers_days=30), "identifiers_days and identifiers_reason belong together"),
        (changed(identifiers_reason="claims"), "identifiers_days and identifiers_reason belong together"),
        (
            changed(identifiers_days=0, identifiers_reason="claims"),
            "identifiers_days is 0, but must be a whole number of days",
        ),
        (changed(backup_expires_after_days=None), "expires after no time given. Give at least 14"),
    ],
)
def test_periods_that_cannot_work_get_a_sentence(text, sentence):
    with pytest.raises(retention.RetentionError) as raised:
        retention.read_classes(text)
    assert sentence in str(raised.value)


def test_the_command_refuses_with_the_sentence_and_writes_nothing(tmp_path, monkeypatch, capsys):
    source = tmp_path / "retention.yml"
    source.write_text(changed(reason=""))
    monkeypatch.setattr(retention, "SOURCE", source)
    monkeypatch.setattr(retention, "HERE", tmp_path)
    assert retention.main() == 1
    assert "application: reason is empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]
