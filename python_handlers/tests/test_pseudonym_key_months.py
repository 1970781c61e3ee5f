"""Keys of pseudonyms by month: made, destroyed in time, and killed at each step of it."""

from __future__ import annotations

import datetime
import multiprocessing
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import eventually

from logbastion import Pseudonymizer, pseudonym_key_writing
from logbastion.pseudonym_key_months import CURRENT, DESTROYED, DUE, IDENTIFIER_DAYS, KEPT, PseudonymKeyMonths
from logbastion.pseudonym_keys import PseudonymKeyError, add_key, read_key_file, read_keys

OLD = "4f8a1c0be3d259677a90c4d2e8b1f3056c9d7e2f1a0b3c4d5e6f708192a3b4c5"
NEW = "9b2e7f60d1c3a5480f7e6d5c4b3a29180716f5e4d3c2b1a09f8e7d6c5b4a3928"
MARIA = "maria.silva@example.org"
DAY = datetime.timedelta(days=1)
START = datetime.date(2026, 1, 1)


class Today:
    def __init__(self, day: datetime.date = START) -> None:
        self.day = day

    def __call__(self) -> datetime.date:
        return self.day


@pytest.fixture
def today():
    return Today()


@pytest.fixture
def months(tmp_path, today):
    (tmp_path / "etc").mkdir()
    return PseudonymKeyMonths(tmp_path / "etc/keys", today=today)


def secrets_in(path: Path) -> dict[str, str]:
    return dict(line.split() for line in path.read_text().splitlines() if not line.startswith("#"))


def states(months: PseudonymKeyMonths) -> dict[str, str]:
    return {key.key_id: key.state for key in months.listed()}


def test_the_period_is_that_of_the_table():
    assert IDENTIFIER_DAYS == 1095


@pytest.mark.integration
def test_five_years_of_nights_destroy_each_key_when_its_last_event_has_had_its_time(months, today):
    """One event a night, as an archive keeps it: its day and its pseudonym, rewritten by nobody."""
    archive: list[tuple[datetime.date, str]] = []
    anonymous_since: dict[datetime.date, datetime.date] = {}
    for _ in range(5 * 365):
        changes = months.keep(held=False)
        keys = Pseudonymizer.from_file(months.path)
        archive.append((today.day, keys.pseudonym("email", MARIA)))
        if changes.destroy:
            known = set(keys.all_pseudonyms("email", MARIA))
            for day, pseudonym in archive:
                if pseudonym not in known:
                    anonymous_since.setdefault(day, today.day)
        assert len(keys.key_ids) <= 38  # those of three years, the current one, and one that waits for its day
        today.day += DAY
    ages = [since - day for day, since in anonymous_since.items()]
    assert len(ages) > 600
    assert min(ages) == datetime.timedelta(days=IDENTIFIER_DAYS + 2)  # the last night before the next key was made
    assert max(ages) <= datetime.timedelta(days=IDENTIFIER_DAYS + 1 + 31)
    assert set(anonymous_since) == {day for day, _ in archive[: len(anonymous_since)]}  # the oldest, without a gap
    made = [key.key_id for key in months.listed()]
    assert len(made) == len(set(made)) == 60
    assert Path(months.path).stat().st_size < 8192


def test_a_month_has_one_key_unless_another_is_asked_for(months, today):
    assert months.make() == "20260101"
    today.day = datetime.date(2026, 1, 31)
    assert months.make() == ""
    assert months.make(another=True) == "20260131"
    today.day += DAY
    assert months.make() == "20260201"
    first, second, third = months.listed()
    assert (first.made, first.used_from, first.used_until) == (START, START, datetime.date(2026, 1, 31))
    assert (second.used_from, second.used_until) == (datetime.date(2026, 1, 31), datetime.date(2026, 2, 1))
    assert second.destroys_on == datetime.date(2026, 2, 1) + (IDENTIFIER_DAYS + 1) * DAY
    assert (third.used_from, third.used_until, third.destroys_on, third.state) == (
        datetime.date(2026, 2, 1), None, None, CURRENT
    )  # fmt: skip
    assert stat.S_IMODE(os.stat(months.path).st_mode) == 0o600


