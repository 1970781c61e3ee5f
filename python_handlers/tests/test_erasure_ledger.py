"""The ledger proves erasures without holding whom, and finds the person again for as long as that is needed."""

import json
import logging
from datetime import datetime, timedelta, timezone

import pytest
from erasure_helpers import MARIA, START, lines, manager, matcher, write
from retention_helpers import Time

from logbastion.cli.main import main
from logbastion.erasure.files import LogFiles
from logbastion.erasure.ledger import Ledger, LedgerError
from logbastion.erasure.manager import ErasureError, GDPRLogManager
from logbastion.erasure.place import PlaceError, PlaceResult
from logbastion.erasure.subject import Subject
from logbastion.formatters import EventFormatter
from logbastion.pseudonym_keys import add_key
from logbastion.pseudonyms import Pseudonymizer
from logbastion.retention.last_run import read_last_run

PHONE = "+351 912 345 678"


@pytest.fixture
def night(tmp_path, clean_environment, monkeypatch, capsys):
    """Run what the timer runs, with a ledger; return the exit code and what was said."""
    (tmp_path / "logs").mkdir()
    monkeypatch.setenv("LOGBASTION_LOG_DIRECTORY", str(tmp_path / "logs"))
    monkeypatch.setenv("LOGBASTION_ERASURE_LEDGER", str(tmp_path / "ledger"))

    def run(*arguments):
        logger = logging.getLogger("system.log_management")
        before = (list(logger.handlers), logger.propagate)
        try:
            return main(["retention", *arguments]), capsys.readouterr().out
        finally:
            for handler in set(logger.handlers) - set(before[0]):
                logger.removeHandler(handler)
                handler.close()
            logger.propagate = before[1]

    return run


def test_the_nightly_run_forgets_whom_no_backup_can_bring_back(tmp_path, night):
    now = datetime.now(timezone.utc)
    for user, days in (("12", 36), ("7", 34)):
        then = Ledger(tmp_path / "ledger", clock=lambda days=days: now - timedelta(days=days))
        then.end(then.begin(Subject.of(user)), "complete", {})
    code, said = night("--dry-run")
    assert (code, "keys of erasures" in said) == (0, False)
    assert [one.can_be_replayed for one in Ledger(tmp_path / "ledger").erasures()] == [True, True]
    code, said = night()
    assert (code, "destroyed" in said, "keys of erasures: 1" in said) == (0, True, True)
    left = Ledger(tmp_path / "ledger").erasures()
    assert {one.begun[:10]: one.can_be_replayed for one in left} == {
        (now - timedelta(days=36)).date().isoformat(): False,
        (now - timedelta(days=34)).date().isoformat(): True,
    }
    assert "erasures" not in night()[1]


def test_a_ledger_that_cannot_be_used_fails_the_night_and_files_are_looked_after(tmp_path, night):
    Ledger(tmp_path / "ledger")
    (tmp_path / "ledger").chmod(0o755)
    code, said = night()
    assert (code, "run chmod 0700 on it" in said, "1 failed" in said) == (1, True, True)
    assert read_last_run(tmp_path / "logs").failures == 1


def test_without_a_ledger_the_night_makes_none(tmp_path, night):
    assert night()[0] == 0
    assert not (tmp_path / "ledger").exists()


@pytest.fixture
def time():
    return Time(START)


@pytest.fixture
def ledger(tmp_path, time):
    return Ledger(tmp_path / "ledger", clock=time)


