"""The command, as people and programs run it, beside processes that live and that were killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from conftest import eventually
from spool_helpers import python, segments

from logbastion.cli import drain, main
from logbastion.cli.common import age_text, printable, size_text
from logbastion.shipping.dead_letters import DeadLetters, letters_of
from logbastion.shipping.spool import Spool
from logbastion.shipping.transports import Promise, Receipt

pytestmark = pytest.mark.usefixtures("clean_environment")

EVENT = '{"@timestamp":"2026-11-23T10:00:00.000000Z","message":"m","event":{"id":"id-%d"},"extra":{"n":%d}}'


def event(number):
    return (EVENT % (number, number)).encode()


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "spool"
    path.mkdir(mode=0o750)
    return path


@pytest.fixture
def run(root, capsys):
    """Runs the command within this process; gives code, output and errors."""

    def call(*arguments):
        try:
            code = main(["spool", *arguments, "--directory", str(root)])
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def leave(root, first, last, stream="application"):
    """Leave events as a dead process does."""
    spool = Spool(root)
    for number in range(first, last):
        assert spool.append(stream, event(number))
    spool.close()


LIVING = """
import os, sys, time
from logbastion.shipping.spool import Spool
spool = Spool(sys.argv[1])
number = 0
while True:
    spool.append("security", b'{"@timestamp":"2026-11-23T10:00:00.000000Z","extra":{"n":%d}}' % number)
    os.write(1, b"%d\\n" % number)
    number += 1
    if number >= 100:
        time.sleep(600)
"""


@pytest.fixture
def living(root):
    process = python(LIVING, root)
    for _ in range(100):
        process.stdout.readline()
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_an_empty_spool_is_well(run):
    code, out, _ = run("status")
    assert code == 0
    assert "Nothing waits" in out


def test_status_counts_what_waits(root, run, living):
    leave(root, 0, 250)
    code, out, _ = run("status", "--json")
    found = json.loads(out)
    assert code == 1
    assert found["events"] == 350
    by_owner = {process["owner"]: process for process in found["processes"]}
    assert set(by_owner) == {living.pid, None}
    assert by_owner[None]["streams"]["application"]["events"] == 250
    assert by_owner[None]["streams"]["application"]["oldest"] == 1795428000.0
    assert by_owner[living.pid]["streams"]["security"]["events"] == 100
    assert found["bytes"] == sum(path.stat().st_size for path in segments(root))
    (sentence,) = found["attention"]
    assert sentence.startswith("250 events of processes that have ended wait")
    code, out, _ = run("status")
    assert code == 1
    assert "security" in out
    assert sentence in out


def test_status_counts_from_the_settled_position(root, run):
    spool = Spool(root)
    for number in range(10):
        spool.append("audit", event(number))
    spool.settle(spool.read(4, 100_000))
    code, out, _ = run("status", "--json")
    assert json.loads(out)["events"] == 6
    assert json.loads(out)["processes"][0]["owner"] == os.getpid()
    assert code == 0
    spool.close()


ADOPT = """
import sys
from logbastion.shipping.spool.directory import ProcessDirectory, process_directories
print([ProcessDirectory.adopt(path) for path in process_directories(sys.argv[1])])
"""


def test_status_hurts_nobody(root, run, living):
    """Neither the lock of another process nor, in the same process, one's own is lost by looking."""
    own = Spool(root)
    own.append("audit", event(1))
    before = contents(root)
    assert len(before) == 4
    for _ in range(5):
        run("status", "--json")
    assert contents(root) == before
    other = python(ADOPT, root)
    assert other.communicate(timeout=60)[0] == b"[None, None]\n"
    own.close()


def contents(root):
    # Not of the lock: whoever opens and closes that of its own process gives the lock up.
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.name != "owner.lock"}


def test_status_says_what_stands_in_the_way(root, run):
    spool = Spool(root)
    spool.append("audit", event(1))
    state = {
        "pid": os.getpid(), "state": "failing", "last_error": "nobody\x1b[2J answers", "updated": time.time() - 60,
        "lanes": {"audit": {"error": "No space left on device"}}, "dropped": {"debug": {"spool_full": 7}},
    }  # fmt: skip
    with open(os.path.join(spool.home, "status.json"), "w") as file:
        json.dump(state, file)
    code, out, _ = run("status")
    assert code == 1
    assert "cannot send: nobody\N{REPLACEMENT CHARACTER}[2J answers" in out
    assert "keeps events in memory: No space left on device" in out
    assert "has not said anything for 1.0 min" in out
    assert "\x1b" not in out
    assert any(line.split()[0] == "debug" and line.endswith("7") for line in out.splitlines() if "debug" in line)
    spool.close()


