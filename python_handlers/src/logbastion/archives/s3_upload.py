"""Uploading a file to S3, in parts when it is large, and going on with an upload that broke off."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from logbastion.archives.store import Progress

DEFAULT_PART_BYTES: Final = 16 << 20
# Amazon S3 User Guide, "multipart upload limits": 10 000 parts, each but the last of 5 MiB or more.
_MOST_PARTS: Final = 10_000
SMALLEST_PART_BYTES: Final = 5 << 20


def upload(
    client: Any, bucket: str, key: str, path: Path, asked: dict[str, Any], *, part_bytes: int, progress: Progress
) -> None:
    """Send a file; the server compares each request's SHA-256.

    Args:
        client: boto3's.
        bucket: its name.
        key: of the object.
        path: nobody writes to it meanwhile.
        asked: encryption, metadata and lock.
        part_bytes: of a part, more when the file would have too many.
        progress: is called with numbers of bytes.

    """
    size = path.stat().st_size
    part_bytes = max(part_bytes, SMALLEST_PART_BYTES, -(-size // _MOST_PARTS))
    if size <= part_bytes:
        body = path.read_bytes()
        client.put_object(Bucket=bucket, Key=key, Body=body, **_checked(body), **asked)
        progress(size)
        return
    begun, present = _begun(client, bucket, key, path, part_bytes)
    if not begun:
        abort_begun(client, bucket, key)
        begun = client.create_multipart_upload(Bucket=bucket, Key=key, ChecksumAlgorithm="SHA256", **asked)["UploadId"]
    parts = []
    for number, body in _parts(path, part_bytes):
        tag = present.get(number)
        if tag is None:
            sent = client.upload_part(
                Bucket=bucket, Key=key, UploadId=begun, PartNumber=number, Body=body, **_checked(body)
            )
            tag = sent["ETag"]
        parts.append({"PartNumber": number, "ETag": tag, "ChecksumSHA256": _checksum(body)})
        progress(len(body))
    client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=begun, MultipartUpload={"Parts": parts})


def abort_begun(client: Any, bucket: str, key: str, *, whole_key: bool = True) -> None:
    """Remove the parts of uploads that were not completed, to a key or to all that begin with it."""
    for begun, found in _uploads(client, bucket, key, whole_key=whole_key):
        client.abort_multipart_upload(Bucket=bucket, Key=found, UploadId=begun)


def _begun(client: Any, bucket: str, key: str, path: Path, part_bytes: int) -> tuple[str, dict[int, str]]:
    """Return an upload of this very file and the tags of its parts, an empty name when there is none."""
    for begun, _ in _uploads(client, bucket, key):
        pages = client.get_paginator("list_parts").paginate(Bucket=bucket, Key=key, UploadId=begun)
        found = {part["PartNumber"]: part for page in pages for part in page.get("Parts", ())}
        # The checksum that the whole object will have was given when it was begun; its parts say whether it is ours.
        if found and all(
            number in found and _is(found[number], body)
            for number, body in _parts(path, part_bytes)
            if number <= max(found)
        ):
            return begun, {number: part["ETag"] for number, part in found.items()}
    return "", {}


def _is(part: dict[str, Any], body: bytes) -> bool:
    """Return whether a part holds these bytes; servers that store no SHA-256 have a tag that is the MD5 (RFC 1864)."""
    if "ChecksumSHA256" in part:
        return bool(part["ChecksumSHA256"] == _checksum(body))
    return bool(part["ETag"].strip('"') == hashlib.md5(body, usedforsecurity=False).hexdigest())


def _uploads(client: Any, bucket: str, key: str, *, whole_key: bool = True) -> list[tuple[str, str]]:
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=key)
    found = [(one["UploadId"], str(one["Key"])) for page in pages for one in page.get("Uploads", ())]
    return [(begun, name) for begun, name in found if name == key or not whole_key]


def _parts(path: Path, part_bytes: int) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        number = 0
        while body := file.read(part_bytes):
            number += 1
            yield number, body


def _checked(body: bytes) -> dict[str, str]:
    return {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": _checksum(body)}


def _checksum(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode("ascii")
