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


def test_the_time_of_a_key_begins_when_all_hosts_have_a_newer_one_and_is_never_the_newest_s():
    text = f"{OLD}\n{OTHER}\n"
    assert keys.keys_over(text, "2099-01-01", 1095) == []  # nothing is known, so nothing is over
    noted = keys.keys_with_notes(text, "2026-01-01")
    assert noted.splitlines() == [OLD, OTHER, "# k0123456789: not used since 2026-01-01"]
    assert keys.keys_with_notes(noted, "2027-01-01") == noted
    assert keys.keys_over(noted, "2028-12-31", 1095) == []
    assert keys.keys_over(noted, "2029-01-01", 1095) == ["k0123456789"]
    assert keys.keys_over(f"{noted}# 20250101: not used since 2020-01-01\n", "2099-01-01", 1095) == ["k0123456789"]


def test_of_two_hosts_the_later_day_stands_and_a_destroyed_key_stays_destroyed():
    one = f"{OLD}\n{OTHER}\n# k0123456789: not used since 2026-01-01\n"
    two = f"{OLD}\n{OTHER}\n# k0123456789: not used since 2026-02-01\n"
    for together in (keys.keys_together(one, two), keys.keys_together(two, one)):
        assert together.splitlines()[-1] == "# k0123456789: not used since 2026-02-01"
    gone = keys.keys_without(one, ["k0123456789"], "2029-01-01")
    assert gone == f"{OTHER}\n# k0123456789: destroyed 2029-01-01\n"
    assert keys.keys_together(gone, two) == gone
    assert keys.keys_with(two, gone) == gone
    assert keys.destroyed_keys(gone) == ["k0123456789"]
    assert keys.key_ids(keys.keys_with_new("# 20260131: destroyed 2026-01-31\n", "2026-01-31")) == ["20260131-2"]


def test_the_period_is_the_longest_of_the_table():
    source = (ROOT / "elk_templates/retention.yml").read_text()
    assert keys.identifier_days(source) == 1095
    assert keys.identifier_days(source.replace("identifiers_days: 1095", "identifiers_days: 40")) == 90


@pytest.mark.parametrize(("text", "held"), [("", False), ("# none\n\n", False), ("security # case\n", True)])
def test_a_hold_is_a_line_that_is_no_comment(text, held):
    assert keys.is_held(text) is held


@pytest.mark.parametrize(("newest", "earlier"), [("20260131", False), ("20260101", False), ("20251231", True)])
def test_a_month_begins_with_its_first_day(newest, earlier):
    assert keys.is_of_earlier_month(f"{newest} {'ab' * 32}\n", "2026-01-31", 0) is earlier


def test_the_notes_are_those_of_the_package(tmp_path):
    from logbastion.pseudonym_keys import add_key, read_key_file  # noqa: PLC0415 - both sides beside each other

    file = tmp_path / "keys"
    add_key(file, "first")
    add_key(file, "20260101")
    assert keys.keys_with_notes(file.read_text(), "2000-01-01") == file.read_text()
    file.write_text(keys.keys_without(file.read_text(), ["first"], "2029-01-01"))
    found = read_key_file(file)
    assert (found.key_ids, found.notes.destroyed) == (("20260101",), {"first": datetime.date(2029, 1, 1)})
