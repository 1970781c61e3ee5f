"""Dead letters are cut by the real logrotate while they are written, and go by the real systemd-tmpfiles; numbered, so that loss and doubles show.

The role logstash has the same two files. What Logstash does when the file that it writes to is cut was read in the sources of its output (it opens a new one).
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jinja2
import pytest

ROLES = Path(__file__).resolve().parents[2]
WRITER = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from delivery.dead_letters import keep_dead_letters
from delivery.events import Line
file, stop, name = sys.argv[2:]
number = 0
while not pathlib.Path(stop).exists():
    keep_dead_letters(file, [(Line("2026-01-01T00:00:00Z", "app", f"{name} {number}".encode()), "of the test")])
    number += 1
print(number)
"""


def rendered(role, name, directory):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no HTML
    environment.filters["comment"] = "# {}".format
    text = environment.from_string((ROLES / role / "templates" / name).read_text())
    return text.render(
        **{
            "ansible_managed": "managed",
            f"{role}_log_directory": str(directory),
            f"{role}_dead_letter_days": 90,
            f"__{role}_dead_letters": "dead-letters",
            f"__{role}_user": "root" if os.geteuid() == 0 else os.environ["USER"],
        }
    )


class Place:
    """The directory of the dead letters with what the role writes for it."""

    def __init__(self, role, scratch):
        self.directory = scratch / "log"
        self.directory.mkdir(mode=0o750)
        self.state = scratch / "state"
        self.rotation, self.ages = scratch / "rotation", scratch / "ages.conf"
        self.rotation.write_text(rendered(role, "dead_letters.logrotate.j2", self.directory))
        self.ages.write_text(rendered(role, "dead_letters.tmpfiles.j2", self.directory))
        self.rotation.chmod(0o644)
        self.file = self.directory / "dead-letters.jsonl"

    def cut(self):
        done = subprocess.run(
            ["/usr/sbin/logrotate", "--force", "--state", self.state, self.rotation],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def files(self):
        return sorted((self.directory / "dead-letters").glob("*"))

    def letters(self):
        lines = [line for file in [*self.files(), self.file] if file.exists() for line in file.read_text().splitlines()]
        return [json.loads(line)["raw"] for line in lines]


@pytest.fixture(params=["rsyslog_ingest", "logstash"])
def place(request, tmp_path):
    return Place(request.param, tmp_path)


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_no_letter_is_lost_or_doubled_when_the_file_is_cut_under_two_writers(place):
    code, stop = str(ROLES / "rsyslog_ingest/files/deliver"), place.directory.with_name("stop")
    writers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WRITER, code, place.file, stop, name], stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    }
    try:
        for number in range(1, 4):
            second = int(time.time())
            # Two files of one second would have one name, which logrotate refuses; its clock is a little behind.
            wait_for(lambda second=second: time.time() > second + 1.1 and place.file.exists())
            place.cut()
            assert len(place.files()) == number
        wait_for(place.file.exists)
    finally:
        stop.touch()
    written = {name: int(writer.communicate(timeout=60)[0]) for name, writer in writers.items()}
    expected = [f"{name} {number}" for name, count in written.items() for number in range(count)]
    assert len(expected) > 100
    assert sorted(place.letters()) == sorted(expected)
    assert {file.stat().st_mode & 0o777 for file in place.files()} == {0o640}
    assert (place.directory / "dead-letters").stat().st_mode & 0o777 == 0o750


def test_an_empty_or_absent_file_is_left_alone(place):
    place.cut()
    place.file.touch()
    place.cut()
    assert place.files() == []


def test_what_is_too_old_goes_whole_and_nothing_else(place):
    kept = place.directory / "dead-letters"
    kept.mkdir(mode=0o750)
    day = 86400
    for days in (1, 89, 91, 400):
        file = kept / f"dead-letters-{days}.jsonl"
        file.write_text(json.dumps({"raw": str(days)}) + "\n")
        # Somebody has read the old ones a moment ago.
        os.utime(file, (time.time(), time.time() - days * day))
    place.file.write_text(json.dumps({"raw": "today"}) + "\n")
    subprocess.run(["/usr/bin/systemd-tmpfiles", "--clean", place.ages], check=True)
    assert sorted(place.letters()) == ["1", "89", "today"]
