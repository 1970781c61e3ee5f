"""``CompressedTimedRotatingFileHandler``: one file that rotates by time, with compressed and archived predecessors.

For all streams of an application at once, :class:`logbastion.StreamFileHandler` and the daily ``logbastion retention``
do the same with one configuration; this handler is for a file of one's own (guide, "Advanced Log Rotation
Configuration").
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import re
import threading
from collections.abc import Iterator
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import Final

from logbastion.archives import ArchiveError, ArchiveStore, archive_from_environment, host_in_archive
from logbastion.files import PrivateAppendFile, make_log_directory
from logbastion.formatters import EventFormatter
from logbastion.retention.codecs import COMPRESSION_VARIABLE, GZIP, SUFFIXES, checked_codec, is_compressed
from logbastion.retention.enforcement import LEFT_ALONE, free_name
from logbastion.retention.locking import DirectoryLockedError, alone_in
from logbastion.retention.spans import NoRecordTimeError, Span, first_record_time, span_of
from logbastion.retention.upkeep import Upkeep

_ROTATED: Final = re.compile(r"\.(\d{8}T\d{6}Z)(?:-\d+)?|-(\d{8})(?:-\d+)?")
_LEFT_ALONE: Final[tuple[type[Exception], ...]] = (*LEFT_ALONE, ArchiveError, NoRecordTimeError)


class CompressedTimedRotatingFileHandler(logging.Handler):
    """Writes to a file that is renamed when its period is over; older ones are compressed, then archived.

    The first eight arguments are those of :class:`logging.handlers.TimedRotatingFileHandler`. Unlike there, several
    processes may write one file: one of them renames it, under the directory's lock, and the others notice with their
    next line; the file is private (0640) from its first byte; and a period counts from the first record in the file.
    Files are called ``<filename>.<time of the rotation>``, for example ``application.log.20261124T020000Z``.

    Compression, checksums and the archive are the work of a thread that runs after the first record of a process and
    after each rotation; what it did is in ``manifest.jsonl`` beside the file, and what it could not do is an event of
    ``system.log_management``. It may be killed at any moment: the next one completes what it began.

    Args:
        filename: the file; its directory is made with mode 0750 when it is missing.
        when: ``S``, ``M``, ``H``, ``D``, ``midnight`` or ``W0`` to ``W6``.
        interval: how many of them.
        backupCount: how many rotated files stay in the directory, compressed ones included; 0 is all.
        encoding: of the lines of another formatter than :class:`logbastion.EventFormatter`; by default UTF-8.
        delay: accepted; the file is always opened by the first record.
        utc: whether midnight is that of UTC.
        atTime: with ``midnight`` or ``W0`` to ``W6``, the time of the day.
        compress_after_days: days after a file's last record.
        archive_after_days: days after a file's last record, if there is an archive.
        compression: ``gzip`` or ``zstd``; by default that of ``LOGBASTION_COMPRESSION``, else ``gzip``.
        archive: by default that of ``LOGBASTION_ARCHIVE``; without one files stay in the directory.
        host: its name in the archive; by default :func:`logbastion.archives.host_in_archive`.

    Raises:
        ValueError: ``when``, the days or the counts cannot work.
        CodecError: the compression is not known, or not installed.
        ArchiveError: the archive's address or the host's name cannot be understood.

    """

    def __init__(  # noqa: PLR0917 - the first are the standard library's
        self,
        filename: str | os.PathLike[str],
        when: str = "h",
        interval: int = 1,
        backupCount: int = 0,  # noqa: N803
        encoding: str | None = None,
        delay: bool = False,
        utc: bool = False,
        atTime: time | None = None,  # noqa: N803
        compress_after_days: int = 7,
        archive_after_days: int = 90,
        *,
        compression: str | None = None,
        archive: ArchiveStore | None = None,
        host: str | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= compress_after_days <= archive_after_days:
            raise ValueError("compress_after_days must be 0 or more, and archive_after_days not below it.")
        if interval < 1 or backupCount < 0:
            raise ValueError("interval must be 1 or more, and backupCount 0 or more.")
        self.baseFilename = os.path.abspath(filename)
        self.backupCount, self.encoding = backupCount, encoding or "utf-8"
        self.compress_after_days, self.archive_after_days = compress_after_days, archive_after_days
        # Only asked when a period ends; with `delay` it never opens the file.
        self._schedule = logging.handlers.TimedRotatingFileHandler(
            self.baseFilename, when, interval, delay=True, utc=utc, atTime=atTime
        )
        self._path = Path(self.baseFilename)
        self._file = PrivateAppendFile(self._path)
        self._codec = checked_codec(compression or os.environ.get(COMPRESSION_VARIABLE) or GZIP)
        self._archive = archive or archive_from_environment()
        self._host = (host or host_in_archive()) if self._archive is not None else ""
        self._known: tuple[int, int] | None = None
        self._due = 0.0
        self._rotated_here: list[Path] = []
        self._worker: threading.Thread | None = None
        self._worker_of = 0
        self.setFormatter(EventFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line, after a rotation if the file's period is over."""
        try:
            formatter = self.formatter
            if isinstance(formatter, EventFormatter):
                line = formatter.format_bytes(record)
            else:
                text = self.format(record).replace("\n", "\\n")  # one record, one line, whatever the formatter
                line = text.encode(self.encoding, "replace") + b"\n"
            if not self._path.parent.is_dir():
                make_log_directory(self._path.parent)
            if self._is_due(record.created):
                self.doRollover()
            self._file.write(line)
            if self._worker_of != os.getpid():
                self._start_worker()
        except Exception:  # logging never stops the application
            self.handleError(record)

    def doRollover(self) -> None:  # noqa: N802 - the standard library's name
        """Rename the file and have the older ones looked after; another process that is at work puts it off.

        Raises:
            OSError: the file cannot be renamed.

        """
        try:
            with alone_in(self._path.parent, wait_seconds=0):
                # Another process may have done it while this one looked.
                self._known = None
                now = datetime.now(timezone.utc)
                if not self._is_due(now.timestamp()):
                    return
                target = free_name(self._path, now)
                os.rename(self._path, target)
        except DirectoryLockedError:
            return
        self._rotated_here.append(target)
        self._start_worker()

    def close(self) -> None:
        """Close the file, and wait for the thread for 5 seconds at most; what it leaves, the next one completes."""
        self.acquire()
        try:
            self._file.close()
            self._schedule.close()
        finally:
            self.release()
        worker = self._worker
        if worker is not None and self._worker_of == os.getpid() and worker is not threading.current_thread():
            worker.join(5)
        super().close()

    def look_after_files(self) -> None:
        """Compress, archive and delete rotated files that are due; called by the thread.

        A file that cannot be handled is told of on ``system.log_management`` and left as it is.
        """
        with contextlib.suppress(DirectoryLockedError, OSError):
            # Somebody else is at work, or the directory is gone; the next rotation comes.
            self._look_after_files()

    def _look_after_files(self) -> None:
        upkeep = Upkeep(
            self._path.parent,
            clock=lambda: datetime.now(timezone.utc),
            codec=self._codec,
            store=self._archive,
            host=self._host,
            times_of=_times_of,
        )
        for path in self._rotated():
            # The lock is given back after each file, so that rotation does not wait for an upload of all.
            with alone_in(self._path.parent, wait_seconds=0):
                self._guarded(upkeep, path)
        if self.backupCount:
            for path in self._rotated()[: -self.backupCount]:
                with alone_in(self._path.parent, wait_seconds=0), self._telling(path):
                    upkeep.manifest.refresh()
                    facts = upkeep.recorded(path) if path.stat().st_size else None
                    upkeep.delete(path, facts, f"there are more than {self.backupCount} rotated files")

    def _guarded(self, upkeep: Upkeep, path: Path) -> None:
        with self._telling(path):
            if not path.exists():
                return
            upkeep.manifest.refresh()
            if path in self._rotated_here:
                self._rotated_here.remove(path)
                if upkeep.manifest.state_of(path.name) is None and path.stat().st_size:
                    upkeep.rotated(path, "its period was over")
            if path.stat().st_size == 0:
                return
            facts = upkeep.recorded(path)
            if facts.span is None:
                return
            age = datetime.now(timezone.utc) - facts.span.youngest
            if not is_compressed(path.name) and age >= timedelta(days=self.compress_after_days):
                reason = f"its last record is {self.compress_after_days} days old or older"
                path = upkeep.compress(path, facts, reason)
                facts = upkeep.recorded(path)
            if self._archive is not None and age >= timedelta(days=self.archive_after_days):
                upkeep.archive(path, facts, f"its last record is {self.archive_after_days} days old or older")

    @contextlib.contextmanager
    def _telling(self, path: Path) -> Iterator[None]:
        try:
            yield
        except _LEFT_ALONE as error:
            # Not at import: a dictConfig that comes later would disable it.
            logging.getLogger("system.log_management").error("Log file %s failed: %s", path.name, error)

    def _rotated(self) -> list[Path]:
        """Return the rotated files, the oldest first."""
        found = []
        for path in self._path.parent.iterdir():
            if path.name.startswith(self._path.name) and not path.is_symlink():
                ending = path.name[len(self._path.name) :]
                for suffix in SUFFIXES:
                    ending = ending.removesuffix(suffix)
                if _ROTATED.fullmatch(ending):
                    found.append(path)
        return sorted(found, key=lambda path: path.name)

    def _is_due(self, now: float) -> bool:
        try:
            status = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if (status.st_dev, status.st_ino) != self._known or not status.st_size:
            self._known = (status.st_dev, status.st_ino)
            self._due = float(self._schedule.computeRollover(int(self._begin_of(status, now))))
        return now >= self._due and status.st_size > 0

    def _begin_of(self, status: os.stat_result, now: float) -> float:
        if not status.st_size:
            return now
        try:
            first = first_record_time(self._path)
        except NoRecordTimeError:
            return status.st_mtime  # lines of another formatter; the standard library's way
        return first.timestamp() if first else now

    def _start_worker(self) -> None:
        worker = self._worker
        if worker is not None and worker.is_alive() and self._worker_of == os.getpid():
            return  # it sees the new file when it lists the directory, or the next one does
        self._worker = threading.Thread(target=self.look_after_files, name="logbastion-log-files", daemon=True)
        self._worker_of = os.getpid()
        self._worker.start()


def _times_of(path: Path) -> Span | None:
    """Return the times of a file's records; for lines that do not say, the time in its name, which is later."""
    try:
        return span_of(path)
    except NoRecordTimeError:
        match = _ROTATED.search(path.name)
        if match is None:
            raise
        text, day = match[1], match[2]
        moment = datetime.strptime(text, "%Y%m%dT%H%M%SZ") if text else datetime.strptime(day, "%Y%m%d")
        moment = moment.replace(tzinfo=timezone.utc)
        return Span(moment, moment)