@pytest.fixture
def logs(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir()
    write(directory / "application.log", lines(range(40)))
    write(directory / "security.log.20260101T020000Z", lines(range(40), "security"), "gzip")
    return directory


@pytest.fixture
def said():
    """The lines that `privacy.gdpr` writes, as they would be in the file."""
    found = []

    class Kept(logging.Handler):
        def emit(self, record):
            found.append(json.loads(EventFormatter().format(record)))

    handler, logger = Kept(), logging.getLogger("privacy.gdpr")
    logger.addHandler(handler)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield found
    logger.removeHandler(handler)
    logger.setLevel(level)
    logger.propagate = propagate


def everything_in(directory, *, keys=False):
    paths = [path for path in directory.rglob("*") if path.is_file() and (keys or path.parent.name != "keys")]
    return b"".join(path.read_bytes() for path in paths)


def test_what_is_said_and_entered_names_no_one(logs, ledger, said):
    report = manager(LogFiles(logs), ledger=ledger).anonymize_user_logs(12, emails=[MARIA], identifiers=[PHONE])
    assert [one["event_type"] for one in said] == ["gdpr_anonymization", "gdpr_anonymization_complete"]
    assert {one["logger"] for one in said} == {"privacy.gdpr"}
    assert said[1]["extra"]["erasure_id"] == report.erasure_id
    assert (said[1]["extra"]["found"], said[1]["extra"]["left"]) == (20, 0)
    for text in (
        json.dumps(said),
        json.dumps(report.as_json()),
        everything_in(ledger.directory, keys=True).decode("latin-1"),
    ):
        assert not matcher().in_bytes(text.encode())
        assert MARIA not in text
        assert PHONE not in text
    (one,) = ledger.erasures()
    assert (one.outcome, one.runs, one.can_be_replayed) == ("complete", 1, True)
    assert one.places["files"]["found"] == 20
    assert ledger.erasures("12") == [one]
    assert ledger.erasures("123") == []


def test_after_a_restore_it_is_made_again(logs, ledger, tmp_path):
    add_key(tmp_path / "keys", "old")
    old = Pseudonymizer.from_file(tmp_path / "keys")
    backup = (logs / "application.log").read_bytes()
    pseudonym = old.pseudonym("email", MARIA)
    backup += json.dumps({"email_pseudonym": pseudonym, "number": 1}).encode() + b"\n"
    GDPRLogManager([LogFiles(logs)], keys=old, ledger=ledger).anonymize_user_logs(12, emails=[MARIA])
    (logs / "application.log").write_bytes(backup)
    (tmp_path / "keys").unlink()
    add_key(tmp_path / "keys", "new")  # the old key was destroyed since
    new = Pseudonymizer.from_file(tmp_path / "keys")
    (one,) = ledger.erasures()
    report = GDPRLogManager([LogFiles(logs)], keys=new, ledger=ledger).replay(one.erasure_id)
    assert report.outcome == "complete"
    assert report.total("found") == 11
    assert pseudonym.encode() not in everything_in(logs)
    assert ledger.erasures()[0].runs == 2
    assert len(ledger.erasures()) == 1


def test_the_key_goes_when_no_backup_can_bring_the_person_back(logs, ledger, time):
    report = manager(LogFiles(logs), ledger=ledger).anonymize_user_logs(12)
    time.now += timedelta(days=34)
    assert ledger.forget() == 0
    time.now += timedelta(days=1)
    assert ledger.forget() == 1
    assert ledger.forget() == 0
    (one,) = ledger.erasures()
    assert (one.outcome, one.can_be_replayed) == ("complete", False)
    with pytest.raises(LedgerError, match="was destroyed"):
        ledger.subject_of(one.erasure_id, None)
    with pytest.raises(LedgerError, match="was destroyed"):
        manager(LogFiles(logs), ledger=ledger).replay(report.erasure_id)
    assert ledger.erasures("12") == [one]  # that it was made can still be proved


def test_an_erasure_that_did_not_end_is_gone_on_with_and_never_forgotten(ledger, time, said):
    class Broken:
        name = "broken"
        error: Exception | None = RuntimeError("for 12")

        def erase(self, *_, **__):
            if self.error:
                raise self.error
            return PlaceResult(self.name)

        def hits(self, *_, **__):
            return 0

        def export(self, _):
            return iter(())

    place = Broken()
    with pytest.raises(RuntimeError):
        manager(place, ledger=ledger).anonymize_user_logs(12)
    assert said[-1]["event_type"] == "gdpr_anonymization_failed"
    assert not matcher().in_event(said[-1])
    assert [one.outcome for one in ledger.erasures()] == ["begun"]
    time.now += timedelta(days=400)
    assert ledger.forget() == 0
    place.error = None
    assert manager(place, ledger=ledger).anonymize_user_logs(12).outcome == "complete"
    assert [one.outcome for one in ledger.erasures()] == ["complete"]
    manager(place, ledger=ledger).anonymize_user_logs(12)  # a new request of the same person is a new entry
    assert len(ledger.erasures("12")) == 2


def test_what_is_left_fails(ledger, said):
    class Leaking:
        name = "leaking"

        def erase(self, *_, **__):
            return PlaceResult(self.name, searched=3, found=1)

        def hits(self, *_, **__):
            return 1

        def export(self, _):
            return iter(())

    with pytest.raises(ErasureError, match="1 in leaking") as failed:
        manager(Leaking(), ledger=ledger).anonymize_user_logs(12)
    assert failed.value.report.outcome == "failed"
    assert ledger.erasures()[0].outcome == "failed"
    assert said[-1]["event_type"] == "gdpr_anonymization_failed"

    class Blind(Leaking):
        def hits(self, *_, **__):
            raise PlaceError("the disk is gone")

    with pytest.raises(ErasureError, match="the disk is gone"):
        manager(Blind()).anonymize_user_logs(12)


def test_a_ledger_that_was_altered_or_is_open_to_others_is_refused(ledger, logs):
    report = manager(LogFiles(logs), ledger=ledger).anonymize_user_logs(12)
    path = ledger.directory / "ledger.jsonl"
    content = path.read_bytes()
    path.write_bytes(content + b'{"version":1,"id":"')  # a crash; the next entry takes its place
    assert len(ledger.erasures()) == 1
    ledger.end(report.erasure_id, "complete", {})
    assert len(path.read_bytes().splitlines()) == 3
    path.write_bytes(content.replace(b'"what":"complete"', b'"what":"nothing"'))
    with pytest.raises(LedgerError, match="line 2"):
        ledger.erasures()
    path.write_bytes(content)
    (ledger.directory / "keys" / report.erasure_id).write_bytes(b"x")
    with pytest.raises(LedgerError, match="cannot be decrypted"):
        ledger.subject_of(report.erasure_id, None)
    with pytest.raises(LedgerError, match="no erasure"):
        ledger.subject_of("../../etc/passwd", None)
    ledger.directory.chmod(0o755)
    with pytest.raises(LedgerError, match="chmod 0700"):
        Ledger(ledger.directory)


def test_everything_in_it_is_private(ledger, logs):
    manager(LogFiles(logs), ledger=ledger).anonymize_user_logs(12)
    assert all(path.stat().st_mode & 0o077 == 0 for path in (ledger.directory, *ledger.directory.rglob("*")))


def test_two_ledgers_give_one_person_two_digests(tmp_path):
    subject = Subject.of(12)
    one, other = Ledger(tmp_path / "one"), Ledger(tmp_path / "other")
    assert one.digest_of(subject.user_id) == Ledger(tmp_path / "one").digest_of("12")
    assert one.digest_of(subject.user_id) != other.digest_of(subject.user_id)


def test_without_a_place_nothing_is_done(clean_environment):
    with pytest.raises(ErasureError, match="LOGBASTION_LOG_DIRECTORY"):
        GDPRLogManager()


def test_the_guides_call(clean_environment, logs, monkeypatch):
    monkeypatch.setenv("LOGBASTION_LOG_DIRECTORY", str(logs))
    from logbastion import GDPRLogManager as Imported

    report = Imported().anonymize_user_logs(user_id=12)
    assert report.outcome == "complete"
    assert report.total("found") == 20
