"""`logbastion keys`, and what `logbastion retention` does for keys each night."""

from __future__ import annotations

import datetime
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from logbastion.cli.main import main
from logbastion.pseudonym_key_months import IDENTIFIER_DAYS, PseudonymKeyMonths
from logbastion.pseudonym_keys import add_key, read_keys
from logbastion.retention.last_run import read_last_run

SOURCE = Path(__file__).parents[1] / "src"
TODAY = datetime.datetime.now(datetime.timezone.utc).date()
ID = TODAY.strftime("%Y%m%d")
DAY = datetime.timedelta(days=1)
OLD = "4f8a1c0be3d259677a90c4d2e8b1f3056c9d7e2f1a0b3c4d5e6f708192a3b4c5"
NEW = "9b2e7f60d1c3a5480f7e6d5c4b3a29180716f5e4d3c2b1a09f8e7d6c5b4a3928"


@pytest.fixture
def logs(tmp_path):
    made = tmp_path / "logs"
    made.mkdir(mode=0o750)
    return made


@pytest.fixture
def keys(tmp_path, logs, clean_environment, monkeypatch):
    """The file that the commands find; it is not there yet."""
    path = tmp_path / "keys"
    monkeypatch.setenv("LOGBASTION_PSEUDONYM_KEYS_FILE", str(path))
    monkeypatch.setenv("LOGBASTION_LOG_DIRECTORY", str(logs))
    return path


def old_and_current(keys: Path, unused_for: int) -> None:
    keys.write_text(f"20200101 {OLD}\n{ID} {NEW}\n# 20200101: not used since {TODAY - unused_for * DAY}\n")
    keys.chmod(0o600)


def events(logs: Path) -> list[dict]:
    file = logs / "audit.log"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def told(logs: Path) -> list[tuple[str, object]]:
    found = [event for event in events(logs) if event.get("event_type", "").startswith("pseudonym_key")]
    return [(event["event_type"], event["extra"].get("pseudonym_id")) for event in found]


def listed(capsys) -> dict[str, dict]:
    capsys.readouterr()
    main(["keys", "list", "--json"])
    return {key["key_id"]: key for key in json.loads(capsys.readouterr().out)["keys"]}


def test_made_listed_and_destroyed_without_showing_one(keys, logs, capsys):
    assert main(["keys", "list"]) == 3
    assert "cannot be opened" in capsys.readouterr().err
    assert main(["keys", "make"]) == 0
    assert main(["keys", "make"]) == 0
    assert "nothing was done. --another makes a second one" in capsys.readouterr().out
    assert main(["keys", "make", "--another", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["made"] == f"{ID}-2"
    secrets = [line.split()[1] for line in keys.read_text().splitlines() if not line.startswith("#")]
    assert main(["keys", "list"]) == 0
    shown = capsys.readouterr().out
    assert [line.split()[::5] for line in shown.splitlines()[1:3]] == [[ID, "kept"], [f"{ID}-2", "current"]]
    found = listed(capsys)
    assert found[ID]["destroys_on"] == str(TODAY + (IDENTIFIER_DAYS + 1) * DAY)
    assert main(["keys", "destroy", ID, "--confirm", ID]) == 0
    out = capsys.readouterr().out
    assert f"p1:{ID}:..., made from {TODAY} to {TODAY}, become anonymous" in out
    assert "That is before its time: its 1095 days are over on" in out
    assert [key.key_id for key in read_keys(keys)] == [f"{ID}-2"]
    assert listed(capsys)[ID]["state"] == "destroyed"
    assert told(logs) == [
        ("pseudonym_key_made", ID), ("pseudonym_key_made", f"{ID}-2"), ("pseudonym_key_destroyed", ID)
    ]  # fmt: skip
    assert main(["keys", "destroy", ID, "--json"]) == 0  # after a kill before its event: told again, nothing else
    assert json.loads(capsys.readouterr().out)["was_destroyed_before"] is True
    assert told(logs)[3:] == [("pseudonym_key_destroyed", ID)]
    everything = shown + out + (logs / "audit.log").read_text()
    assert [secret for secret in secrets if secret in everything] == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["20200101"], (2, "nobody can be asked here: say --confirm 20200101")),
        (["20200101", "--json"], (2, "nobody can be asked here")),
        (["20200101", "--confirm", ID], (2, "--confirm names another key")),
        ([ID, "--confirm", ID], (3, "is the current key and makes pseudonyms: make a new one first")),
        (["2019", "--confirm", "2019"], (3, "There is no key 2019")),
        ([OLD, "--confirm", OLD], (3, "A key id has 1 to 12")),
    ],
)
def test_what_is_not_confirmed_or_must_not_be_is_not_destroyed(keys, logs, capsys, arguments, expected):
    code, sentence = expected
    old_and_current(keys, 10)
    before = keys.read_bytes()
    assert main(["keys", "destroy", *arguments]) == code
    shown = capsys.readouterr()
    assert sentence in shown.err
    assert OLD not in shown.err + shown.out
    assert keys.read_bytes() == before
    assert events(logs) == []


