"""``python -m benchmarks.erasure``: one user of ten thousand is erased; minutes, peak memory, everybody else counted.

A sixth of the events each in plain log files, gzip, zstd, an archive in S3, the spool of a process that has ended, and
a real Elasticsearch. S3 is versitygw where ``S3_SERVER`` names its program, else moto, a stand-in. The command runs as
a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import s3_servers
import trustme
from lab import elasticsearch_process
from lab.elasticsearch_process import Node
from sink import Certificates

from benchmarks.erasure import elasticsearch, files, s3
from benchmarks.erasure.events import EMAIL, ENVIRONMENT, USER, Count
from logbastion.retention.codecs import GZIP, ZSTD

_PER_FILE: Final = 20_000
"""Events, at most; fewer where there would be less than eight files of a kind."""
_PARTS: Final = ("plain", GZIP, ZSTD, "s3", "spool", "elasticsearch")


@contextmanager
def _s3_server(place: Path) -> Iterator[s3_servers.S3Server]:
    directory = place / "s3"
    directory.mkdir()
    server = s3_servers.made(Certificates(place, trustme.CA()), directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def _make(place: Path, server: s3_servers.S3Server, node: Node, events: int, users: int) -> int:
    """Write a sixth of the events to each kind of place; return how many bytes are stored."""
    share = events // len(_PARTS)
    size_of_file = max(1, min(_PER_FILE, share // 8))
    numbers = {name: range(part * share, (part + 1) * share) for part, name in enumerate(_PARTS)}
    (place / "logs").mkdir()
    for name in ("plain", GZIP, ZSTD):
        _say(f"writing {share} events: {name}")
        files.make_logs(place / "logs", name if name != "plain" else "", numbers[name], users, size_of_file)
    _say(f"writing {share} events: spool")
    files.make_spool(place / "spool", numbers["spool"], users, size_of_file)
    size = sum(path.stat().st_size for name in ("logs", "spool") for path in (place / name).rglob("*"))
    _say(f"writing {share} events: S3, {type(server).__name__}")
    size += s3.make_archive(server, place, numbers["s3"], users, size_of_file)
    _say(f"writing {share} events: Elasticsearch")
    elasticsearch.make_streams(node, numbers["elasticsearch"], users, size_of_file)
    return size + elasticsearch.bytes_stored(node)


def _erase(place: Path, server: s3_servers.S3Server, node: Node) -> tuple[int, float, int]:
    """Run the command; return how many events it found, its seconds and its peak memory in MiB.

    Raises:
        RuntimeError: it did not end well.

    """
    secret = place / "log_eraser"
    secret.touch(mode=0o600)
    secret.write_text(node.passwords["log_eraser"])
    command = [
        sys.executable, "-m", "logbastion.cli", "erase-user", str(USER), "--email", EMAIL, "--yes", "--json",
        "--log-directory", str(place / "logs"), "--spool", str(place / "spool"),
        "--archive", s3.address_of(server), "--host", s3.HOST,
        "--elasticsearch", node.url, "--elasticsearch-password-file", str(secret),
        "--elasticsearch-ca-file", str(node.ca_file), "--environment", ENVIRONMENT,
    ]  # fmt: skip
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LOGBASTION_")}
    output = place / "report"
    begin = time.monotonic()
    with output.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, env=environment)  # noqa: S603
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    if status:
        raise RuntimeError(f"the erasure failed: {output.read_text()}")
    report = json.loads(output.read_text())
    return sum(one["found"] for one in report["places"]), seconds, usage.ru_maxrss >> 10


def _files_with_address(*directories: Path) -> int:
    """Return how many files have the address in their bytes, whatever they are."""
    command = ["grep", "-rlaiF", "--", EMAIL, *map(str, directories)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    return len(done.stdout.splitlines())


def _say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the events, erase, count and print a row; 1 when the person is left or somebody else is not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=10_000)
    options = parser.parse_args(arguments)
    os.environ.update(s3_servers.CREDENTIALS)
    events = options.events // len(_PARTS) * len(_PARTS)
    hers = len(range(USER - 1, events, options.users))
    with tempfile.TemporaryDirectory(prefix="logbastion-erasure-") as name, elasticsearch_process.running() as node:
        place = Path(name)
        with _s3_server(place) as server:
            size = _make(place, server, node, events, options.users)
            _say("erasing")
            found, seconds, peak = _erase(place, server, node)
            _say("looking at every event")
            count = Count(events, options.users)
            count.add(files.logs_of(place / "logs"))
            count.add(files.spool_of(place / "spool"))
            count.add(s3.archive_of(server))
            count.add(elasticsearch.documents_of(node))
            left = count.left + _files_with_address(
                place / "logs", place / "spool", server.directory, node.directory / "data"
            )
    print("| Events | Users | MiB stored | Found | Minutes | Peak MiB | Others as they were | Left |")
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {events} | {options.users} | {size >> 20} | {found} of {hers} | {seconds / 60:.1f} | {peak} | "
        f"{count.intact} of {events - hers} | {left} |"
    )
    return 0 if (found, count.intact, left) == (hers, events - hers, 0) else 1


if __name__ == "__main__":
    sys.exit(main())
