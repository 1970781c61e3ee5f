"""An erasure that broke off does not search again what it has searched, unless that has changed."""

import pytest
from erasure_helpers import MARIA, erase, hits, lines, manager, write

from logbastion.archives import DirectoryStore
from logbastion.erasure.archives import Archives
from logbastion.erasure.ledger import Ledger
from logbastion.erasure.manager import ErasureError
from logbastion.erasure.place import PlaceResult
from logbastion.erasure.searched import Searched

HOST = "host-1"


@pytest.fixture
def archive(tmp_path):
    """Three copies of twelve events, of whom only the middle one has the person."""
    (tmp_path / "archive").mkdir()
    (tmp_path / "logs").mkdir()
    store = DirectoryStore(tmp_path / "archive")
    for month, numbers in ((1, range(1, 48, 4)), (2, range(12)), (3, range(2, 48, 4))):
        path = write(tmp_path / f"application.log.20260{month}01T000000Z", lines(numbers), "gzip")
        store.put(f"archive/{HOST}/application/{path.name}", path)
    return store


@pytest.fixture
def place(archive, tmp_path):
    return Archives(archive, HOST, tmp_path / "logs")


def test_only_what_has_changed_is_searched_again(place, archive, tmp_path):
    file = tmp_path / "searched"
    place.resume(Searched(file))
    assert erase(place).searched == 36
    assert file.stat().st_mode & 0o777 == 0o600
    assert MARIA not in file.read_text()
    place.resume(Searched(file))
    assert erase(place).searched < 13  # the one that was changed
    assert erase(place).searched == 0
    (name, *_) = archive.names()
    path = write(tmp_path / "application.log", lines(range(12)), "gzip")
    archive.replace(name, path)
    again = erase(place)
    assert (again.searched, again.found) == (12, 3)
    assert hits(place) == 0


def test_a_rehearsal_and_the_search_at_the_end_read_everything(place, tmp_path):
    place.resume(Searched(tmp_path / "searched"))
    assert erase(place, dry_run=True).searched == erase(place).searched == 36
    before = erase(place, dry_run=True)
    assert before.searched > erase(place).searched
    assert hits(place, 123) == 15


def test_what_a_legal_hold_keeps_is_searched_again(place, tmp_path):
    hold = tmp_path / "logs/legal-hold"
    hold.write_text("application\n")
    place.resume(Searched(tmp_path / "searched"))
    assert erase(place).held == 3
    hold.unlink()
    place.resume(Searched(tmp_path / "searched"))
    freed = erase(place)
    assert (freed.searched, freed.found, freed.deleted) == (12, 3, 3)


def test_a_torn_note_costs_nothing_but_time(tmp_path):
    file = tmp_path / "searched"
    noted = Searched(file)
    noted.add("archive", "one", "a")
    noted.add("archive", "two", "b")
    noted.add("archive", "three", "")
    file.write_bytes(file.read_bytes()[:-4])
    read = Searched(file)
    assert read.has("archive", "one", "a")
    assert not read.has("archive", "one", "b")
    assert not read.has("archive", "two", "b")
    assert not read.has("archive", "three", "")
    read.add("archive", "two", "b")
    assert Searched(file).has("archive", "one", "a")
    assert Searched(file).has("archive", "two", "b")
    read.forget()
    assert not file.exists()
    assert not read.has("archive", "one", "a")


class Broken:
    """A place that breaks off, or lies in what it says of the end."""

    name = "broken"
    searched: Searched
    left = 0

    def __init__(self):
        self.breaks = True

    def resume(self, searched):
        self.searched = searched

    def erase(self, matcher, rules, *, dry_run, progress):
        self.searched.add(self.name, "index", "state")
        if self.breaks:
            raise KeyboardInterrupt
        return PlaceResult(self.name, 1)

    def hits(self, matcher, *, progress):
        return self.left


def test_the_notes_last_from_a_run_that_broke_off_to_the_one_that_ends(tmp_path):
    place = Broken()
    erasing = manager(place, ledger=Ledger(tmp_path / "ledger"))
    notes = tmp_path / "ledger/searched"
    with pytest.raises(KeyboardInterrupt):
        erasing.anonymize_user_logs(12, emails=[MARIA])
    (file,) = notes.iterdir()
    place.breaks = False
    with pytest.raises(KeyboardInterrupt):
        # Of another person, or of the same by another address, nothing is known.
        replaced = Broken()
        manager(replaced, ledger=Ledger(tmp_path / "ledger")).anonymize_user_logs(12)
    assert {one.name for one in notes.iterdir()} == {file.name, replaced.searched._path.name}
    assert erasing.anonymize_user_logs(12, emails=[MARIA]).outcome == "complete"
    assert not file.exists()


def test_what_the_search_at_the_end_finds_is_searched_for_everywhere(tmp_path):
    place = Broken()
    place.breaks, place.left = False, 1
    with pytest.raises(ErasureError):
        manager(place, ledger=Ledger(tmp_path / "ledger")).anonymize_user_logs(12)
    assert list((tmp_path / "ledger/searched").iterdir()) == []
    assert not place.searched.has(place.name, "index", "state")
