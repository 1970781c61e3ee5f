"""The directory of a process that has ended, read to its end and deleted."""

from __future__ import annotations

import contextlib
import os

from logbastion.shipping.spool.directory import ProcessDirectory
from logbastion.shipping.spool.lane import Lane, Reports
from logbastion.shipping.spool.position import PositionFile, load_position
from logbastion.shipping.spool.segments import FileSegment, parse_segment_name


class AdoptedDirectory:
    """The lanes of a directory that this process has taken over.

    Args:
        directory: taken over.
        reports: whom its lanes tell.

    Raises:
        OSError: it cannot be read.

    """

    def __init__(self, directory: ProcessDirectory, reports: Reports) -> None:
        self.directory = directory
        segments: dict[str, list[FileSegment]] = {}
        for entry in os.scandir(directory.path):
            named = parse_segment_name(entry.name)
            if named is not None and entry.is_file(follow_symlinks=False):
                stream, number = named
                size = entry.stat(follow_symlinks=False).st_size
                segments.setdefault(stream, []).append(FileSegment(entry.path, number, size=size, closed=True))
        self.lanes: dict[str, Lane] = {}
        for stream, files in segments.items():
            files.sort(key=lambda file: file.number)
            path = os.path.join(directory.path, f"{stream}.position")
            self.lanes[stream] = Lane(stream, files, _position(path, files), PositionFile(path), reports)

    def is_exhausted(self) -> bool:
        """Say whether everything is settled."""
        return all(lane.is_exhausted() for lane in self.lanes.values())

    def is_read(self) -> bool:
        """Say whether everything was read."""
        return all(lane.is_read() for lane in self.lanes.values())

    @property
    def bytes(self) -> int:
        """What is still on the disk."""
        return sum(lane.bytes for lane in self.lanes.values())

    def rewind(self) -> None:
        """See :meth:`Lane.rewind`."""
        for lane in self.lanes.values():
            lane.rewind()

    def close(self) -> None:
        """Leave what is not settled to the next who adopts, and delete the directory when there is nothing left."""
        exhausted = self.is_exhausted()
        for lane in self.lanes.values():
            lane.close()
        if exhausted:
            self.directory.remove()
        else:
            self.directory.release()

    def forget(self) -> None:
        """Close the descriptors: in the child of a fork."""
        for lane in self.lanes.values():
            lane.forget()
        self.directory.forget()


def _position(path: str, files: list[FileSegment]) -> tuple[int, int]:
    number, offset = (0, 0)
    with contextlib.suppress(OSError):
        number, offset = load_position(path)
    # A position behind the end of its file belongs to a file that was longer: its start is safe, a guess is not.
    if any(file.number == number and offset > file.size for file in files):
        return number, 0
    return number, offset
