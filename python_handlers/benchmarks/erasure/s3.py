"""An archive in S3: what is there is read by boto3, every version of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import s3_servers

from benchmarks.erasure.files import chunks, make_log
from logbastion.archives import archive_at
from logbastion.retention.codecs import GZIP, SUFFIX_OF, ZSTD, reading

HOST = "bench"
_BUCKET = "logs"


def address_of(server: s3_servers.S3Server) -> str:
    """Return the archive's address."""
    return server.address(_BUCKET, sse=server.encryption)


def make_archive(server: s3_servers.S3Server, scratch: Path, numbers: range, users: int, events: int) -> int:
    """Put log files of :data:`HOST` into a bucket that keeps versions, gzip and zstd in turns; return their bytes."""
    client = server.client()
    client.create_bucket(Bucket=_BUCKET)
    client.put_bucket_versioning(Bucket=_BUCKET, VersioningConfiguration={"Status": "Enabled"})
    store, size = archive_at(address_of(server)), 0
    for index, stream, chunk in chunks(numbers, events):
        codec = (GZIP, ZSTD)[index // 2 % 2]
        path = scratch / f"{stream}.log.20250101T000000Z-{index + 1}{SUFFIX_OF[codec]}"
        make_log(path, codec, chunk, users, stream)
        size += store.put(f"archive/{HOST}/{stream}/{path.name}", path).size
        path.unlink()
    return size


def archive_of(server: s3_servers.S3Server) -> Iterator[bytes]:
    """Return every line of every version of every object."""
    client = server.client()
    for page in client.get_paginator("list_object_versions").paginate(Bucket=_BUCKET):
        for one in page.get("Versions", []):
            found = client.get_object(Bucket=_BUCKET, Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
            for line in reading(io.BytesIO(found), one["Key"]):
                yield line.rstrip(b"\n")
