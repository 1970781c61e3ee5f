"""``python -m benchmarks.erasure``: one user of ten thousand is erased; minutes, peak memory, everybody else counted.

Files (active, rotated, gzip and zstd), an archive in a directory, and the spool of a process that has ended. The
command runs as a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from logbastion.retention.codecs import GZIP, SUFFIX_OF, ZSTD, read_from, writing
from logbastion.shipping.spool.frames import frame, unframe
from logbastion.shipping.spool.segments import segment_name

_USER: Final = 12
_EMAIL: Final = "maria.silva@escola.pt"
_ROTATED: Final = "20260101T000000Z"
_HOST: Final = "bench"
_PER_FILE: Final = 50_000
_LINE: Final = (
    b'{"@timestamp":"2026-01-01T%02d:%02d:%02d.%06dZ","level":"INFO","logger":"business","message":"%b opened page %d",'
    b'"event":{"id":"0192f0c1-7d2e-7a11-8c4b-%012d","dataset":"django.%b"},"service":{"name":"school",'
    b'"environment":"bench"},"host":{"name":"bench"},"process":{"pid":4312},"ecs":{"version":"8.17.0"},"user_id":%d,'
    b'"extra":{"number":%d,"path":"/courses/%d/","duration_ms":12.5}}'
)


def line_of(number: int, users: int, stream: bytes) -> bytes:
    """Return an event without its line break; users take turns, and each tenth of the person has the address."""
    user = number % users + 1
    second = number % 86_400
    who = b"User %d" % user
    if user == _USER and number // users % 10 == 0:
        who = b"mail to %b: page" % _EMAIL.encode()
    return _LINE % (
        second // 3600, second // 60 % 60, second % 60, number % 1_000_000, who, number, number, stream, user, number,
        number % 97,
    )  # fmt: skip


def _make(place: Path, events: int, users: int) -> dict[str, range]:
    """Write the events, a fifth of them to each kind of copy; return which are where."""
    logs, archive, spool = place / "logs", place / "archive", place / "spool"
    process = spool / "host-1-0123456789ab"
    for directory in (logs, archive / "archive" / _HOST / "application", process):
        directory.mkdir(parents=True)
    share = events // 5
    parts = {
        name: range(part * share, (part + 1) * share)
        for part, name in enumerate(("plain", GZIP, ZSTD, "archive", "spool"))
    }
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)
    for name, numbers in parts.items():
        for index, start in enumerate(range(numbers.start, numbers.stop, _PER_FILE)):
            chunk = range(start, min(start + _PER_FILE, numbers.stop))
            if name == "spool":
                with (process / segment_name("application", index + 1)).open("wb") as file:
                    file.writelines(frame(line_of(number, users, b"application")) for number in chunk)
                continue
            stream = "security" if index % 2 else "application"
            codec = GZIP if name == "archive" else name
            file_name = f"{stream}.log.{_ROTATED}-{index + 1}" if name != "plain" or index > 1 else f"{stream}.log"
            where = archive / "archive" / _HOST / "application" if name == "archive" else logs
            with (where / (file_name + SUFFIX_OF.get(codec, ""))).open("wb") as raw:
                made = (line_of(number, users, stream.encode()) + b"\n" for number in chunk)
                if codec not in SUFFIX_OF:
                    raw.writelines(made)
                    continue
                with writing(raw, codec, moment) as packed:
                    for line in made:
                        packed.write(line)
    (process / "owner.lock").touch()
    return parts


def _lines(place: Path) -> Iterator[bytes]:
    for path in sorted(place.rglob("*")):
        if not path.is_file() or path.name in {"owner.lock", "audit.log"} or path.name.endswith(".sha256"):
            continue
        if path.suffix == ".spool":
            for line in path.read_bytes().splitlines():
                yield unframe(line) or b"damaged"
        else:
            with read_from(path) as file:
                for line in file:
                    yield line.rstrip(b"\n")


def _check(place: Path, events: int, users: int) -> tuple[int, int]:
    """Return how many events of others are there byte for byte, and how many lines still name the person."""
    seen, left = bytearray(events), 0
    needle = b'"user_id":%d,' % _USER
    for line in _lines(place):
        left += needle in line or _EMAIL.encode() in line.lower()
        start = line.find(b'"number":')
        if start < 0:
            continue
        number = int(line[start + 9 : line.index(b",", start)])
        stream = line[line.index(b"django.") + 7 : line.index(b'"}', line.index(b"django."))]
        if number % users + 1 != _USER and line == line_of(number, users, stream):
            seen[number] += 1
    return sum(one == 1 for one in seen), left


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the events, erase, count and print a row; 1 when the person is left or somebody else is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=10_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="logbastion-erasure-") as name:
        place = Path(name)
        _make(place, options.events, options.users)
        size = sum(path.stat().st_size for path in place.rglob("*") if path.is_file())
        command = [
            sys.executable, "-m", "logbastion.cli", "erase-user", str(_USER), "--email", _EMAIL, "--yes", "--json",
            "--log-directory", str(place / "logs"), "--spool", str(place / "spool"),
            "--archive", str(place / "archive"), "--host", _HOST,
        ]  # fmt: skip
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LOGBASTION_")}
        begin = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603
        seconds = time.monotonic() - begin
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        if done.returncode:
            print(done.stdout, done.stderr)
            return 1
        report = json.loads(done.stdout)
        intact, left = _check(place, options.events, options.users)
    events = options.events // 5 * 5
    hers = len(range(_USER - 1, events, options.users))
    found = sum(one["found"] for one in report["places"])
    print("| Events | Users | MiB stored | Found | Minutes | Peak MiB | Others byte for byte | Left |")
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {events} | {options.users} | {size >> 20} | {found} of {hers} | {seconds / 60:.1f} | {peak >> 10} | "
        f"{intact} of {events - hers} | {left} |"
    )
    return 0 if (found, intact, left) == (hers, events - hers, 0) else 1


if __name__ == "__main__":
    sys.exit(main())