def test_a_file_of_before_loses_nothing_and_no_time_is_guessed(months, today):
    path = Path(months.path)
    path.write_text(f"# of the school\nk0123456789 {OLD}\n20240101 {NEW}\n")
    path.chmod(0o640)
    (first, second) = months.listed()
    assert (first.state, first.used_until, first.destroys_on, first.made) == (KEPT, None, None, None)
    assert (second.state, second.made) == (CURRENT, datetime.date(2024, 1, 1))
    changes = months.keep(held=False)
    assert changes == ("20260101", ("k0123456789",), ())
    lines = path.read_text().splitlines()
    assert lines[:3] == ["# of the school", f"k0123456789 {OLD}", f"20240101 {NEW}"]
    assert "# k0123456789: not used since 2026-01-01" in lines
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert months.keep(held=False) == ("", (), ())
    today.day += (IDENTIFIER_DAYS + 1) * DAY - DAY
    assert months.keep(held=False).destroy == ()
    today.day += DAY
    assert set(months.keep(held=False).destroy) == {"k0123456789", "20240101"}
    assert "# of the school" in path.read_text()
    assert OLD not in path.read_text()
    assert read_key_file(path).key_ids == ("20260101", "20281231", "20290101")


def test_a_legal_hold_stops_destruction_and_nothing_else(months, today):
    months.make()
    today.day += 31 * DAY
    months.make()
    today.day += (IDENTIFIER_DAYS + 1) * DAY
    assert states(months) == {"20260101": DUE, "20260201": CURRENT}
    assert months.keep(held=True).destroy == ()
    assert states(months)["20260101"] == DUE
    assert months.keep(held=False).destroy == ("20260101",)
    assert states(months)["20260101"] == DESTROYED


def test_what_must_not_be_destroyed_is_not(months):
    path = Path(months.path)
    with pytest.raises(PseudonymKeyError, match=r"There is no key 20260101 in .*: its keys are none"):
        months.destroy("20260101")
    months.make()
    before = path.read_bytes()
    with pytest.raises(PseudonymKeyError, match="is the one that is used: make a new one first"):
        months.destroy("20260101")
    with pytest.raises(PseudonymKeyError, match=r"There is no key 2020 in .*: its keys are 20260101"):
        months.destroy("2020")
    with pytest.raises(PseudonymKeyError, match="A key id has 1 to 12"):
        months.destroy(OLD)
    assert path.read_bytes() == before


def test_the_id_of_a_destroyed_key_is_not_given_again(months, today):
    months.make()
    months.make(another=True)
    months.destroy("20260101")
    with pytest.raises(PseudonymKeyError, match="was that of a key that was destroyed"):
        add_key(months.path, "20260101")
    assert months.make(another=True) == "20260101-3"
    months.destroy("20260101-2")
    assert months.make(another=True) == "20260101-4"


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_full_disk_leaves_the_old_file(months, today, monkeypatch, step):
    months.make()
    months.make(another=True)
    before = Path(months.path).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(pseudonym_key_writing.os, step, full)
        months.destroy("20260101")
    assert Path(months.path).read_bytes() == before
    assert os.listdir(Path(months.path).parent) == ["keys"]


def _make(path, day):
    PseudonymKeyMonths(path, today=lambda: day).make()


def test_processes_that_make_the_key_of_a_month_at_once_make_one(months):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_make, args=(months.path, START)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [key.key_id for key in read_keys(months.path)] == ["20260101"]


WORKER = """
import sys
from logbastion.pseudonyms import configure_pseudonyms, configured_pseudonymizer
configure_pseudonyms(sys.argv[1])
for line in sys.stdin:
    print(",".join(configured_pseudonymizer().all_pseudonyms("email", line.strip())), flush=True)
"""


