"""A person goes from the archive, the spool of living and ended processes, dead letters and a project's log."""

import contextlib
import io
import json
import os
import signal

import pytest
from conftest import eventually
from erasure_helpers import MARIA, START, content_of, erase, hits, lines, manager, matcher, numbers, others, write
from retention_helpers import DAY, HOST, Time, archived_logs
from retention_helpers import manager as retention
from spool_helpers import drops, make, python  # noqa: F401 - fixtures

from logbastion.archives import DirectoryStore, LockedError, OlderVersion
from logbastion.erasure.archives import Archives
from logbastion.erasure.database import DatabaseLog
from logbastion.erasure.files import LogFiles
from logbastion.erasure.manager import ErasureError
from logbastion.erasure.place import PlaceError
from logbastion.erasure.places import local_places
from logbastion.erasure.spool import SpoolFiles
from logbastion.retention.verification import verify
from logbastion.shipping.dead_letters import DeadLetters
from logbastion.shipping.spool import Spool
from logbastion.shipping.spool.frames import frame


@pytest.fixture
def archived(tmp_path):
    """Four hundred days of two streams, in the directory, in the archive and among the backups."""
    for name in ("logs", "archive"):
        (tmp_path / name).mkdir()
    store, clock = DirectoryStore(tmp_path / "archive"), Time(START)
    for day in (0, 20, 100, 380, 398, 399):
        clock.now = START + day * DAY
        for stream in ("application", "security"):
            with (tmp_path / "logs" / f"{stream}.log").open("ab") as file:
                file.writelines(lines(range(100 * day, 100 * day + 40), stream, clock.now))
        clock.now += DAY
        assert retention(tmp_path / "logs", clock, store).enforce_retention_policies().failures == 0
    return tmp_path / "logs", store, clock


def test_archive_and_backups(archived):
    directory, store, clock = archived
    copies = archived_logs(store) + archived_logs(store, "backups/")
    assert len(archived_logs(store)) >= 2
    assert len(archived_logs(store, "backups/")) >= 2
    before = {path.name: others(content_of(path)) for path in copies}
    places = [LogFiles(directory), Archives(store, HOST, directory)]
    dry = [erase(place, dry_run=True) for place in places]
    assert [one.errors for one in dry] == [(), ()]
    report = manager(*places).anonymize_user_logs(12, emails=[MARIA])
    assert report.outcome == "complete"
    assert report.counts()["archive"]["found"] == dry[1].found == 10 * len(copies)
    assert report.counts()["archive"]["deleted"] == dry[1].deleted > 0
    for path in copies:
        if path.exists():
            assert set(before[path.name]) <= set(content_of(path))
    assert verify(directory, archive=store, host=HOST).problems == []
    again = manager(*places).anonymize_user_logs(12, emails=[MARIA])
    assert again.total("found") == 0
    clock.now += DAY
    assert retention(directory, clock, store).enforce_retention_policies().failures == 0
    assert verify(directory, archive=store, host=HOST).problems == []


def test_an_archive_that_locks_is_not_said_to_be_clean(archived):
    directory, store, _ = archived

    class StandInThatKeepsVersions(DirectoryStore):
        """Stands in for a store with object lock: the new content is there, and an older version is kept."""

        keeps = True

        def __init__(self, root):
            super().__init__(root)
            self.older = {}

        def _write(self, name, *arguments):
            if (self.root / name).exists():
                self.older[name] = (self.root / name).read_bytes()
            super()._write(name, *arguments)

        def _remove_older(self, name):
            if name in self.older:
                self.remove_older(OlderVersion(name, "", 0))

        def older_versions(self, prefix=""):
            return iter(
                [OlderVersion(name, "", len(stored)) for name, stored in self.older.items() if name.startswith(prefix)]
            )

        @contextlib.contextmanager
        def open_older(self, older):
            yield io.BytesIO(self.older[older.name])

        def remove_older(self, older):
            if self.keeps:
                raise LockedError("kept until 2030")
            del self.older[older.name]

    locking = StandInThatKeepsVersions(store.root)
    place = Archives(locking, HOST, directory)
    with pytest.raises(ErasureError, match="kept until 2030"):
        manager(place).anonymize_user_logs(12, emails=[MARIA])
    with pytest.raises(ErasureError, match="kept until 2030"):
        manager(place).anonymize_user_logs(12, emails=[MARIA])  # only an older version has the person
    assert hits(place) == 10 * len(locking.older) > 0
    assert len(list(manager(place).export(12, emails=[MARIA]))) == hits(place)
    dry = erase(place, dry_run=True)
    assert (dry.errors, dry.found, dry.deleted) == ((), hits(place), hits(place))
    locking.keeps = False
    (directory / "legal-hold").write_text("application\nsecurity\n")
    of_hold, kept = manager(place).anonymize_user_logs(12, emails=[MARIA]), dict(locking.older)
    assert (of_hold.outcome, of_hold.total("held"), of_hold.total("deleted")) == ("held", hits(place), 0)
    assert locking.older == kept
    (directory / "legal-hold").unlink()
    assert manager(place).anonymize_user_logs(12, emails=[MARIA]).outcome == "complete"
    assert locking.older == {}


