"""An archive in a bucket of Amazon S3 or of a server that speaks its protocol (extra ``s3``: boto3)."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from logbastion.archives.s3_upload import DEFAULT_PART_BYTES, abort_begun, upload
from logbastion.archives.store import (
    Archived,
    ArchiveError,
    ArchiveStore,
    LockedError,
    NotArchivedError,
    OlderVersion,
    Progress,
    Stream,
    checked_name,
)

ENCRYPTIONS: Final = ("AES256", "aws:kms", "bucket")
LOCKS: Final = ("governance", "compliance", "none")
CHECKSUM: Final = "sha256"
"""Name of the metadata (``x-amz-meta-sha256``) that holds an object's checksum."""

_NOT_THERE: Final = {"404", "NoSuchKey", "NoSuchVersion", "NotFound"}
_NO_LOCK: Final = {
    "ObjectLockConfigurationNotFoundError", "NotImplemented", "MethodNotAllowed", "InvalidBucketState",
}  # fmt: skip


class S3Store(ArchiveStore):
    """Keeps each object in a bucket, with its SHA-256 as metadata.

    Credentials are boto's own: environment, shared files, instance roles. The server is spoken to by TLS only, and its
    certificate is verified. Large files go in parts; an upload that broke off is resumed with the parts that are there.
    In a bucket with versions, what is deleted or replaced loses all its versions.

    Args:
        bucket: must exist.
        prefix: of all names, without a slash at the end.
        endpoint: ``https://`` address of another server than Amazon's.
        region: by default that of boto's configuration.
        ca_file: the authority of the server's certificate; by default those that boto knows.
        profile: of boto's shared files.
        encryption: what is asked of the server for objects: ``AES256``, ``aws:kms``, or ``bucket`` for whatever the
            bucket does by itself. An upload that the server has not encrypted as asked is an error.
        kms_key: for ``aws:kms``, by default the account's.
        lock: ``governance`` or ``compliance``, asked for objects that have a time until which they must stay, if the
            bucket has object lock; ``none`` never asks.
        part_bytes: of a part; files above it go in parts. 5 MiB at least, which is S3's limit.

    Raises:
        ArchiveError: boto3 is not installed, or an argument cannot work.

    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str | None = None,
        region: str | None = None,
        ca_file: str | None = None,
        profile: str | None = None,
        encryption: str = "AES256",
        kms_key: str | None = None,
        lock: str = "governance",
        part_bytes: int = DEFAULT_PART_BYTES,
    ) -> None:
        if encryption not in ENCRYPTIONS or lock not in LOCKS:
            raise ArchiveError(
                f"encryption is {encryption!r} and lock is {lock!r}; they must be one of {', '.join(ENCRYPTIONS)}, and "
                f"one of {', '.join(LOCKS)}"
            )
        if kms_key and encryption != "aws:kms":
            raise ArchiveError("a key of KMS is given, but the encryption asked for is not aws:kms")
        try:
            boto3, self._errors = importlib.import_module("boto3"), importlib.import_module("botocore.exceptions")
        except ImportError:
            raise ArchiveError("an archive in S3 needs boto3: pip install 'logbastion[s3]'") from None
        self.bucket, self.prefix = bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._part_bytes, self._lock = part_bytes, lock
        self._encryption: dict[str, str] = {} if encryption == "bucket" else {"ServerSideEncryption": encryption}
        if kms_key:
            self._encryption["SSEKMSKeyId"] = kms_key
        with self._sentences("the archive in S3 cannot be used"):
            session = boto3.session.Session(profile_name=profile, region_name=region)
            self._client = session.client("s3", endpoint_url=endpoint, verify=ca_file, config=_configuration(endpoint))
        if not str(self._client.meta.endpoint_url).startswith("https://"):
            raise ArchiveError(
                f"the archive's address {self._client.meta.endpoint_url} is not encrypted; logs go by https:// only"
            )
        self._versions: bool | None = None
        self._locks: bool | None = None

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def names(self, prefix: str = "") -> Iterator[str]:
        """Return the names of complete objects that begin with the prefix, sorted."""
        with self._sentences(f"the archive {self} cannot be listed"):
            pages = self._client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                for found in page.get("Contents", ()):
                    yield found["Key"][len(self.prefix) :]

    def information(self, name: str) -> Archived:
        """Return size and stored checksum.

        Raises:
            NotArchivedError: there is no such object.

        """
        found = self._head(name)
        return Archived(name, int(found["ContentLength"]), str(found.get("Metadata", {}).get(CHECKSUM, "")))

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        """Open an object for reading.

        Raises:
            NotArchivedError: there is no such object.

        """
        with self._open(name) as stream:
            yield stream

    def delete(self, name: str) -> None:
        """Remove an object with all its versions and begun uploads; one that is not there is no error.

        Raises:
            LockedError: the bucket keeps it, or a version of it, until a later time.

        """
        key = self._key(name)
        with self._sentences(f"{name} cannot be removed from the archive {self}"):
            abort_begun(self._client, self.bucket, key)
            if not self._has_versions():
                self._client.delete_object(Bucket=self.bucket, Key=key)
                return
            self._remove(key, self._versions_of(key))

    def older_versions(self, prefix: str = "") -> Iterator[OlderVersion]:
        """Return what was replaced or deleted and is still there, of names that begin with the prefix."""
        with self._sentences(f"older versions in the archive {self} cannot be listed"):
            if not self._has_versions():
                return
            pages = self._client.get_paginator("list_object_versions")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                for found in page.get("Versions", ()):
                    if not found["IsLatest"]:
                        yield OlderVersion(found["Key"][len(self.prefix) :], found["VersionId"], found["Size"])

    @contextlib.contextmanager
    def open_older(self, older: OlderVersion) -> Iterator[Stream]:
        """Open an older version for reading.

        Raises:
            ArchiveError: it is gone. Not every server says so in a way of its own, as NotArchivedError would.

        """
        with self._open(older.name, VersionId=older.version) as stream:
            yield stream

    def remove_older(self, older: OlderVersion) -> None:
        """Remove an older version; of one that is gone, some servers say so and others do not.

        Raises:
            ArchiveError: the server does not know it.
            LockedError: the bucket keeps it until a later time.

        """
        with self._sentences(f"an older version of {older.name} cannot be removed from the archive {self}"):
            self._remove(self._key(older.name), [{"VersionId": older.version}])

    def clear_begun(self, prefix: str) -> None:
        """Remove the parts of uploads under names that begin with the prefix."""
        with self._sentences(f"parts of uploads cannot be removed from the archive {self}"):
            abort_begun(self._client, self.bucket, self.prefix + prefix, whole_key=False)

    def _write(self, name: str, path: Path, found: Archived, locked_until: datetime | None, progress: Progress) -> None:
        key = self._key(name)
        asked: dict[str, Any] = {**self._encryption, "Metadata": {CHECKSUM: found.sha256}}
        with self._sentences(f"{name} cannot be written to the archive {self}"):
            if locked_until is not None and self._lock != "none" and self._has_locks():
                asked |= {"ObjectLockMode": self._lock.upper(), "ObjectLockRetainUntilDate": locked_until}
            upload(self._client, self.bucket, key, path, asked, part_bytes=self._part_bytes, progress=progress)
        given = self._head(name).get("ServerSideEncryption")
        if self._encryption and given != self._encryption["ServerSideEncryption"]:
            with contextlib.suppress(ArchiveError):
                self.delete(name)
            raise ArchiveError(
                f"the server has not encrypted {name} with {self._encryption['ServerSideEncryption']} as asked; let "
                "the bucket do it, or say sse=bucket in the archive's address if its disks are encrypted otherwise"
            )

    def _remove_older(self, name: str) -> None:
        key = self._key(name)
        with self._sentences(f"older versions of {name} cannot be removed from the archive {self}"):
            if self._has_versions():
                self._remove(key, [one for one in self._versions_of(key) if not one["IsLatest"]])

    @contextlib.contextmanager
    def _open(self, name: str, **version: str) -> Iterator[Stream]:
        what = f"{name} cannot be read from the archive {self}"
        with self._sentences(what, name):
            body = self._client.get_object(Bucket=self.bucket, Key=self._key(name), **version)["Body"]
        with contextlib.closing(body):
            yield Stream(body, partial(self._sentences, what))

    def _versions_of(self, key: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator("list_object_versions")
        return [
            found
            for page in pages.paginate(Bucket=self.bucket, Prefix=key)
            for found in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
            if found["Key"] == key
        ]

    def _remove(self, key: str, versions: list[dict[str, Any]]) -> None:
        locked: list[datetime] = []
        for one in versions:
            version = {"Bucket": self.bucket, "Key": key, "VersionId": one["VersionId"]}
            try:
                self._client.delete_object(**version)
            except self._errors.ClientError:
                until = self._locked_until(version)
                if until is None:
                    raise
                # Also when it has just ended: the next run removes it.
                locked.append(until)
        if locked:
            raise LockedError(
                f"{key} is locked in the bucket {self.bucket} until {max(locked):%Y-%m-%d %H:%M} UTC; it stays there"
            )

    def _locked_until(self, version: dict[str, str]) -> datetime | None:
        """Return until when a version is locked, None when it never was."""
        until: datetime | None = None
        # Servers differ in which of the two they answer for a version.
        with contextlib.suppress(self._errors.ClientError, KeyError):
            until = self._client.head_object(**version)["ObjectLockRetainUntilDate"]
        if until is None:
            with contextlib.suppress(self._errors.ClientError, KeyError):
                until = self._client.get_object_retention(**version)["Retention"]["RetainUntilDate"]
        return until

    def _has_versions(self) -> bool:
        if self._versions is None:
            found = self._client.get_bucket_versioning(Bucket=self.bucket).get("Status")
            self._versions = found in ("Enabled", "Suspended")
        return self._versions

    def _has_locks(self) -> bool:
        if self._locks is None:
            try:
                found = self._client.get_object_lock_configuration(Bucket=self.bucket)
                self._locks = found["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"
            except self._errors.ClientError as error:
                if _code(error) not in _NO_LOCK:
                    raise
                self._locks = False
        return self._locks

    def _head(self, name: str) -> dict[str, Any]:
        with self._sentences(f"the archive {self} cannot be asked about {name}", name):
            found: dict[str, Any] = self._client.head_object(Bucket=self.bucket, Key=self._key(name))
        return found

    def _key(self, name: str) -> str:
        return self.prefix + checked_name(name)

    @contextlib.contextmanager
    def _sentences(self, what: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except self._errors.ClientError as error:
            if name and _code(error) in _NOT_THERE:
                raise NotArchivedError(f"{name} is not in the archive {self}") from None
            raise ArchiveError(f"{what}: {error}") from error
        except (self._errors.BotoCoreError, OSError, ValueError) as error:
            raise ArchiveError(f"{what}: {error}") from error


def _configuration(endpoint: str | None) -> Any:
    return importlib.import_module("botocore.config").Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 4},
        # Checksums of our own go with each upload; those of boto by default are unknown to many servers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto"},
    )


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
