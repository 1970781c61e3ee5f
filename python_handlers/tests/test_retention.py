"""Log files and their periods: what is rotated, compressed, deleted, and what is left alone."""

import fcntl
import gzip
import json
import os
import stat
from datetime import datetime, timedelta, timezone

import pytest
from prometheus_client import REGISTRY

from logbastion import logging_config
from logbastion.cli import main
from logbastion.metrics import PrometheusLoggingHandler
from logbastion.retention import RETENTION_POLICIES, LogRetentionManager, RetentionError, RetentionPolicy
from logbastion.retention import compression as compression_module
from logbastion.retention.compression import CompressionError, compress

NOW = datetime(2026, 11, 24, 2, 0, tzinfo=timezone.utc)


def line(moment, number=0, field="@timestamp"):
    text = moment.isoformat().replace("+00:00", "Z")
    return json.dumps({field: text, "event": {"id": f"id-{number}"}, "message": f"line {number}"}).encode() + b"\n"


def ago(**period):
    return NOW - timedelta(**period)


@pytest.fixture
def logs(tmp_path):
    directory = tmp_path / "logs"
    directory.mkdir(mode=0o750)
    return directory


def put(directory, name, *moments):
    """Write a file with one event for each time; its own times say nothing."""
    content = b"".join(line(moment, number) for number, moment in enumerate(moments))
    path = directory / name
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    path.chmod(0o640)
    return path


def enforce(directory, **options):
    manager = LogRetentionManager(directory=directory, clock=lambda: NOW)
    return manager.enforce_retention_policies(**options)


def did(report):
    return {(action.kind, action.file) for action in report.actions}


def names(directory):
    return sorted(
        path.name for path in directory.iterdir() if path.name not in (".last-retention-run", "manifest.jsonl")
    )