def test_without_a_log_directory_a_legal_hold_could_not_be_seen(keys, capsys, monkeypatch):
    old_and_current(keys, 10)
    monkeypatch.delenv("LOGBASTION_LOG_DIRECTORY")
    assert main(["keys", "destroy", "20200101", "--confirm", "20200101"]) == 2
    assert "A legal hold would be there" in capsys.readouterr().err
    assert len(read_keys(keys)) == 2
    monkeypatch.delenv("LOGBASTION_PSEUDONYM_KEYS_FILE")
    assert main(["keys", "make"]) == 2
    assert "give --file, or set LOGBASTION_PSEUDONYM_KEYS_FILE" in capsys.readouterr().err


@pytest.mark.integration
@pytest.mark.parametrize(("answer", "left"), [("20200101", 1), ("", 2), ("yes", 2), (ID, 2)])
def test_a_terminal_asks(keys, logs, answer, left):
    old_and_current(keys, 10)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "logbastion.cli", "keys", "destroy", "20200101"]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    os.close(theirs)
    try:
        os.write(ours, f"{answer}\n".encode())
        out, err = process.communicate(timeout=60)
    finally:
        os.close(ours)
    assert b"become anonymous wherever they are" in out
    assert process.returncode == (0 if left == 1 else 1), err
    assert len(read_keys(keys)) == left
    assert (b"Nothing was destroyed." in err) == (left == 2)


def test_a_legal_hold_stops_the_command_and_the_night_and_says_so(keys, logs, capsys, monkeypatch):
    old_and_current(keys, IDENTIFIER_DAYS + 1)
    (logs / "legal-hold").write_text("security  # case 4711\n")
    assert main(["keys", "destroy", "20200101", "--confirm", "20200101"]) == 3
    assert "security under legal hold" in capsys.readouterr().err
    assert listed(capsys)["20200101"]["state"] == "held"
    monkeypatch.setenv("LOGBASTION_PSEUDONYM_KEY_MONTHS", "yes")
    assert main(["retention"]) == 0
    assert "pseudonym key 20200101: its identifiers have had their 1095 days" in capsys.readouterr().out
    assert len(read_keys(keys)) == 2
    (logs / "legal-hold").write_text("everything\n")
    assert main(["keys", "destroy", "20200101", "--confirm", "20200101"]) == 3
    assert "is no stream" in capsys.readouterr().err
    (logs / "legal-hold").unlink()
    assert main(["retention"]) == 0
    assert "destroyed" in capsys.readouterr().out
    assert [key.key_id for key in read_keys(keys)] == [ID]