@pytest.mark.parametrize("status", ["", "{", "[]", '{"pid":1,"dropped":3,"lanes":[1]}'])
def test_a_damaged_status_file_hides_nothing(root, run, status):
    spool = Spool(root)
    spool.append("audit", event(1))
    with open(os.path.join(spool.home, "status.json"), "w") as file:
        file.write(status.replace('"pid":1', f'"pid":{os.getpid()}'))
    assert json.loads(run("status", "--json")[1])["events"] == 1
    assert "audit" in run("status")[1]
    spool.close()


def test_live_status_goes_on_until_interrupted(root, living):
    """On a terminal; its first page is complete before it is interrupted."""
    leader, follower = os.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "logbastion.cli", "spool", "status", "--interval", "0.1", "--directory", str(root)]
    # Where the tests themselves run in the background, interrupts are ignored, and a child would inherit that.
    process = subprocess.Popen(
        command, env=environment, stdout=follower, stderr=follower,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )  # fmt: skip
    os.close(follower)
    seen = b""
    while seen.count(b"Dead letters") < 3:
        seen += os.read(leader, 65536)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    os.close(leader)
    assert seen.count(b"\x1b[2J") >= 3
    assert str(living.pid).encode() in seen


@pytest.mark.parametrize("name", ["status", "drain", "dead-letters"])
def test_help_helps(run, name):
    code, out, _ = run(name, "--help")
    assert code == 0
    assert "LOGBASTION_SPOOL_DIRECTORY" in out
    assert "exit codes:" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["status"], "no spool is named"),
        (["status", "--directory", "/nowhere"], None),
        (["drain", "--transport", "pigeon"], "invalid choice"),
        (["status", "--interval", "0"], "0.1 to 3600"),
        (["dead-letters", "--dry-run", "--directory", "/"], "goes with --resend"),
        ([], "COMMAND"),
    ],
)
def test_wrong_arguments_get_a_sentence(capsys, arguments, sentence):
    try:
        code = main(["spool", *arguments])
    except SystemExit as end:
        code = end.code
    error = capsys.readouterr().err
    assert code == (2 if sentence else 3)
    assert (sentence or "there is no directory /nowhere") in error
    assert "Traceback" not in error


def test_drain_ships_what_the_dead_have_left_and_leaves_the_living_alone(root, run, living, sink, certificates):
    for index in range(5):
        leave(root, index * 100, index * 100 + 100, "audit" if index % 2 else "debug")
    options = ["--ingest", sink.address, "--ca-file", str(certificates.ca)]
    options += ["--certificate-file", str(certificates.certificate), "--key-file", str(certificates.key)]
    code, out, _ = run("drain", *options, "--dry-run")
    assert (code, sink.lines) == (1, [])
    assert "500 events in 5 directories would be shipped." in out
    code, out, error = run("drain", *options, "--json")
    assert code == 0, error
    found = json.loads(out)
    assert (found["shipped"], found["left"], found["of_living_processes"]) == (500, 0, 100)
    assert sorted(sink.numbers()) == list(range(500))
    assert len(list(root.iterdir())) == 1
    assert living.poll() is None
    assert run("drain", *options)[0] == 0


def test_drain_says_what_is_left(root, run, certificates):
    leave(root, 0, 10)
    options = ["--ingest", "localhost:1", "--ca-file", str(certificates.ca), "--timeout", "0.5"]
    code, out, error = run("drain", *options)
    assert code == 1
    assert "0 events were shipped, 0 refused, 10 are left." in out
    assert "localhost:1" in error
    assert json.loads(run("status", "--json")[1])["events"] == 10


@pytest.fixture
def receiver_that_fails_at_the_first_end(monkeypatch):
    class FailsAtTheFirstEnd:
        promise = Promise.SENT
        under_way = ends = 0

        def send(self, events):
            self.under_way += len(events)
            return Receipt()

        def poll(self):
            return Receipt()

        def finish(self, timeout):
            self.ends += 1
            settled, self.under_way = self.under_way if self.ends > 1 else 0, 0
            return Receipt(settled)

        def forget(self):
            self.under_way = 0

    monkeypatch.setattr(drain, "make_transport", lambda arguments: FailsAtTheFirstEnd())


@pytest.mark.usefixtures("receiver_that_fails_at_the_first_end")
def test_drain_goes_on_when_the_receiver_fails_at_the_end(root, run):
    leave(root, 0, 10)
    code, out, _ = run("drain", "--timeout", "30")
    assert code == 0
    assert "10 events were shipped, 0 refused, 0 are left." in out


