"""Log files (active, rotated, gzip, zstd) and the spool of a process that has ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.erasure.events import STREAMS, line_of
from logbastion.retention.codecs import SUFFIX_OF, read_from, writing
from logbastion.shipping.spool.frames import frame, unframe
from logbastion.shipping.spool.segments import segment_name


def chunks(numbers: range, events: int) -> Iterator[tuple[int, str, range]]:
    """Return the index, the stream and the numbers of each file of so many events at most."""
    for index, start in enumerate(range(numbers.start, numbers.stop, events)):
        yield index, STREAMS[index % 2], range(start, min(start + events, numbers.stop))


def make_log(path: Path, codec: str, numbers: range, users: int, stream: str) -> None:
    """Write a log file, compressed when a codec is named."""
    made = (line_of(number, users, stream) + b"\n" for number in numbers)
    with path.open("wb") as raw:
        if not codec:
            raw.writelines(made)
            return
        with writing(raw, codec, datetime(2026, 1, 1, tzinfo=timezone.utc)) as packed:
            for line in made:
                packed.write(line)


def make_logs(directory: Path, codec: str, numbers: range, users: int, events: int) -> None:
    """Write log files; the first of each stream that are not compressed are the active ones."""
    for index, stream, chunk in chunks(numbers, events):
        active = not codec and index < len(STREAMS)
        name = f"{stream}.log" if active else f"{stream}.log.20260101T000000Z-{index + 1}{SUFFIX_OF.get(codec, '')}"
        make_log(directory / name, codec, chunk, users, stream)


def make_spool(spool: Path, numbers: range, users: int, events: int) -> None:
    """Write the segments that a process which has ended left."""
    process = spool / "host-1-0123456789ab"
    process.mkdir(parents=True)
    for index, stream, chunk in chunks(numbers, events):
        with (process / segment_name(stream, index + 1)).open("wb") as file:
            file.writelines(frame(line_of(number, users, stream)) for number in chunk)
    (process / "owner.lock").touch()


def logs_of(directory: Path) -> Iterator[bytes]:
    """Return every line of every log file but the audit log, to which the erasure itself writes."""
    for path in sorted(directory.glob("*.log*")):
        if path.name != "audit.log":
            with read_from(path) as file:
                for line in file:
                    yield line.rstrip(b"\n")


def spool_of(spool: Path) -> Iterator[bytes]:
    """Return every event of every segment."""
    for path in sorted(spool.rglob("*.spool")):
        for line in path.read_bytes().splitlines():
            yield unframe(line) or b"damaged"
