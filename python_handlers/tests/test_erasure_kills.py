"""kill -9 at random points of an erasure in files, archive and spool; the same call again ends the same.

The archive is a directory, and a bucket with versions. ``ERASURE_KILLS`` says at how many points of each; `make
test-long` takes 50, with versitygw. ``ERASURE_SEED`` repeats a run.
"""

import hashlib
import io
import os
import random
import shutil
import signal
import sys

import pytest
from erasure_helpers import MARIA, START, content_of, lines, matcher, numbers, write
from retention_helpers import DAY, HOST, Time
from retention_helpers import manager as retention

from logbastion.archives import DirectoryStore, archive_at
from logbastion.erasure.ledger import Ledger
from logbastion.erasure.manager import GDPRLogManager
from logbastion.erasure.places import local_places
from logbastion.retention.codecs import reading
from logbastion.retention.verification import verify
from logbastion.shipping.spool import Spool

pytestmark = pytest.mark.integration

# What an erasure does to files and to the archive: audit events of Python's own calls, and writes in place. To a
# bucket, each piece that is sent of each request.
STEPS = {
    "http.client.send",
    "open",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.chmod",
    "os.truncate",
    "os.link",
    "shutil.rmtree",
}
STREAMS = ("application", "security", "debug")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    """What is synced survives a loss of power, which is not tried here; a kill leaves all that was written."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class Directories:
    """Archives in directories; one is part of what is copied for each kill."""

    kills = 12
    least_steps = 200

    def of(self, place):
        return DirectoryStore(place / "archive")

    def made(self, place):
        (place / "archive").mkdir()
        return self.of(place)

    def copied(self, old, new):
        """Nothing to do."""

    def removed(self, place):
        """Nothing to do."""

    def content(self, place):
        """Nothing that is not in the directory."""
        return {}


class Buckets:
    """Archives in buckets with versions, one for each copy of the directory."""

    kills = 4
    least_steps = 200

    def __init__(self, server):
        self._server, self._client = server, server.client()

    def of(self, place):
        return archive_at(self._server.address(place.name, sse=self._server.encryption))

    def made(self, place):
        self._client.create_bucket(Bucket=place.name)
        self._client.put_bucket_versioning(Bucket=place.name, VersioningConfiguration={"Status": "Enabled"})
        return self.of(place)

    def copied(self, old, new):
        self.made(new)
        wanted = self._server.encryption
        encryption = {} if wanted == "bucket" else {"ServerSideEncryption": wanted}
        for one in self._client.list_objects_v2(Bucket=old.name)["Contents"]:
            source = {"Bucket": old.name, "Key": one["Key"]}
            self._client.copy_object(Bucket=new.name, Key=one["Key"], CopySource=source, **encryption)

    def removed(self, place):
        for one in self._versions(place):
            self._client.delete_object(Bucket=place.name, Key=one["Key"], VersionId=one["VersionId"])
        self._client.delete_bucket(Bucket=place.name)

    def content(self, place):
        """Return the bytes of every version of every object that is a log."""
        found = {}
        for one in self._versions(place):
            asked = {"Bucket": place.name, "Key": one["Key"], "VersionId": one["VersionId"]}
            if ".log" in one["Key"]:
                found.setdefault(one["Key"], []).append(self._client.get_object(**asked)["Body"].read())
        return found

    def _versions(self, place):
        found = self._client.list_object_versions(Bucket=place.name)
        assert not found["IsTruncated"]
        return found.get("Versions", []) + found.get("DeleteMarkers", [])


@pytest.fixture(params=["directory", "s3"])
def archives(request):
    if request.param == "directory":
        return Directories()
    request.getfixturevalue("s3_credentials")
    return Buckets(request.getfixturevalue("s3_server"))


def erase(place, archives):
    """Erase user 12; return the outcome."""
    places = local_places(
        log_directory=place / "logs",
        spool=place / "spool",
        archive=archives.of(place),
        host=HOST,
        spool_wait_seconds=0,
    )
    ledger = Ledger(place / "ledger")
    return GDPRLogManager(places, ledger=ledger).anonymize_user_logs(12, emails=[MARIA]).outcome


def run(place, archives, kill_at=0):
    """Erase in a child; return how many steps it took, None when it was killed before that step."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        steps, code = 0, 1

        def count(name, _=None):
            nonlocal steps
            if name in STEPS:
                steps += 1
                if steps == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        write_in_place = os.pwrite

        def counted(*arguments):
            count("open")
            return write_in_place(*arguments)

        sys.addaudithook(count)
        os.pwrite = counted
        try:
            code = 0 if erase(place, archives) == "complete" else 1
            os.write(writing, b"%d" % steps)
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in {0, -signal.SIGKILL}
    return int(told) if code == 0 else None


