"""Archives in S3, against the versitygw that ``S3_SERVER`` names (`make test-long`), else against moto, a stand-in."""

import contextlib
import hashlib
import time
from datetime import datetime, timedelta, timezone

import pytest

from logbastion.archives import (
    ArchiveError,
    ArchiveExistsError,
    ChecksumError,
    LockedError,
    NotArchivedError,
    S3Store,
    archive_at,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("s3_credentials")]

NAME = "archive/host-1/security/security.log-20260101.gz"
MIB = 1 << 20


@pytest.fixture
def bucket(s3_server, request):
    name = "b" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    s3_server.client().create_bucket(Bucket=name)
    return name


@pytest.fixture
def locking(s3_server, request):
    name = "l" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    s3_server.client().create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


@pytest.fixture
def store(s3_server, bucket):
    return archive_at(s3_server.address(bucket, sse=s3_server.encryption))


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "security.log-20260101.gz"
    file.write_bytes(b"".join(number.to_bytes(4, "big") for number in range(50_000)))
    return file


@pytest.fixture
def large(tmp_path):
    """Numbered blocks, so that parts that are lost, doubled or mixed up show."""
    file = tmp_path / "large.gz"
    file.write_bytes(b"".join(number.to_bytes(8, "big") * 128 for number in range(13 * 1024)))
    return file


def read(store, name):
    with store.open(name) as stream:
        return stream.read()


