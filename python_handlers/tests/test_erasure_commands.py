"""`logbastion erase-user`, `erasures`, `export-user` and `manage.py erase_user`, as people and programs run them."""

import json
import logging
import os
import pty
import shutil
import subprocess
import sys

import pytest
from erasure_helpers import MARIA, START, content_of, lines, matcher, numbers, write
from retention_helpers import DAY, Time
from retention_helpers import manager as retention

from logbastion.archives import DirectoryStore
from logbastion.cli import main
from logbastion.pseudonym_keys import add_key
from logbastion.pseudonyms import Pseudonymizer
from logbastion.shipping.spool import Spool

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture(autouse=True)
def _loggers():
    """The commands set logging up for their process, which here goes on."""
    names = ("privacy.gdpr", "system.log_management")
    before = {name: (list(logging.getLogger(name).handlers), logging.getLogger(name).propagate) for name in names}
    yield
    for name, (handlers, propagate) in before.items():
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if handler not in handlers:
                logger.removeHandler(handler)
                handler.close()
        logger.propagate = propagate


@pytest.fixture
def logs(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    write(directory / "application.log", lines(range(40)))
    write(directory / "security.log.20260101T020000Z", lines(range(40), "security"), "gzip")
    return directory


@pytest.fixture
def run(capsys):
    def call(*arguments):
        try:
            code = main([str(one) for one in arguments])
        except SystemExit as end:
            code = end.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_from_the_first_look_to_the_proof(logs, run, tmp_path):
    where = ("--log-directory", logs)
    code, out, _ = run("erase-user", "12", "--email", MARIA, *where, "--dry-run")
    assert (code, "20 events would be erased" in out) == (0, True)
    code, _, err = run("erase-user", "12", "--email", MARIA, *where)
    assert (code, "add --yes" in err) == (2, True)
    ledger = ("--ledger", tmp_path / "ledger")
    code, out, _ = run("erase-user", "12", "--email", MARIA, *where, *ledger, "--yes")
    assert (code, "Nothing of the person is left" in out) == (0, True)
    assert not matcher().in_bytes(out.encode())
    said = [json.loads(line) for line in (logs / "audit.log").read_bytes().splitlines()]
    assert [one["event_type"] for one in said] == ["gdpr_anonymization", "gdpr_anonymization_complete"]
    code, out, _ = run("erasures", "list", *ledger, "--json")
    (one,) = json.loads(out)["erasures"]
    assert (code, one["outcome"], one["places"]["files"]["found"]) == (0, "complete", 20)
    code, out, _ = run("erasures", "list", *ledger)
    assert one["erasure_id"] in out
    assert "There are no erasures of this user." in run("erasures", "list", *ledger, "--user", "123")[1]
    write(logs / "application.log", lines(range(40)))  # a backup was restored
    code, out, _ = run("erasures", "replay", *ledger, *where)
    assert (code, out.count("Nothing of the person is left")) == (0, 1)
    assert not any(matcher().in_bytes(line) for line in content_of(logs / "application.log"))
    assert run("erasures", "forget", *ledger)[:2] == (0, "0 keys were destroyed.\n")


def test_json_and_exit_codes(logs, run):
    (logs / "legal-hold").write_text("security\n")
    code, out, _ = run("erase-user", "12", "--log-directory", logs, "--yes", "--json")
    report = json.loads(out)
    assert (code, report["outcome"]) == (1, "held")
    path = logs / "application.log-20260101.gz"
    path.write_bytes(b"\x1f\x8b no gzip")
    code, out, _ = run("erase-user", "12", "--log-directory", logs, "--yes", "--json")
    report = json.loads(out)
    assert (code, report["outcome"]) == (3, "failed")
    assert any(path.name in error for error in report["errors"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--yes"], "say whom"),
        (["12", "--yes"], "no place is named"),
        (["12", "--yes", "--log-directory", "/nowhere"], "there is no directory /nowhere"),
        (["12", "--yes", "--archive", "/nowhere"], "--archive needs --log-directory"),
        (["12", "--yes", "--spool", ".", "--rule", "debug"], "STREAM=ACTION"),
        (["12", "--yes", "--spool", ".", "--rule", "debug=keep"], "choose from"),
        (["12", "--identifier", "abc"], "an identifier needs 4"),
        (["12", "--email", "maria"], "one @"),
        (["12", "--subject-file", "-"], "goes without ID"),
        (["12", "--yes", "--spool", ".", "--pseudonym-keys", "/nowhere"], "cannot be opened"),
    ],
)
def test_wrong_input_is_told(run, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("erase-user", *arguments)
    assert code in {2, 3}
    assert says in err
    assert out == ""


@pytest.mark.integration
def test_a_person_on_standard_input_is_in_no_list_of_processes(logs):
    command = [sys.executable, "-m", "logbastion.cli", "erase-user", "--subject-file", "-", "--yes", "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LOGBASTION_LOG_DIRECTORY": str(logs)}
    person = {"user_id": 12, "emails": [MARIA], "identifiers": [], "id_fields": ["student_id"]}
    done = subprocess.run(
        command, input=json.dumps(person), capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["places"][0]["found"] == 20
    for wrong in ("[]", "{}", '{"user_id": 12, "mails": []}', '{"user_id": 12, "emails": "a@b.pt"}', "x"):
        done = subprocess.run(
            command, input=wrong, capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        assert (done.returncode, "must be one JSON object" in done.stderr) == (2, True), wrong


def test_on_a_terminal_it_asks_and_shows_how_far_it_is(logs):
    """A real terminal: the id has to be typed once more."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LOGBASTION_LOG_DIRECTORY": str(logs)}
    outputs = []
    for typed in (b"123\n", b"12\n"):
        main_end, terminal = pty.openpty()
        command = [sys.executable, "-m", "logbastion.cli", "erase-user", "12", "--email", MARIA]
        process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment)
        os.close(terminal)
        os.write(main_end, typed)
        output = b""
        while True:
            try:
                chunk = os.read(main_end, 4096)
            except OSError:  # the other side was closed
                break
            output += chunk
        os.close(main_end)
        outputs.append((process.wait(60), output.decode()))
    assert (outputs[0][0], "not the same id" in outputs[0][1]) == (2, True)
    assert (outputs[1][0], "files: searching again" in outputs[1][1]) == (0, True)
    assert "Nothing of the person is left" in outputs[1][1]


def test_archive_spool_and_pseudonyms_together(tmp_path, run, monkeypatch):
    for name in ("logs", "archive", "spool"):
        (tmp_path / name).mkdir()
    add_key(tmp_path / "keys", "one")
    pseudonym = Pseudonymizer.from_file(tmp_path / "keys").pseudonym("email", MARIA)
    clock = Time(START)
    write(tmp_path / "logs" / "application.log", lines(range(40)))
    for day in (1, 31):
        clock.now = START + day * DAY
        store = DirectoryStore(tmp_path / "archive")
        assert retention(tmp_path / "logs", clock, store).enforce_retention_policies().failures == 0
    spool = Spool(str(tmp_path / "spool"))
    spool.append("security", json.dumps({"message": f"failed for {pseudonym}", "extra": {"number": 1}}).encode())
    spool.close()
    for name, value in (("LOG_DIRECTORY", "logs"), ("ARCHIVE", "archive"), ("SPOOL_DIRECTORY", "spool")):
        monkeypatch.setenv(f"LOGBASTION_{name}", str(tmp_path / value))
    monkeypatch.setenv("LOGBASTION_ARCHIVE_HOST", "host-1")
    monkeypatch.setenv("LOGBASTION_PSEUDONYM_KEYS_FILE", str(tmp_path / "keys"))
    output = tmp_path / "hers.jsonl"
    code, out, _ = run("export-user", "12", "--email", MARIA, "--output", output)
    assert (code, "11 events are in" in out) == (0, True)
    assert output.stat().st_mode & 0o777 == 0o600
    exported = [json.loads(line) for line in output.read_bytes().splitlines()]
    assert sorted({one["place"] for one in exported}) == ["archive", "spool"]
    assert run("export-user", "12", "--output", output)[0] == 2  # it is not overwritten
    code, out, _ = run("erase-user", "12", "--email", MARIA, "--yes", "--json")
    assert (code, json.loads(out)["outcome"]) == (0, "complete")
    code, out, _ = run("export-user", "12", "--email", MARIA, "--output", tmp_path / "none.jsonl", "--json")
    assert (code, json.loads(out)["events"]) == (0, 0)


def test_an_export_that_is_not_complete_is_none(logs, run, tmp_path):
    path = logs / "security.log.20260101T020000Z.gz"
    path.write_bytes(path.read_bytes()[:-9])
    code, _, err = run("export-user", "12", "--log-directory", logs, "--output", tmp_path / "hers.jsonl")
    assert (code, "would not be complete" in err) == (3, True)
    assert not (tmp_path / "hers.jsonl").exists()


def test_restore_makes_erasures_again(tmp_path, run):
    for name in ("logs", "archive", "before", "out"):
        (tmp_path / name).mkdir()
    clock, store = Time(START), DirectoryStore(tmp_path / "archive")
    write(tmp_path / "logs" / "application.log", lines(range(40)))
    for day in (1, 31):
        clock.now = START + day * DAY
        assert retention(tmp_path / "logs", clock, store).enforce_retention_policies().failures == 0
    shutil.copytree(tmp_path / "archive", tmp_path / "before" / "archive")
    shutil.copytree(tmp_path / "logs", tmp_path / "before" / "logs")
    ledger = ("--ledger", tmp_path / "ledger")
    where = ("--log-directory", tmp_path / "logs", "--archive", tmp_path / "archive", "--host", "host-1")
    assert run("erase-user", "12", *where, *ledger, "--yes")[0] == 0
    for name in ("archive", "logs"):  # a backup of the whole host comes back
        shutil.rmtree(tmp_path / name)
        shutil.copytree(tmp_path / "before" / name, tmp_path / name)
    for target in ((), ("--directory", tmp_path / "out")):
        code, out, err = run("restore", "--stream", "application", *target, *where, *ledger)
        assert (code, "1 restored" in out, err) == (0, True, "")
        (path,) = (tmp_path / ("out" if target else "logs")).glob("application.log*.gz")
        assert numbers(content_of(path)) == [number for number in range(40) if number % 4]
        if not target:
            path.unlink()
    # The archive itself is from before; that is said by the search, and mended by a replay over all places.
    assert run("export-user", "12", *where, "--output", tmp_path / "x")[1].startswith("PLACE")
    assert run("erasures", "replay", *where, *ledger)[0] == 0


class Table:
    """A log of the project, as a setting names it."""

    name = "table"
    rows = [{"user": 12}, {"user": 123}]  # noqa: RUF012 - shared on purpose

    def entries_of(self, subject):
        return [row for row in self.rows if str(row["user"]) == subject.user_id]

    def erase(self, subject):
        found = self.entries_of(subject)
        for row in found:
            row["user"] = None
        return len(found), 0


@pytest.fixture
def site(auth_site):
    return auth_site


def test_the_management_command_knows_the_account(maria, site, logs, capsys, monkeypatch):
    from django.core.management import CommandError, call_command
    from django.test import override_settings

    monkeypatch.setenv("LOGBASTION_LOG_DIRECTORY", str(logs))
    with (logs / "application.log").open("a") as file:
        file.write(json.dumps({"message": f"mail to {maria.email.upper()}"}) + "\n")
        file.write(json.dumps({"message": "mail to somebody@else.pt"}) + "\n")
    with override_settings(LOGBASTION_ERASABLE_LOGS=["test_erasure_commands.Table"]):
        call_command("erase_user", str(maria.pk), "--dry-run", "--json")
        report = json.loads(capsys.readouterr().out)
        counts = {place["place"]: place["found"] for place in report["places"]}
        assert counts == {"database: table": 0, "files": 1}
        call_command("erase_user", "12", "--yes", "--json")
        report = json.loads(capsys.readouterr().out)
        assert {place["place"]: place["found"] for place in report["places"]} == {"database: table": 1, "files": 20}
        assert Table.rows == [{"user": None}, {"user": 123}]
        with pytest.raises(CommandError, match="add --yes"):
            call_command("erase_user", "12")
    with (
        override_settings(LOGBASTION_ERASABLE_LOGS=["nowhere.Table"]),
        pytest.raises(CommandError, match=r"nowhere\.Table"),
    ):
        call_command("erase_user", "12", "--yes")
    (logs / "application.log.gz").write_bytes(b"no gzip")
    with pytest.raises(SystemExit) as ended:
        call_command("erase_user", "12", "--yes")
    assert ended.value.code == 3