def test_what_broke_off_on_its_way_to_the_archive_goes_but_not_in_a_dry_run(archived):
    directory, store, _ = archived
    partial, other = (
        store.root / f"archive/{host}/security/security.log-20260101.gz.partial" for host in (HOST, "host-2")
    )
    other.parent.mkdir(parents=True)
    for path in (partial, other):
        path.write_bytes(lines(range(1))[0])
    erase(Archives(store, HOST, directory), dry_run=True)
    assert partial.exists()
    erase(Archives(store, HOST, directory))
    assert (partial.exists(), other.exists()) == (False, True)


def test_an_altered_copy_in_the_archive_is_told(archived):
    directory, store, _ = archived
    path = archived_logs(store)[0]
    path.write_bytes(path.read_bytes()[:-9])
    result = erase(Archives(store, HOST, directory))
    assert [path.name in error for error in result.errors] == [True]
    with pytest.raises(PlaceError, match="cannot be read to its end"):
        hits(Archives(store, HOST, directory))


def payloads(spool, stream="application"):
    found = []
    while (batch := spool.read(500, 1 << 18)) is not None:
        found += [event for event in batch.events if batch.stream == stream]
        spool.settle(batch)
    return found


def filled(spool, count=40, stream="application"):
    for line in lines(range(count), stream):
        assert spool.append(stream, line[:-1])


def test_what_a_living_process_has_not_sent(make, tmp_path):  # noqa: F811
    spool = make()
    for stream in ("application", "security"):
        filled(spool, stream=stream)
    before = {path.name: path.read_bytes() for path in (tmp_path / "spool").glob("*/*.spool")}
    place = SpoolFiles(tmp_path / "spool", wait_seconds=0)
    assert erase(place, dry_run=True).found == 20
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "spool").glob("*/*.spool")}
    assert erase(place).errors == ()
    assert hits(place) == 0
    filled(spool, 4)  # it goes on
    assert erase(place).found == 1
    events = payloads(spool) + payloads(spool, "security")
    assert spool.damaged == 0
    raw = b"".join(events)
    assert not matcher().in_bytes(raw)
    original = {line[:-1] for line in lines(range(40))} | {line[:-1] for line in lines(range(40), "security")}
    kept = [event for event in events if event in original]
    assert len(kept) == 33  # thirty of the first, three of those that came later


def test_anonymised_events_are_shipped_with_their_id(make, tmp_path):  # noqa: F811
    spool = make()
    for stream in ("application", "security"):
        filled(spool, stream=stream)
    erase(SpoolFiles(tmp_path / "spool", wait_seconds=0))
    found = []
    while (batch := spool.read(500, 1 << 18)) is not None:
        found += [(batch.stream, json.loads(event)) for event in batch.events]
        spool.settle(batch)
    assert len(found) == 80
    assert len({(stream, one["event"]["id"]) for stream, one in found}) == 80
    security = [one for stream, one in found if stream == "security"]
    assert sorted(one["extra"]["number"] for one in security) == list(range(40))


def test_what_an_ended_process_has_left_and_what_is_settled(make, tmp_path):  # noqa: F811
    spool = make()
    filled(spool)
    batch = spool.read(10, 1 << 18)
    spool.settle(batch)  # still in the file, before the settled position
    program = """
import os, signal, sys
sys.path[:0] = sys.argv[2:]
from erasure_helpers import lines
from logbastion.shipping.spool import Spool
spool = Spool(sys.argv[1])
for line in lines(range(100, 140)):
    spool.append("application", line[:-1])
os.kill(os.getpid(), signal.SIGKILL)
"""
    child = python(program, tmp_path / "spool", os.path.dirname(__file__))
    assert child.wait() == -signal.SIGKILL
    place = SpoolFiles(tmp_path / "spool", wait_seconds=0)
    result = erase(place)
    assert (result.found, result.errors) == (20, ())
    everything = b"".join(path.read_bytes() for path in (tmp_path / "spool").glob("*/*.spool"))
    assert everything.upper().count(MARIA.upper().encode()) == 0
    spool._adopt_at = 0.0
    spool.maintain()
    found = [event for event in payloads(spool) if b'"[erased]"' not in event]
    spool.maintain()
    found += [event for event in payloads(spool) if b'"[erased]"' not in event]
    wanted = [*range(10, 40), *range(100, 140)]
    assert sorted(numbers(found)) == [number for number in wanted if number % 4]


def test_a_torn_and_a_glued_frame(make, tmp_path):  # noqa: F811
    spool = make()
    filled(spool, 8)
    (path,) = (tmp_path / "spool").glob("*/*.spool")
    spool.close()
    hers, his = lines([4])[0][:-1], lines([5])[0][:-1]
    with path.open("ab") as file:
        file.write(frame(his)[:-1] + b"\0" + frame(hers)[:-1] + b"\0" + frame(his))  # line breaks that became NUL
        file.write(frame(hers)[:60] + b"\n" + frame(his))
        file.write(b"00000000 " + hers[: len(hers) - 5])
    place = SpoolFiles(tmp_path / "spool", wait_seconds=0)
    size = path.stat().st_size
    assert erase(place).errors == ()
    assert hits(place) == 0
    assert path.stat().st_size == size
    assert path.read_bytes().count(frame(his)[:-1]) == 1 + 2 + 1
    spool._adopt_at = 0.0
    spool.maintain()
    events = payloads(spool)
    assert sorted(numbers(event for event in events if b'"[erased]"' not in event)) == [1, 2, 3, 5, 5, 5, 5, 6, 7]
    assert len(events) == 9 + 3  # the person's without content: two, and the one within the damaged line