def test_a_night_makes_and_destroys_only_where_it_is_asked_to(keys, logs, capsys, monkeypatch):
    assert main(["retention"]) == 1  # a file is named, and is not there
    assert "pseudonym keys: The file of pseudonym keys" in capsys.readouterr().out
    monkeypatch.setenv("LOGBASTION_PSEUDONYM_KEY_MONTHS", "yes")
    assert main(["retention", "--dry-run"]) == 0
    assert not keys.exists()
    assert main(["retention"]) == 0
    assert [key.key_id for key in read_keys(keys)] == [ID]
    monkeypatch.delenv("LOGBASTION_PSEUDONYM_KEY_MONTHS")
    for unused_for, code, kind in ((IDENTIFIER_DAYS, 0, None), (IDENTIFIER_DAYS + 1, 0, "due"), (1200, 1, "failed")):
        old_and_current(keys, unused_for)
        capsys.readouterr()
        assert main(["retention", "--json"]) == code
        actions = [
            action["kind"]
            for action in json.loads(capsys.readouterr().out)["actions"]
            if action["file"] == "pseudonym key 20200101"
        ]
        assert actions == ([kind] if kind else [])
        assert len(read_keys(keys)) == 2
    assert read_last_run(logs).failures == 1  # what the alert looks at
    monkeypatch.setenv("LOGBASTION_PSEUDONYM_KEY_MONTHS", "yes")
    assert main(["retention", "--dry-run", "--json"]) == 0
    assert "pseudonym key 20200101" in capsys.readouterr().out
    assert len(read_keys(keys)) == 2
    capsys.readouterr()
    assert main(["retention"]) == 0
    assert "keys made or destroyed: 1" in capsys.readouterr().out
    assert [key.key_id for key in read_keys(keys)] == [ID]
    assert read_last_run(logs).failures == 0
    monkeypatch.setenv("LOGBASTION_PSEUDONYM_KEY_MONTHS", "monthly")
    assert main(["retention"]) == 1
    assert "must be yes or no" in capsys.readouterr().out
    last = [event for event in events(logs) if event.get("event_type") == "pseudonym_key_state"][-1]
    assert last["extra"] == {
        "pseudonym_ids": [ID], "destroyed_ids": [f"20200101 on {TODAY}"], "destroyed_count": 1
    }  # fmt: skip
    assert ("pseudonym_key_destroyed", "20200101") in told(logs)


@pytest.mark.integration
def test_root_leaves_files_that_the_application_can_use(keys, logs, monkeypatch, tmp_path):
    """On a host that Ansible has set up: the keys are root's, the logs and the spool the application's."""
    owner = 65534 if os.geteuid() == 0 else os.geteuid()
    spool = tmp_path / "spool"
    spool.mkdir(mode=0o750)
    for place in (logs, spool):
        os.chown(place, owner, -1)
    for parent in (tmp_path, *tmp_path.parents[:2]):
        parent.chmod(0o755)
    add_key(keys, "20200101")
    monkeypatch.setenv("LOGBASTION_SPOOL_DIRECTORY", str(spool))
    assert main(["keys", "make"]) == 0
    assert main(["keys", "destroy", "20200101", "--confirm", "20200101"]) == 0
    assert keys.stat().st_uid == os.geteuid()
    made = [path for place in (logs, spool) for path in place.rglob("*")]
    assert {path.stat().st_uid for path in made} == {owner}
    assert len(list(spool.glob("*/audit.*.spool"))) == 2
    shutil.rmtree(spool)


def test_help_says_what_follows(capsys):
    for command in ("list", "make", "destroy"):
        with pytest.raises(SystemExit) as ended:
            main(["keys", command, "--help"])
        assert ended.value.code == 0
        assert "LOGBASTION_PSEUDONYM_KEYS_FILE" in capsys.readouterr().out


def test_what_would_be_lost_is_said_of_a_key_whose_time_is_over(keys, capsys):
    old_and_current(keys, IDENTIFIER_DAYS + 5)
    assert main(["keys", "list"]) == 1
    assert main(["keys", "destroy", "20200101", "--confirm", "20200101"]) == 0
    assert f"Its 1095 days are over since {TODAY - 4 * DAY}." in capsys.readouterr().out
    assert [key.key_id for key in PseudonymKeyMonths(keys).listed()] == ["20200101", ID]