def test_the_policies_are_the_guides():
    assert {name: (p.retention_days, p.compression_after_days) for name, p in RETENTION_POLICIES.items()} == {
        "security_logs": (2555, 30),
        "audit_logs": (2555, 30),
        "application_logs": (90, 7),
        "performance_logs": (30, 3),
        "debug_logs": (7, 1),
    }


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stream": "access"}, "There is no stream 'access'"),
        ({"rounding": "up"}, "rounding is 'up'"),
        ({"compression_after_days": 7}, "must follow each other"),
        ({"compression_after_days": 0}, "must follow each other"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(changes, sentence):
    body = {"stream": "debug", "retention_days": 7, "compression_after_days": 1, "rounding": "privacy_maximum"}
    with pytest.raises(ValueError, match=sentence):
        RetentionPolicy(**{**body, **changes})


def test_yesterdays_file_is_rotated_and_todays_is_not(logs):
    put(logs, "application.log", ago(days=1), NOW)
    put(logs, "security.log", ago(minutes=10))
    put(logs, "audit.log")
    assert did(enforce(logs)) == {("rotated", "application.log")}
    assert names(logs) == ["application.log.20261124T020000Z", "audit.log", "security.log"]


def test_a_second_rotation_in_the_same_second_takes_another_name(logs):
    put(logs, "application.log", ago(days=1))
    put(logs, "application.log.20261124T020000Z", ago(days=2))
    put(logs, "application.log.20261124T020000Z-1.gz", ago(days=2))
    enforce(logs)
    assert "application.log.20261124T020000Z-2" in names(logs)


@pytest.mark.parametrize("name", ["debug.log-20261123", "debug.log.20261123T020000Z", "debug.log-20261123-1732400000"])
def test_a_rotated_file_is_compressed_when_its_youngest_record_is_old_enough(logs, tmp_path, name):
    put(tmp_path, name, ago(days=3), ago(days=1, seconds=-1))
    assert did(enforce(tmp_path)) == {("unknown", "logs")}
    path = put(logs, name, ago(days=3), ago(days=1))
    content = path.read_bytes()
    os.utime(path, (1, 1))
    assert did(enforce(logs)) == {("compressed", name)}
    packed = logs / f"{name}.gz"
    assert names(logs) == [packed.name]
    assert gzip.decompress(packed.read_bytes()) == content
    assert stat.S_IMODE(packed.stat().st_mode) == 0o640
    assert did(enforce(logs)) == set()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_privacy_maximum_counts_from_the_oldest_record(logs, ending):
    stays = put(logs, f"performance.log-20261101{ending}", ago(days=29), ago(days=28))
    goes = put(logs, f"performance.log-20261102{ending}", ago(days=29, seconds=1), ago(days=1))
    assert ("deleted", goes.name) in did(enforce(logs))
    assert [name for name in names(logs) if name.startswith(stays.name)]
    assert not goes.exists()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_legal_minimum_counts_from_the_youngest_record(logs, ending):
    stays = put(logs, f"security.log-20191101{ending}", ago(days=2600), ago(days=2555, seconds=-1))
    goes = put(logs, f"security.log-20191102{ending}", ago(days=2600), ago(days=2555))
    assert ("deleted", goes.name) in did(enforce(logs))
    assert [name for name in names(logs) if name.startswith(stays.name)]
    assert not goes.exists()


def test_the_youngest_record_of_a_compressed_file_is_known_without_reading_it(logs):
    path = put(logs, "security.log-20191101", ago(days=2600), ago(days=2554))
    enforce(logs)
    packed = logs / f"{path.name}.gz"
    with gzip.open(packed) as file:
        file.read(1)
        assert file.mtime == int(ago(days=2554).timestamp())
    # Whoever compressed it elsewhere may have left no time in the header.
    assert did(enforce(logs)) == set()


def test_the_guides_field_is_a_time_too_and_half_lines_are_passed_over(logs):
    path = logs / "debug.log-20261123"
    path.write_bytes(b'{"half\n' + line(ago(days=2), field="timestamp") + line(ago(days=2)) + b'{"@timestamp": "20')
    assert did(enforce(logs)) == {("compressed", path.name)}


def test_what_is_not_known_is_left_alone_and_named(logs, tmp_path):
    outside = put(tmp_path, "elsewhere", ago(days=5000))
    (logs / "debug.log-20200101").symlink_to(outside)
    (logs / "debug.log-20200102").mkdir()
    put(logs, "nginx.log", ago(days=5000))
    put(logs, "debug.log.1", ago(days=5000))
    put(logs, "debug.log-20200101.bak", ago(days=5000))
    before = names(logs)
    report = enforce(logs)
    assert did(report) == {("unknown", name) for name in before}
    assert names(logs) == before
    assert outside.exists()
    assert report.failures == 0


def test_a_file_without_events_is_a_failure_and_the_others_are_handled(logs):
    (logs / "debug.log-20200101").write_text("no event\n" * 200)
    (logs / "debug.log-20200102.gz").write_bytes(b"\x1f\x8b\x08\x00cut")
    put(logs, "debug.log-20200103", ago(days=100))
    report = enforce(logs)
    assert did(report) == {
        ("failed", "debug.log-20200101"),
        ("failed", "debug.log-20200102.gz"),
        ("deleted", "debug.log-20200103"),
    }
    assert report.failures == 2
    assert names(logs) == ["debug.log-20200101", "debug.log-20200102.gz"]


def test_a_dry_run_says_the_same_and_does_nothing(logs):
    put(logs, "application.log", ago(days=1))
    put(logs, "debug.log-20261101", ago(days=23))
    put(logs, "debug.log-20261122", ago(days=2))
    (logs / "debug.log-20261120.gz.partial").write_bytes(b"left by a run that broke off")
    before = {name: (logs / name).read_bytes() for name in names(logs)}
    said = did(enforce(logs, dry_run=True))
    assert {name: (logs / name).read_bytes() for name in names(logs)} == before
    assert did(enforce(logs)) == said
    assert said == {
        ("rotated", "application.log"),
        ("deleted", "debug.log-20261101"),
        ("compressed", "debug.log-20261122"),
    }
    assert not (logs / "debug.log-20261120.gz.partial").exists()


def test_a_legal_hold_keeps_a_stream_as_it_is(logs):
    (logs / "legal-hold").write_text("# case 4711\nsecurity  # until the court says otherwise\n")
    held = put(logs, "security.log-20180101", ago(days=3000))
    put(logs, "audit.log-20180101", ago(days=3000))
    assert did(enforce(logs)) == {("held", held.name), ("deleted", "audit.log-20180101")}
    assert held.exists()


@pytest.mark.parametrize("content", [b"secutiry\n", b"\xff\xfe"])
def test_a_legal_hold_that_cannot_be_understood_stops_everything(logs, content):
    (logs / "legal-hold").write_bytes(content)
    put(logs, "debug.log-20180101", ago(days=3000))
    with pytest.raises(RetentionError, match="nothing is touched"):
        enforce(logs)
    assert "debug.log-20180101" in names(logs)


def test_one_run_at_a_time(logs, monkeypatch):
    monkeypatch.setattr("logbastion.retention.locking._WAIT_SECONDS", 0.0)
    descriptor = os.open(logs, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        with pytest.raises(RetentionError, match="another run is at work"):
            enforce(logs)
    finally:
        os.close(descriptor)
    assert enforce(logs).actions == []


def test_a_directory_that_is_not_there_gets_a_sentence(logs, monkeypatch):
    monkeypatch.delenv("LOGBASTION_LOG_DIRECTORY", raising=False)
    with pytest.raises(RetentionError, match="set LOGBASTION_LOG_DIRECTORY"):
        LogRetentionManager()
    with pytest.raises(RetentionError, match="there is no directory"):
        LogRetentionManager(directory=logs / "nowhere")
    monkeypatch.setenv("LOGBASTION_LOG_DIRECTORY", str(logs))
    assert LogRetentionManager().directory == logs


def test_a_copy_that_holds_something_else_is_not_overwritten(logs):
    path = put(logs, "debug.log-20261122", ago(days=2))
    (logs / "debug.log-20261122.gz").write_bytes(gzip.compress(b"something else"))
    with pytest.raises(CompressionError, match="holds something else"):
        compress(path, ago(days=2))
    assert path.exists()
    (logs / "debug.log-20261122.gz").write_bytes(b"no gzip")
    with pytest.raises((CompressionError, OSError)):
        compress(path, ago(days=2))
    assert path.exists()


def test_a_file_that_is_written_to_meanwhile_is_left(logs, monkeypatch):
    path = put(logs, "debug.log-20261122", ago(days=2))
    rename = os.rename

    def late(source, target):
        with path.open("ab") as file:
            file.write(line(ago(days=2), 99))
        rename(source, target)

    monkeypatch.setattr(compression_module.os, "rename", late)
    with pytest.raises(CompressionError, match="written to while"):
        compress(path, ago(days=2))
    assert names(logs) == [path.name]
    assert path.read_bytes().count(b"\n") == 2


def test_a_full_disk_leaves_the_file_and_no_half_copy(logs, monkeypatch):
    path = put(logs, "debug.log-20261122", ago(days=2))
    content = path.read_bytes()

    fsync = os.fsync

    def full(descriptor):
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(compression_module.os, "fsync", full)
    report = enforce(logs)
    assert did(report) == {("failed", path.name)}
    assert "No space left" in report.actions[0].reason
    assert names(logs) == [path.name]
    assert path.read_bytes() == content


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_owner_and_mode_stay(logs):
    path = put(logs, "debug.log-20261122", ago(days=2))
    path.chmod(0o600)
    os.chown(path, 65534, 65533)
    enforce(logs)
    found = (logs / "debug.log-20261122.gz").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 65533, 0o600)


def test_a_compressed_log_is_never_open_to_others(logs):
    put(logs, "debug.log-20261122", ago(days=2)).chmod(0o664)
    enforce(logs)
    assert stat.S_IMODE((logs / "debug.log-20261122.gz").stat().st_mode) == 0o640


def test_each_class_is_told_of_by_its_guides_name(logs, caplog):
    put(logs, "debug.log-20200101", ago(days=100))
    (logs / "audit.log-20200101").write_text("no event\n")
    with caplog.at_level("INFO", logger="system.log_management"):
        enforce(logs)
    assert "Retention policy enforced for debug_logs" in caplog.messages
    assert "Failed to enforce retention policy for audit_logs" in caplog.messages
    assert any(message.startswith("Log file debug.log-20200101 deleted") for message in caplog.messages)


def test_the_command_does_what_is_due_and_writes_it_to_the_audit_log(logs, capsys, clean_environment):
    long_ago = datetime.now(timezone.utc) - timedelta(days=200)
    put(logs, "debug.log-20200101", long_ago)
    put(logs, "application.log", datetime.now(timezone.utc) - timedelta(days=2))
    assert main(["retention", "--directory", str(logs), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "would be 1 rotated, 0 compressed, 1 deleted" in said
    assert "debug.log-20200101" in names(logs)
    assert main(["retention", "--directory", str(logs), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["version"], result["failures"], result["dry_run"]) == (1, 0, False)
    assert [action["kind"] for action in result["actions"]] == ["rotated", "deleted"]
    assert "debug.log-20200101" not in names(logs)
    written = [json.loads(text)["message"] for text in (logs / "audit.log").read_text().splitlines()]
    assert any("debug.log-20200101 deleted" in message for message in written)


def test_the_command_refuses_with_a_sentence(logs, capsys, clean_environment):
    with pytest.raises(SystemExit):
        main(["retention", "--dry-rnu"])
    assert main(["retention"]) == 2
    assert "set LOGBASTION_LOG_DIRECTORY" in capsys.readouterr().err
    (logs / "legal-hold").write_text("everything\n")
    assert main(["retention", "--directory", str(logs)]) == 3
    assert "'everything', which is no stream" in capsys.readouterr().err
    (logs / "legal-hold").unlink()
    (logs / "debug.log-20200101").write_text("no event\n")
    assert main(["retention", "--directory", str(logs)]) == 1
    assert "failed" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() != 0, reason="gives the directory to another user")
def test_the_command_refuses_to_make_files_that_the_application_cannot_write(logs, capsys, clean_environment):
    os.chown(logs, 65534, 65534)
    assert main(["retention", "--directory", str(logs)]) == 3
    assert "Run the command as nobody" in capsys.readouterr().err
    assert names(logs) == []


def published():
    names = ("logbastion_retention_last_run_timestamp_seconds", "logbastion_retention_failures")
    return tuple(REGISTRY.get_sample_value(name) for name in names)


def test_the_last_run_and_its_failures_are_published(logs):
    PrometheusLoggingHandler(log_directory=str(logs))
    assert published() == (None, None)
    enforce(logs, dry_run=True)
    assert published() == (None, None)
    (logs / "debug.log-20200101").write_text("no event\n")
    enforce(logs)
    assert published() == (NOW.timestamp(), 1)
    assert stat.S_IMODE((logs / ".last-retention-run").stat().st_mode) & 0o007 == 0
    (logs / "debug.log-20200101").unlink()
    enforce(logs)
    assert published() == (NOW.timestamp(), 0)
    (logs / ".last-retention-run").write_text("cut")
    assert published() == (None, None)
    PrometheusLoggingHandler()


def test_the_configuration_names_the_directory_to_the_metrics(logs, clean_environment):
    made = logging_config(environment="test", log_directory=logs)
    assert made["handlers"]["prometheus"]["log_directory"] == str(logs)