@pytest.mark.usefixtures("receiver_that_fails_at_the_first_end")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_drain_says_what_was_damaged(root, run, options):
    leave(root, 0, 10)
    (path,) = root.glob("*/*.spool")
    path.write_bytes(b"rubbish\n" + path.read_bytes())
    code, out, _ = run("drain", "--timeout", "30", *options)
    assert code == 0
    told = json.loads(out)["damaged"] if options else int(re.search(r"(\d+) damaged pieces", out)[1])
    kept = [line for file in root.glob("quarantine/*") for line in file.read_text().splitlines()]
    assert told == len(kept) >= 1


def test_drain_needs_to_know_where_to(root, run):
    leave(root, 0, 10)
    code, _, error = run("drain")
    assert code == 2
    assert "LOGBASTION_INGEST" in error
    code, _, error = run("drain", "--ingest", "a:1", "--username", "x")
    assert code == 2
    assert "tcp knows client certificates only" in error


def test_another_users_spool_is_not_written(root, run, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    for arguments in (["drain"], ["dead-letters", "--resend"]):
        code, _, error = run(*arguments)
        assert code == 3
        assert "sudo -u" in error


def test_dead_letters_are_listed_counted_and_given_back(root, run):
    letters = DeadLetters(str(root))
    letters.keep([("audit", "mapper_parsing_exception\x1b[2J", event(1)), ("debug", "too long", event(2))])
    letters.keep([("audit", "mapper_parsing_exception\x1b[2J", event(3)), ("audit", "not JSON", b"\xff{")])
    code, out, _ = run("dead-letters")
    assert code == 0
    assert len(out.splitlines()) == 4
    assert "id-1" in out
    assert "\x1b" not in out
    _, out, _ = run("dead-letters", "--json")
    assert [json.loads(line)["stream"] for line in out.splitlines()] == ["audit", "debug", "audit", "audit"]
    _, out, _ = run("dead-letters", "--summary")
    assert out.splitlines()[0].split()[:2] == ["2", "audit"]
    assert run("dead-letters", "--date", "1999-01-01")[1] == "There are no dead letters.\n"
    assert json.loads(run("status", "--json")[1])["dead_letters"] == 4
    code, out, _ = run("dead-letters", "--resend", "--dry-run")
    assert "4 events would be given back" in out
    code, out, _ = run("dead-letters", "--resend", "--json")
    assert (code, json.loads(out)["resent"]) == (0, 4)
    assert list((root / "dead_letters").iterdir()) == []
    spool = Spool(root)
    spool.maintain()
    found = []
    while (batch := spool.read(100, 100_000)) is not None:
        found += [(batch.stream, one) for one in batch.events]
    assert [one for stream, one in found if stream == "audit"][:2] == [event(1), event(3)]
    assert [one for stream, one in found if stream == "debug"] == [event(2)]
    assert len(found) == 4
    spool.close()


def test_dead_letters_that_the_spool_does_not_take_stay(root, run, monkeypatch):
    DeadLetters(str(root)).keep([("audit", "no", event(1))])
    monkeypatch.setattr(Spool, "append", lambda *_, **__: False)
    code, out, _ = run("dead-letters", "--resend")
    assert code == 1
    assert "left as it is" in out
    assert len(list((root / "dead_letters").iterdir())) == 1


def test_a_letter_that_comes_while_its_file_is_given_back_is_not_lost(root):
    """Whoever resends holds the file's lock until it is deleted; a worker then begins a new file."""
    DeadLetters(str(root)).keep([("audit", "no", event(1))])
    (path,) = (root / "dead_letters").iterdir()
    program = (
        "import sys; from logbastion.shipping.dead_letters import DeadLetters; "
        "DeadLetters(sys.argv[1]).keep([('audit', 'no', b'2')])"
    )
    with letters_of(str(path)) as letters:
        assert len(letters) == 1
        writer = python(program, root)
        inode = path.stat().st_ino
        eventually(lambda: waits_for_a_lock(writer.pid, inode))
        path.unlink()
    assert writer.wait(60) == 0
    writer.stdout.close()
    with letters_of(str(path)) as letters:
        assert [letter.event for letter in letters] == [2]


def waits_for_a_lock(pid, inode):
    with open("/proc/locks") as locks:
        return any("->" in line and f" {pid} " in line and f":{inode} " in line for line in locks)


def test_texts_for_people():
    assert [size_text(n) for n in (0, 1023, 1024, 5 << 20, 3 << 40)] == [
        "0 B", "1023 B", "1.0 KiB", "5.0 MiB", "3072.0 GiB",
    ]  # fmt: skip
    assert [age_text(s) for s in (None, -5, 59, 60, 3600, 90_000)] == ["-", "0 s", "59 s", "1.0 min", "1.0 h", "1.0 d"]
    assert (
        printable("a\x1b[1m\n\u202eb")
        == "a\N{REPLACEMENT CHARACTER}[1m\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"
    )
