"""The lab without hosts: what it refuses, and in which words."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from lab import attack, elasticsearch_package, hosts, images, machine, main_job, settings, stack
from lab.__main__ import main
from lab.errors import LabError
from lab.shell import run

ROOT = Path(__file__).resolve().parents[2]


def test_help_lists_every_command():
    shown = subprocess.run(
        [sys.executable, "-m", "lab", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for command in ("up", "down", "status", "check", "host", "repository", "image", "deploy"):
        assert f"    {command}" in shown


def test_missing_podman_is_a_sentence_and_exit_code_1(tmp_path):
    # A path on which there is nothing but the interpreter: no podman, no mmdebstrap, no Maven.
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    command = [
        sys.executable,
        "-c",
        "import lab.machine as m; m.shutil.which = lambda *a, **k: None; import lab.__main__ as l; raise SystemExit(l.main(['up']))",
    ]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "The command podman is missing. Install it: apt-get install podman" in result.stderr
    assert "Traceback" not in result.stderr


def test_too_little_memory_and_disk_are_sentences(monkeypatch):
    monkeypatch.setattr(settings, "REQUIRED_MEMORY_MIB", 10**9)
    monkeypatch.setattr(settings, "REQUIRED_DISK_MIB", 10**12)
    found = "\n".join(machine.problems())
    assert "MiB of memory are available; the lab needs 1000000000 MiB" in found
    assert "Set XDG_CACHE_HOME to a larger disk, or make room." in found


def test_limits_of_a_host_are_never_above_what_this_process_may_give():
    limits = machine.highest_limits()
    assert 1024 <= limits.open_files <= 1048576
    assert 1024 <= limits.processes <= machine.ENOUGH_PROCESSES


def test_failing_command_is_told_with_its_own_words():
    with pytest.raises(LabError, match=r"Looking failed \(exit code 3\):\nno such thing"):
        run(["sh", "-c", "echo no such thing >&2; exit 3"], what="Looking")


def test_command_that_is_not_installed_is_told():
    with pytest.raises(LabError, match="the command surely-not-installed is not installed"):
        run(["surely-not-installed"])


def test_download_with_another_checksum_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def download(command, **_):
        (directory,) = [word.partition("=")[2] for word in command if word.startswith("-DoutputDirectory=")]
        (Path(directory) / "elasticsearch.zip").write_bytes(b"something else")
        return ""

    monkeypatch.setattr(elasticsearch_package, "run", download)
    with pytest.raises(LabError, match=r"has the SHA-256 .* expected 215d5f3d"):
        elasticsearch_package.ensure_package()
    assert list(tmp_path.rglob("*.zip")) == []
    assert list(tmp_path.rglob("*.deb")) == []


def test_package_changes_its_version_with_its_sources(monkeypatch, tmp_path):
    before = elasticsearch_package.package_path().name
    sources = tmp_path / "elasticsearch"
    sources.mkdir()
    (sources / "elasticsearch.service").write_text("[Unit]\n")
    monkeypatch.setattr(elasticsearch_package, "SOURCES", sources)
    assert elasticsearch_package.package_path().name != before
    assert before.startswith("elasticsearch_8.19.21+lab.")


def test_image_changes_its_tag_with_its_packages(monkeypatch):
    before = images.image_name("trixie")
    monkeypatch.setattr(settings, "IMAGE_PACKAGES", (*settings.IMAGE_PACKAGES, "vim"))
    assert images.image_name("trixie") != before


def test_unknown_suite_is_refused():
    with pytest.raises(LabError, match="Unknown Debian suite 'sid': the lab has bookworm, trixie"):
        hosts.create("anything", "sid")


def test_status_without_hosts_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(hosts, "existing", list)
    assert main(["status"]) == 1
    assert "`make up` makes them" in capsys.readouterr().err


def test_counting_sees_what_is_missing_and_what_is_doubled(monkeypatch):
    monkeypatch.setattr(stack, "logged_event_ids", lambda stream: ["a", "b", "c", "d"])
    monkeypatch.setattr(stack, "stored_event_ids", lambda stream: ["a", "b", "b", "d"])
    found = stack.count("application")
    assert (found.logged, found.stored, found.missing, found.doubled) == (4, 4, 1, 1)
    assert not found.complete


@pytest.mark.parametrize(
    ("counts", "targets", "received", "sentence"),
    [
        ([stack.StreamCount("application", 5, 4, 1, 0)], {"django app": "up"}, True, "1 events missing"),
        ([stack.StreamCount("application", 0, 0, 0, 0)], {"django app": "up"}, True, "No event is stored at all"),
        (
            [stack.StreamCount("application", 5, 5, 0, 0)],
            {"django app": "down"},
            True,
            "cannot scrape django app: down",
        ),
        ([stack.StreamCount("application", 5, 5, 0, 0)], {}, True, "Prometheus has no targets"),
        ([stack.StreamCount("application", 5, 5, 0, 0)], {"django app": "up"}, False, "did not reach its receiver"),
    ],
)
def test_main_job_complains_about_each_thing_that_is_wrong(counts, targets, received, sentence):
    with pytest.raises(LabError, match=sentence):
        main_job._complain(counts, targets, received)


def test_main_job_complains_about_a_sign_of_the_attack_that_is_missing():
    counts = [stack.StreamCount("security", 5, 5, 0, 0)]
    signs = [attack.Sign("attack seen", "1", "1"), attack.Sign("address blocked", "1", "0")]
    with pytest.raises(LabError, match=r"^The attack: address blocked: 0, and not 1, 120 s after it\.$"):
        main_job._complain(counts, {"django app": "up"}, True, signs)
    main_job._complain(counts, {"django app": "up"}, True, signs[:1])


def test_every_stream_has_a_reader():
    assert Counter(stack.READER_OF_STREAM.values()) == {"log_reader": 3, "security_log_reader": 2}


def test_preparation_installs_nothing_when_everything_is_there():
    # `make venv` ran before this test.
    result = subprocess.run(
        [ROOT / "lab/prepare-control-node.sh"], env=os.environ, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (0, "")
