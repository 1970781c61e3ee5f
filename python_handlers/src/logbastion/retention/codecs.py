"""How compressed log files are written and read: gzip, and zstd where the library for it is installed."""

from __future__ import annotations

import gzip
import importlib
import zlib
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, cast

GZIP: Final = "gzip"
ZSTD: Final = "zstd"
SUFFIX_OF: Final = {GZIP: ".gz", ZSTD: ".zst"}
SUFFIXES: Final = tuple(SUFFIX_OF.values())
COMPRESSION_VARIABLE: Final = "LOGBASTION_COMPRESSION"


class CodecError(Exception):
    """A compression is not known or not installed; the message says what to do."""


def checked_codec(name: str) -> str:
    """Return the name of a compression that can be written here.

    Raises:
        CodecError: it is not known, or not installed.

    """
    if name not in SUFFIX_OF:
        raise CodecError(f"{name!r} is no compression ({COMPRESSION_VARIABLE}); there are {', '.join(SUFFIX_OF)}")
    if name == ZSTD:
        _zstd()
    return name


def base_of(name: str) -> str:
    """Return a file's name without the suffix of a compression."""
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


def is_compressed(name: str) -> bool:
    """Return whether the name says so."""
    return name.endswith(SUFFIXES)


def reading(source: IO[bytes], name: str) -> IO[bytes]:
    """Return a file's content as it was before it was compressed; closing it leaves the source open.

    Args:
        source: the bytes as they are stored.
        name: whose suffix says how.

    Raises:
        CodecError: the compression is not installed.

    """
    if name.endswith(SUFFIX_OF[GZIP]):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=source))
    if name.endswith(SUFFIX_OF[ZSTD]):
        return cast("IO[bytes]", _zstd().ZstdFile(source))
    return source


def writing(target: IO[bytes], codec: str, youngest: datetime) -> IO[bytes]:
    """Return a file whose content is compressed into the target; closing it leaves the target open.

    Args:
        target: a file.
        codec: ``gzip`` or ``zstd``.
        youngest: the time of the last record; gzip has room for it (RFC 1952, MTIME).

    """
    if codec == GZIP:
        return cast("IO[bytes]", gzip.GzipFile("", "wb", fileobj=target, mtime=int(youngest.timestamp())))
    zstd = _zstd()
    # RFC 8878, 3.1.1: a checksum of the content, as gzip always has one.
    options = {zstd.CompressionParameter.checksum_flag: 1}
    return cast("IO[bytes]", zstd.ZstdFile(target, "w", options=options))


def read_from(path: Path) -> IO[bytes]:
    """Open a log file for reading its content.

    Raises:
        OSError: it cannot be opened.
        CodecError: the compression is not installed.

    """
    if path.name.endswith(SUFFIX_OF[GZIP]):
        return cast("IO[bytes]", gzip.open(path))
    if path.name.endswith(SUFFIX_OF[ZSTD]):
        return cast("IO[bytes]", _zstd().open(path))
    return path.open("rb")


def _zstd() -> Any:
    for module in ("compression.zstd", "backports.zstd"):  # the standard library's from Python 3.14 on
        try:
            return importlib.import_module(module)
        except ImportError:
            continue
    raise CodecError("files compressed with zstd need a library before Python 3.14: pip install 'logbastion[zstd]'")


def _errors_of_zstd() -> tuple[type[Exception], ...]:
    try:
        return (cast("type[Exception]", _zstd().ZstdError),)
    except CodecError:
        return ()


DAMAGED: Final[tuple[type[Exception], ...]] = (EOFError, gzip.BadGzipFile, zlib.error, *_errors_of_zstd())
"""The exceptions that mean that a compressed file is cut or altered."""
