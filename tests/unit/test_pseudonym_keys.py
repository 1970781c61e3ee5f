"""What the rotation of the key of pseudonyms makes of files of keys; tests/playbooks runs the playbook itself."""

import datetime
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "roles/django_logging/filter_plugins"))
import pseudonym_keys as keys  # noqa: E402

OLD = "k0123456789 " + "0123456789abcdef" * 4
OTHER = "20250101 " + "fedcba9876543210" * 4


def test_an_id_with_two_keys_is_refused_without_showing_them():
    sentence = keys.key_conflict("a1 " + "0" * 64, "a1 " + "1" * 64, "keys on app1")
    assert sentence.startswith("The key id a1 stands for another key in keys on app1")
    assert "0000" not in sentence
    assert "1111" not in sentence
    assert keys.key_conflict(OLD, OLD.upper().replace("K0", "k0"), "keys") == ""


@pytest.mark.parametrize(
    ("newest", "days"),
    [("20260101", 30), ("20260101-3", 30), ("20260231", 10), ("k0123456789", 10), ("20270101", 0)],
)
def test_the_age_is_that_of_the_id_or_of_the_file(newest, days):
    made = datetime.datetime(2026, 1, 21, tzinfo=datetime.UTC).timestamp()
    assert keys.key_age(f"{OTHER}\n{newest} {'ab' * 32}\n", "2026-01-31", made) == days


def test_two_keys_of_a_day_have_ids_of_their_own():
    once = keys.keys_with_new(OLD + "\n", "2026-01-31")
    twice = keys.keys_with_new(once, "2026-01-31")
    assert keys.key_ids(twice) == ["k0123456789", "20260131", "20260131-2"]
    assert len({line.split()[1] for line in twice.splitlines()}) == 3


def test_the_newest_of_all_hosts_stays_the_newest():
    newer = "20260101 " + "ab" * 32
    behind, ahead = f"{OLD}\n", f"# added by hand\n{OLD}\n{newer}\n"
    assert keys.key_ids(keys.keys_together(behind, ahead)) == ["k0123456789", "20260101"]
    assert keys.key_ids(keys.keys_together(ahead, behind)) == ["k0123456789", "20260101"]
    apart = keys.keys_together(ahead, f"{OLD}\n{OTHER}\n")
    assert keys.key_ids(apart) == ["20250101", "k0123456789", "20260101"]
    assert keys.keys_with(f"{newer}\n# ours\n{OLD}\n", apart).splitlines() == ["# ours", OLD, OTHER, newer]
