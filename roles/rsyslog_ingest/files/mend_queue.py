"""Make rsyslog's disk queue consistent before rsyslogd starts; systemd runs this program (ExecStartPre).

rsyslogd appends a message to a segment (ingest.00000007) first and then replaces the file ingest.qi, which says how far the queue
reaches. Killed in between, it leaves the two apart, and starting with that does harm (seen with rsyslog 8.2302):

- Bytes after the end that ingest.qi names: the reader takes them into its buffer, the writer overwrites them on disk, and messages
  accepted after the restart cannot be read. These bytes were never confirmed to a sender, so they are cut off.
- A segment that was read completely is deleted before ingest.qi says so: rsyslogd does not find the segment it wants to begin with
  and gives up the whole queue. The next segment is named instead.

And it keeps what it has delivered until a segment is full, also over a restart (seen with 8.2302 and 8.2504). Where all is delivered, the
files are removed, so that a person who was erased from Elasticsearch is not kept here (GDPR, Art. 17).

What cannot be explained so is moved to the directory quarantine beside the segments, never deleted.

Standard library only, since it runs on a fresh host.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SEGMENT = re.compile(r"\.(\d{8,})$")
STREAM = re.compile(rb"<Obj:1:strm:1:\n.*?>End\n", re.DOTALL)
# A property is "+name:type:length:value:", the length in bytes (rsyslog, runtime/obj.c).
PROPERTY = rb"\+%s:\d+:\d+:(\d+):"


class UnreadableError(Exception):
    """The .qi file is not what rsyslogd writes; the text says why."""


@dataclass
class State:
    """The content of a .qi file: where rsyslogd goes on writing and reading."""

    content: bytes

    def __post_init__(self) -> None:
        streams = list(STREAM.finditer(self.content))
        if len(streams) != 2:
            raise UnreadableError(f"{len(streams)} positions instead of 2")
        self._spans = {"write": streams[0].span(), "read": streams[1].span(), "queue": (0, streams[0].start())}
        self.get("queue", b"iQueueSize")

    def get(self, part: str, name: bytes) -> int:
        """Return a number.

        Raises:
            UnreadableError: when it is not there.
        """
        return int(self._find(part, name).group(1))

    def put(self, part: str, name: bytes, value: int) -> None:
        """Change a number."""
        found = self._find(part, name)
        kind = found.group(0).split(b":")[1].decode()
        new = f"+{name.decode()}:{kind}:{len(str(value))}:{value}:".encode()
        start = self._spans[part][0]
        self.content = self.content[: start + found.start()] + new + self.content[start + found.end() :]
        self.__post_init__()

    def _find(self, part: str, name: bytes) -> re.Match[bytes]:
        start, end = self._spans[part]
        found = re.search(PROPERTY % re.escape(name), self.content[start:end])
        if found is None:
            raise UnreadableError(f"no {name.decode()}")
        return found


class Queue:
    """The files of one disk queue of rsyslogd, which must not run meanwhile."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = name
        self._information = directory / f"{name}.qi"

    def _segments(self) -> dict[int, Path]:
        files = self._directory.glob(f"{self._name}.*")
        return {int(found.group(1)): path for path in files if (found := SEGMENT.search(path.name))}

    def mend(self) -> list[str]:
        """Make the files consistent; return what was done, a sentence each.

        Raises:
            OSError: when a file cannot be read or changed.
        """
        done: list[str] = []
        if not self._information.exists():
            return self._quarantine(self._segments().values(), f"There is no {self._information.name} that names it")
        try:
            state = State(self._information.read_bytes())
            write = state.get("write", b"iCurrFNum"), state.get("write", b"iCurrOffs")
            read = state.get("read", b"iCurrFNum")
        except UnreadableError as error:
            return self._quarantine(
                [self._information, *self._segments().values()], f"The queue's state is unreadable ({error})"
            )
        segments = self._segments()
        done += self._quarantine(
            [path for number, path in segments.items() if number > write[0]], "It was begun but never named"
        )
        done += self._cut(segments.get(write[0]), write[1])
        done += self._begin_with_an_existing_segment(state, read, write[0])
        done += self._remove_delivered(state)
        return done

    def _cut(self, segment: Path | None, end: int) -> list[str]:
        if segment is None or (surplus := segment.stat().st_size - end) <= 0:
            return []
        os.truncate(segment, end)
        return [f"{surplus} bytes at the end of {segment} were never confirmed to a sender and are cut off."]

    def _begin_with_an_existing_segment(self, state: State, read: int, write: int) -> list[str]:
        segments = {number: path for number, path in self._segments().items() if number <= write}
        later = [number for number in segments if number >= read]
        if read in segments or not later:
            return []
        state.put("read", b"iCurrFNum", min(later))
        state.put("read", b"iCurrOffs", 0)
        state.put("read", b"strtOffs", 0)
        state.put("queue", b"tVars.disk.sizeOnDisk", sum(segments[number].stat().st_size for number in later))
        new = self._information.with_suffix(".new")
        with new.open("wb") as file:
            file.write(state.content)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._information)
        return [f"Segment {read} had been delivered and deleted; {segments[min(later)]} is read next."]

    def _remove_delivered(self, state: State) -> list[str]:
        position = [(state.get(part, b"iCurrFNum"), state.get(part, b"iCurrOffs")) for part in ("write", "read")]
        if state.get("queue", b"iQueueSize") or position[0] != position[1]:
            return []
        segments = self._segments().values()
        size = sum(path.stat().st_size for path in segments)
        for path in segments:
            path.unlink()
        # Last: segments that no state names would be put aside by the next start after a crash in between.
        self._information.unlink()
        return [f"The queue is empty; {size} bytes of delivered messages are removed."]

    def _quarantine(self, files: Iterable[Path], reason: str) -> list[str]:
        done = []
        for path in sorted(files):
            place = self._directory / "quarantine"
            place.mkdir(mode=0o750, exist_ok=True)
            target = place / f"{path.name}.{time.time_ns()}"
            path.rename(target)
            done.append(f"{reason}: {path} was moved to {target}.")
        return done


def main() -> int:
    """Mend the queue and print what was done."""
    parser = argparse.ArgumentParser(description="Makes rsyslog's disk queue consistent before rsyslogd starts.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("name")
    arguments = parser.parse_args()
    for sentence in Queue(arguments.directory, arguments.name).mend():
        print(sentence)
    return 0


if __name__ == "__main__":
    sys.exit(main())