@pytest.mark.integration
def test_a_worker_that_lives_uses_the_new_key_and_forgets_a_destroyed_one(months, today):
    source = Path(__file__).parents[1] / "src"
    months.make()
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, months.path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(source)},
    )  # fmt: skip

    def asked():
        worker.stdin.write(f"{MARIA}\n")
        worker.stdin.flush()
        return [pseudonym.split(":")[1] for pseudonym in worker.stdout.readline().strip().split(",")]

    try:
        assert asked() == ["20260101"]
        today.day += 31 * DAY
        months.make()
        assert asked() == ["20260101", "20260201"]
        months.destroy("20260101")
        assert asked() == ["20260201"]
    finally:
        worker.stdin.close()
        worker.stdout.close()
        assert worker.wait(30) == 0


# What a change does to files; the audit events of Python's own calls. os.write and fsync have none: see below.
STEPS = {"open", "os.rename", "os.remove", "os.chmod", "os.chown", "os.listdir", "fcntl.flock"}


def _killed_at(step: int, months: PseudonymKeyMonths) -> int:
    child = os.fork()
    if child == 0:
        left = step

        def strike() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def count(event, _):
            if event in STEPS:
                strike()

        def before(name, call):
            def struck(*arguments):
                strike()
                if name == "write" and len(arguments[1]) > 40:  # and in the middle of the new content
                    call(arguments[0], arguments[1][:40])
                    strike()
                    os.lseek(arguments[0], 0, os.SEEK_SET)
                return call(*arguments)

            return struck

        for name in ("write", "fsync"):
            setattr(os, name, before(name, getattr(os, name)))
        sys.addaudithook(count)
        code = 1
        try:
            months.keep(held=False)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.integration
def test_a_kill_at_any_step_leaves_the_old_file_or_the_new_one(tmp_path):
    """Due at once: a new key, two to be destroyed, one that gets its note."""
    begun, last = tmp_path / "begun", START + 2000 * DAY
    begun.mkdir()
    lines = [f"k0 {OLD}", f"20260101 {NEW}", f"middle {OLD[::-1]}", f"20310501 {NEW[::-1]}"]
    notes = ["# k0: not used since 2026-01-01", "# 20260101: not used since 2026-02-01"]
    (begun / "keys").write_text("\n".join([*lines, *notes]) + "\n")
    (begun / "keys").chmod(0o600)
    before, kills, replaced = (begun / "keys").read_bytes(), 0, 0
    while True:
        place = tmp_path / str(kills)
        shutil.copytree(begun, place)
        months = PseudonymKeyMonths(place / "keys", today=lambda: last)
        code = _killed_at(kills + 1, months)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        content = (place / "keys").read_bytes()
        ids = [key.key_id for key in read_keys(place / "keys")]
        assert content == before or ids == ["middle", "20310501", "20310624"], kills
        assert stat.S_IMODE((place / "keys").stat().st_mode) == 0o600
        replaced += content != before
        months.keep(held=False)
        assert [key.key_id for key in read_keys(place / "keys")] == ["middle", "20310501", "20310624"], kills
        assert os.listdir(place) == ["keys"], kills  # a copy that was left would hold the destroyed keys
        left = (place / "keys").read_text()
        assert OLD not in left
        assert not re.search(rf"{NEW}\b", left)
        shutil.rmtree(place)
        kills += 1
    assert kills > 8
    assert 0 < replaced < kills


@pytest.mark.integration
def test_readers_see_a_whole_file_while_it_is_changed_all_the_time(months, today):
    months.make()
    stop = multiprocessing.get_context("fork").Event()

    def change():
        while not stop.is_set():
            made = months.make(another=True)
            for key in months.listed():
                if key.state == KEPT and key.key_id != made:
                    months.destroy(key.key_id)

    process = multiprocessing.get_context("fork").Process(target=change)
    process.start()
    seen = set()
    try:
        eventually(lambda: seen.update(read_key_file(months.path).key_ids) or len(seen) > 50)
    finally:
        stop.set()
        process.join(30)
    assert process.exitcode == 0