def is_complete(place):
    """Return whether the last erasure that was begun has entered its end."""
    return [one.outcome for one in Ledger(place / "ledger").erasures()][-1:] == ["complete"]


def state(place, archives):
    """Return a hash of each file but those with times or keys of the run in them."""
    return archives.content(place) | {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.name != "manifest.jsonl" and "ledger" not in path.parts
    }


@pytest.fixture
def begun(tmp_path, archives):
    place = tmp_path / "begun"
    for name in ("logs", "spool"):
        (place / name).mkdir(parents=True)
    clock, store = Time(START), archives.made(place)
    for night in (0, 1, 60, 368, 396, 399):
        clock.now = START + night * DAY
        for stream in STREAMS:
            write_to = place / "logs" / f"{stream}.log"
            with write_to.open("ab") as file:
                file.writelines(lines(range(20 * night, 20 * night + 12), stream, clock.now))
        clock.now += DAY
        assert retention(place / "logs", clock, store).enforce_retention_policies().failures == 0
    write(place / "logs" / "application.log", lines(range(900, 912)))
    spool = Spool(str(place / "spool"))
    for stream in STREAMS:
        for line in lines(range(30), stream):
            assert spool.append(stream, line[:-1])
    spool.close()
    yield place
    archives.removed(place)


def content_everywhere(place, archives):
    """Return the lines of all logs, of every version of what is in a bucket."""
    for path in place.rglob("*.log*"):
        yield from content_of(path)
    for key, stored in archives.content(place).items():
        for one in stored:
            yield from reading(io.BytesIO(one), key).read().splitlines(keepends=True)


def test_after_a_kill_at_any_point_the_same_call_ends_the_same(begun, archives, tmp_path):
    seed = int(os.environ.get("ERASURE_SEED") or int.from_bytes(os.urandom(4), "big"))
    print(f"ERASURE_SEED={seed}")
    chance = random.Random(seed)

    def copied(name):
        shutil.copytree(begun, tmp_path / name)
        archives.copied(begun, tmp_path / name)
        return tmp_path / name

    done = copied("done")
    steps = run(done, archives)
    expected = state(done, archives)
    everything = list(content_everywhere(done, archives))
    assert not [line for line in everything if matcher().in_bytes(line)]
    assert len(numbers(line for line in everything if line.startswith(b"{"))) > 100
    assert steps > archives.least_steps
    for number in range(int(os.environ.get("ERASURE_KILLS") or archives.kills)):
        place, at = copied("killed"), chance.randint(1, steps)
        # Runs differ by a step or two, so that the last ones are not always reached.
        assert run(place, archives, at) is None or at > steps - 5, (seed, number, at)
        # One that was killed, or not, after it had entered its end is followed by a new erasure.
        ended = int(is_complete(place))
        second = chance.randint(1, steps)  # and the next one perhaps, too
        if run(place, archives, second) is None:
            ended += len(Ledger(place / "ledger").erasures()) > ended and is_complete(place)
            assert run(place, archives) is not None, (seed, number, at, second)
        assert state(place, archives) == expected, (seed, number, at, second)
        report = verify(place / "logs", archive=archives.of(place), host=HOST)
        assert report.problems == [], (seed, number, at, second)
        assert [one.outcome for one in Ledger(place / "ledger").erasures()] == ["complete"] * (ended + 1)
        shutil.rmtree(place)
        archives.removed(place)
    archives.removed(done)
