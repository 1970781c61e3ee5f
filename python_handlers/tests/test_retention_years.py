"""Nothing lives a day longer or shorter than its rule, in the directory, the archive and the backups together."""

import os

import pytest
from retention_helpers import DAY, HOST, START
from retention_years import NOON, STREAMS, Years

from logbastion.archives import DirectoryStore
from logbastion.retention import RETENTION_POLICIES
from logbastion.retention.verification import verify

pytestmark = pytest.mark.integration

POLICIES = {policy.stream: policy for policy in RETENTION_POLICIES.values()}
# `make test-long` has 2600. With these, application, performance and debug go cold and are deleted.
DAYS = int(os.environ.get("RETENTION_DAYS", "130"))


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """Years of nights would wait for it for minutes; that files are synced is no matter of time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def test_simulated_nights_of_all_classes(tmp_path):
    years = Years(tmp_path)
    gone: dict[str, dict[int, int]] = {stream: {} for stream in STREAMS}
    cold: dict[str, dict[int, int]] = {stream: {} for stream in STREAMS}
    for night in years.nights(DAYS):
        everywhere = {*night.local, *night.archived, *night.backed_up}
        for stream in STREAMS:
            here, there = set(), set()
            for base in everywhere:
                if base.startswith(f"{stream}.log"):
                    there |= years.days_in[base]
                    if base in night.local:
                        here |= years.days_in[base]
            for day in range(night.day + 1):
                if day not in there:
                    gone[stream].setdefault(day, night.day)
                if day not in here:
                    cold[stream].setdefault(day, night.day)
                assert not (day in there and day in gone[stream]), "it came back"
    for stream, policy in POLICIES.items():
        ages = [(night + 1) * DAY - NOON - day * DAY for day, night in gone[stream].items()]
        period = policy.retention_days * DAY
        if policy.rounding == "legal_minimum":
            assert all(period <= age < period + 2 * DAY for age in ages)
        else:
            assert all(period - 2 * DAY < age <= period for age in ages)
        newest_that_must_be_gone = DAYS - policy.retention_days - 2
        assert set(range(newest_that_must_be_gone)) <= set(gone[stream])
        for day, night in cold[stream].items():
            age = (night + 1) * DAY - NOON - day * DAY
            days = policy.archive_to_cold_storage_after_days
            assert days * DAY <= age < (days + 1) * DAY
        assert set(range(DAYS - policy.archive_to_cold_storage_after_days - 2)) <= set(cold[stream])
    report = verify(years.logs, archive=DirectoryStore(years.archive), host=HOST)
    assert report.problems == []
    assert years.clock.now == START + DAYS * DAY