def test_a_process_that_is_just_sending_is_waited_for(make, tmp_path):  # noqa: F811
    import threading

    spool = make()
    filled(spool, 8)
    batch = spool.read(100, 1 << 18)
    done = []
    place = SpoolFiles(tmp_path / "spool", wait_seconds=60)
    thread = threading.Thread(target=lambda: done.append(erase(place)))
    thread.start()
    eventually(lambda: hits(place) == 0)
    assert done == []
    spool.settle(batch)
    thread.join(60)
    assert [one.found for one in done] == [2]


def test_dead_letters_and_quarantine(tmp_path):
    root = tmp_path / "spool"
    root.mkdir()
    refused = [("application", "mapper_parsing_exception", line[:-1]) for line in lines(range(40))]
    refused += [("security", f"refused {MARIA}", line[:-1]) for line in lines(range(40), "security")]
    DeadLetters(str(root)).keep(refused)
    (root / "quarantine").mkdir()
    entry = {
        "stream": "security",
        "segment": "x",
        "offset": 0,
        "bytes": 9,
        "torn": True,
        "text": '00 {"user":{"id":12,"na',
    }
    (root / "quarantine" / "a.jsonl").write_text(json.dumps(entry) + "\n")
    ingest = tmp_path / "dead-letters"
    ingest.mkdir()
    letters = [
        {"received": "now", "from": "10.0.0.1", "reason": "no JSON", "raw": line.decode()}
        for line in lines(range(40), "security")
    ]
    (ingest / "dead-letters.jsonl").write_text("".join(json.dumps(one) + "\n" for one in letters))
    places = local_places(spool=root, dead_letters=[ingest], spool_wait_seconds=0)
    assert [place.name for place in places] == ["dead letters", "spool", "quarantine", "ingest: dead-letters"]
    report = manager(*places).anonymize_user_logs(12, emails=[MARIA])
    assert report.outcome == "complete"
    counts = report.counts()
    assert counts["dead letters"]["found"] == 10 + 40  # each of the second kind has the address in its reason
    assert counts["quarantine"]["found"] == 1
    assert counts["ingest: dead-letters"]["anonymised"] == 10
    kept = [json.loads(line) for line in (ingest / "dead-letters.jsonl").read_bytes().splitlines()]
    assert sorted(numbers(one["raw"].encode() for one in kept)) == list(range(40))
    (file,) = (root / "dead_letters").iterdir()
    events = [json.loads(line) for line in file.read_bytes().splitlines()]
    assert len(events) == 80
    assert sorted(one["event"]["extra"]["number"] for one in events if one.get("stream") == "security") == list(
        range(40)
    )


def test_a_log_of_the_project():
    class Table:
        name = "audit_table"

        def __init__(self):
            self.rows = [{"id": number, "user": (12, 123)[number % 2]} for number in range(10)]
            self.broken = ""

        def entries_of(self, subject):
            if self.broken:
                raise RuntimeError(f"no such column near '{subject.user_id}'")
            return (row for row in self.rows if str(row["user"]) == subject.user_id)

        def erase(self, subject):
            for row in self.entries_of(subject):
                row["user"] = None
            return 5, 0

    table = Table()
    place = DatabaseLog(table)
    assert [one.event["id"] for one in place.export(matcher())] == [0, 2, 4, 6, 8]
    assert erase(place, dry_run=True).found == 5
    report = manager(place).anonymize_user_logs(12)
    assert report.counts()["database: audit_table"]["anonymised"] == 5
    assert [row["user"] for row in table.rows].count(123) == 5
    table.broken = "yes"
    with pytest.raises(ErasureError, match="RuntimeError") as failed:
        manager(place).anonymize_user_logs(12)
    assert "12" not in str(failed.value)


def test_nothing_left_out(tmp_path):
    """An archive or spool below the log directory is searched as what it is, and once."""
    logs = tmp_path / "logs"
    for name in ("archive", "spool"):
        (logs / name).mkdir(parents=True)
    spool = Spool(str(logs / "spool"))
    filled(spool, 8)
    write(logs / "application.log", lines(range(8)))
    places = local_places(
        log_directory=logs,
        spool=logs / "spool",
        archive=DirectoryStore(logs / "archive"),
        host=HOST,
        spool_wait_seconds=0,
    )
    report = manager(*places).anonymize_user_logs(12, emails=[MARIA])
    assert report.counts()["files"]["found"] == report.counts()["spool"]["found"] == 2
    assert len(payloads(spool)) == 8
    assert spool.damaged == 0
    spool.close()