def test_what_is_put_comes_back_with_its_checksum(s3_server, bucket, store, path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert store.put(NAME, path).sha256 == digest
    found = s3_server.client().head_object(Bucket=bucket, Key=f"logs/{NAME}")
    assert found["Metadata"] == {"sha256": digest}
    assert found.get("ServerSideEncryption", "bucket") == s3_server.encryption
    assert read(store, NAME) == path.read_bytes()
    assert list(store.names()) == list(store.names("archive/")) == [NAME]
    assert list(store.names("backups/")) == []
    store.delete(NAME)
    store.delete(NAME)
    assert list(store.names()) == []
    for call in (store.information, store.verify, lambda name: read(store, name)):
        with pytest.raises(NotArchivedError, match="is not in the archive s3://"):
            call(NAME)


def test_other_content_is_not_overwritten_and_replacing_is_explicit(store, path):
    store.put(NAME, path)
    content = path.read_bytes()
    store.put(NAME, path)
    path.write_bytes(b"something else")
    with pytest.raises(ArchiveExistsError, match="holds something else"):
        store.put(NAME, path)
    assert read(store, NAME) == content
    store.replace(NAME, path)
    assert read(store, NAME) == b"something else"


def test_content_that_was_exchanged_in_the_bucket_is_found_out(s3_server, bucket, store, path):
    digest = store.put(NAME, path).sha256
    s3_server.client().put_object(
        Bucket=bucket, Key=f"logs/{NAME}", Body=b"not what was written", Metadata={"sha256": digest}
    )
    with pytest.raises(ChecksumError, match="gives back 20 bytes"):
        store.verify(NAME)


class LyingClient:
    """Stands in for a server that confirms every write and keeps something else."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return getattr(self._client, name)

    def put_object(self, Body, ChecksumSHA256, **arguments):  # noqa: N803
        return self._client.put_object(Body=b"other bytes", **arguments)


def test_a_server_that_lies_is_found_out_and_its_copy_removed(store, path):
    store._client = LyingClient(store._client)
    with pytest.raises(ChecksumError, match="gives back 11 bytes"):
        store.put(NAME, path)
    assert list(store.names()) == []


def test_a_large_file_goes_in_parts_and_an_upload_that_broke_off_goes_on(s3_server, bucket, large):
    def made():
        return S3Store(
            bucket, endpoint=s3_server.endpoint, ca_file=str(s3_server.ca_file), encryption=s3_server.encryption,
            part_bytes=5 * MIB,
        )  # fmt: skip

    store = made()
    sent = []
    real = store._client.upload_part

    def broken(**arguments):
        if len(sent) == 2:
            raise OSError("the connection broke")
        sent.append(arguments["PartNumber"])
        return real(**arguments)

    store._client.upload_part = broken
    with pytest.raises(ArchiveError, match="the connection broke"):
        store.put(NAME, large)
    assert list(store.names()) == []
    store = made()
    real_again = store._client.upload_part
    store._client.upload_part = lambda **arguments: (sent.append(arguments["PartNumber"]), real_again(**arguments))[1]
    store.put(NAME, large)
    assert sent == [1, 2, 3]
    assert read(store, NAME) == large.read_bytes()
    assert store.information(NAME).sha256 == hashlib.sha256(large.read_bytes()).hexdigest()


def test_an_upload_of_other_content_is_not_gone_on_with(s3_server, bucket, large):
    store = S3Store(
        bucket,
        endpoint=s3_server.endpoint,
        ca_file=str(s3_server.ca_file),
        encryption=s3_server.encryption,
        part_bytes=5 * MIB,
    )
    client = s3_server.client()
    begun = client.create_multipart_upload(Bucket=bucket, Key=NAME)["UploadId"]
    client.upload_part(Bucket=bucket, Key=NAME, UploadId=begun, PartNumber=1, Body=b"x" * (5 * MIB))
    store.put(NAME, large)
    assert read(store, NAME) == large.read_bytes()
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_deleting_removes_begun_uploads_and_every_version(s3_server, bucket, store, path):
    client = s3_server.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    store.put(NAME, path)
    content = path.read_bytes()
    path.write_bytes(b"one person fewer")
    store.replace(NAME, path)
    versions = client.list_object_versions(Bucket=bucket).get("Versions", [])
    assert len(versions) == 1
    assert read(store, NAME) == b"one person fewer" != content
    client.create_multipart_upload(Bucket=bucket, Key=f"logs/{NAME}-other")
    store.clear_begun("archive/host-2/")
    assert client.list_multipart_uploads(Bucket=bucket).get("Uploads")
    store.clear_begun("archive/host-1/")
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")
    client.create_multipart_upload(Bucket=bucket, Key=f"logs/{NAME}")
    store.delete(NAME)
    found = client.list_object_versions(Bucket=bucket)
    assert not found.get("Versions")
    assert not found.get("DeleteMarkers")
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_an_older_version_is_listed_read_and_removed(s3_server, bucket, store, path):
    versioning = {"Bucket": bucket, "VersioningConfiguration": {"Status": "Enabled"}}
    s3_server.client().put_bucket_versioning(**versioning)
    before = path.read_bytes()
    store.put(NAME, path)
    assert list(store.older_versions()) == []
    s3_server.client().put_object(Bucket=bucket, Key=f"logs/{NAME}", Body=b"by hand")
    (older,) = store.older_versions("archive/host-1/")
    assert (older.name, older.size) == (NAME, len(before))
    assert list(store.older_versions("archive/host-2/")) == []
    with store.open_older(older) as stream:
        assert stream.read() == before
    store.remove_older(older)
    assert list(store.older_versions()) == []
    with pytest.raises(ArchiveError), store.open_older(older):
        pass
    with store.open(NAME) as stream:
        assert stream.read() == b"by hand"


def test_what_is_locked_stays_until_its_time_and_is_told(s3_server, locking, path):
    store = archive_at(s3_server.address(locking, sse=s3_server.encryption))
    store.put(NAME, path, locked_until=datetime.now(timezone.utc) + timedelta(days=1))
    with pytest.raises(LockedError, match="is locked in the bucket"):
        store.delete(NAME)
    assert read(store, NAME) == path.read_bytes()
    soon = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(timezone.utc) + timedelta(seconds=2)}
    s3_server.client().put_object_retention(
        Bucket=locking, Key=f"logs/{NAME}", Retention=soon, BypassGovernanceRetention=True
    )
    deadline = time.monotonic() + 60
    while list(store.names()):
        assert time.monotonic() < deadline
        with contextlib.suppress(LockedError):
            store.delete(NAME)
        time.sleep(0.2)


def test_an_erasure_under_a_lock_says_what_stays(s3_server, locking, path):
    store = archive_at(s3_server.address(locking, sse=s3_server.encryption))
    store.put(NAME, path, locked_until=datetime.now(timezone.utc) + timedelta(days=1))
    path.write_bytes(b"one person fewer")
    with pytest.raises(LockedError, match="it stays there"):
        store.replace(NAME, path)
    assert read(store, NAME) == b"one person fewer"


def test_a_certificate_of_another_authority_and_a_server_that_is_away_get_a_sentence(
    s3_server, bucket, path, monkeypatch
):
    with pytest.raises(ArchiveError, match="CERTIFICATE_VERIFY_FAILED"):
        S3Store(bucket, endpoint=s3_server.endpoint, encryption="bucket").put(NAME, path)
    with pytest.raises(ArchiveError, match="Could not connect"):
        S3Store(bucket, endpoint="https://localhost:1", encryption="bucket").put(NAME, path)
    assert path.exists()


def test_wrong_credentials_and_a_missing_bucket_get_a_sentence(s3_server, bucket, path, monkeypatch):
    store = archive_at(s3_server.address("no-such-bucket", sse=s3_server.encryption))
    with pytest.raises(ArchiveError, match="NoSuchBucket"):
        list(store.names())
