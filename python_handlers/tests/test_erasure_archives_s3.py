"""A person goes from an archive in S3, older versions too: versitygw in `make test-long`, else moto, a stand-in."""

import gzip
import io

import pytest
from erasure_helpers import MARIA, START, erase, hits, lines, manager, matcher, others
from retention_helpers import DAY, HOST, Time
from retention_helpers import manager as retention

from logbastion.archives import archive_at
from logbastion.erasure.archives import Archives
from logbastion.erasure.files import LogFiles
from logbastion.erasure.manager import ErasureError
from logbastion.retention.verification import verify

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("s3_credentials")]


def archived(directory, store, nights=(0, 1, 398)):
    """Three files of each stream: the old ones in the archive, the last among the backups."""
    clock = Time(START)
    for night in nights:
        clock.now = START + night * DAY
        for stream in ("application", "security"):
            with (directory / f"{stream}.log").open("ab") as file:
                file.writelines(lines(range(100 * night, 100 * night + 40), stream, clock.now))
        clock.now += DAY
        assert retention(directory, clock, store).enforce_retention_policies().failures == 0
    return clock


def versions(s3_server, bucket):
    """Return the content of every version of every object."""
    client = s3_server.client()
    found = client.list_object_versions(Bucket=bucket).get("Versions", [])
    return [
        client.get_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
        for one in found
        if ".log" in one["Key"]
    ]


def content_of(stored):
    return gzip.decompress(stored) if stored[:2] == b"\x1f\x8b" else stored


def test_no_version_of_any_copy_has_the_person_and_the_others_are_all_there(s3_server, tmp_path):
    client = s3_server.client()
    client.create_bucket(Bucket="erasing")
    client.put_bucket_versioning(Bucket="erasing", VersioningConfiguration={"Status": "Enabled"})
    store = archive_at(s3_server.address("erasing", sse=s3_server.encryption))
    clock = archived(tmp_path, store)
    before = [line for one in versions(s3_server, "erasing") for line in others(io.BytesIO(content_of(one)))]
    assert before
    report = manager(LogFiles(tmp_path), Archives(store, HOST, tmp_path)).anonymize_user_logs(12, emails=[MARIA])
    assert report.outcome == "complete"
    assert report.counts()["archive"]["found"] > 0
    after = [line for one in versions(s3_server, "erasing") for line in io.BytesIO(content_of(one))]
    assert not [line for line in after if matcher().in_bytes(line)]
    assert set(before) <= set(after)
    assert verify(tmp_path, archive=store, host=HOST).problems == []
    clock.now += DAY
    assert retention(tmp_path, clock, store).enforce_retention_policies().failures == 0
    assert verify(tmp_path, archive=store, host=HOST).problems == []


def test_what_an_object_lock_keeps_is_not_said_to_be_gone(s3_server, tmp_path):
    s3_server.client().create_bucket(Bucket="erasing-locked", ObjectLockEnabledForBucket=True)
    store = archive_at(s3_server.address("erasing-locked", sse=s3_server.encryption))
    archived(tmp_path, store)
    place = Archives(store, HOST, tmp_path)
    with pytest.raises(ErasureError, match="Run the same again"):
        manager(place).anonymize_user_logs(12, emails=[MARIA])
    with pytest.raises(ErasureError):
        manager(place).anonymize_user_logs(12, emails=[MARIA])
    assert hits(place) > 0
    # What is read from the archive from now on is without the person, all the same.
    for name in store.names("archive/"):
        with store.open(name) as stream:
            assert not any(matcher().in_bytes(line) for line in io.BytesIO(content_of(stream.read())))


def test_older_versions_go_where_a_replacement_broke_off_or_somebody_has_overwritten_or_deleted(s3_server, tmp_path):
    client, bucket = s3_server.client(), "erasing-older"
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    store = archive_at(s3_server.address(bucket, sse=s3_server.encryption))
    archived(tmp_path, store)
    key = "logs/archive/" + HOST
    objects = [one["Key"] for one in client.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]]
    deleted, broken_off = objects[:2]
    client.delete_object(Bucket=bucket, Key=deleted)
    metadata = client.head_object(Bucket=bucket, Key=broken_off)["Metadata"]
    without = b"".join(others(lines(range(8), "security")))
    client.put_object(Bucket=bucket, Key=broken_off, Body=gzip.compress(without), Metadata=metadata)
    overwritten = f"{key}/security/security.log.20250101T020000Z.gz"
    for content in (without, b"", b"later"):
        client.put_object(Bucket=bucket, Key=overwritten, Body=gzip.compress(content), Metadata={"sha256": "0" * 64})
    begun = client.create_multipart_upload(Bucket=bucket, Key=broken_off)["UploadId"]
    client.upload_part(Bucket=bucket, Key=broken_off, UploadId=begun, PartNumber=1, Body=lines(range(1))[0])
    place = Archives(store, HOST, tmp_path)
    older = [one for one in client.list_object_versions(Bucket=bucket)["Versions"] if not one["IsLatest"]]
    assert sorted({one["Key"] for one in older}) == sorted({deleted, broken_off, overwritten})
    assert hits(place) == len(list(manager(place).export(12, emails=[MARIA]))) == 20
    assert erase(place).deleted == 20
    assert hits(place) == 0
    after = versions(s3_server, bucket)
    assert not [line for one in after for line in content_of(one).splitlines() if matcher().in_bytes(line)]
    # What has nobody in it stays: it may be what somebody has overwritten by mistake.
    assert [content_of(one) for one in after].count(without) == 2
    assert {b"", b"later"} <= {content_of(one) for one in after}
    assert not client.list_multipart_uploads(Bucket=bucket).get("Uploads")


def test_an_archive_that_is_away_fails_the_run(s3_server, tmp_path):
    s3_server.client().create_bucket(Bucket="erasing-away")
    store = archive_at(s3_server.address("erasing-away", sse=s3_server.encryption))
    archived(tmp_path, store)
    s3_server.client().delete_objects(
        Bucket="erasing-away",
        Delete={
            "Objects": [
                {"Key": one["Key"]} for one in s3_server.client().list_objects_v2(Bucket="erasing-away")["Contents"]
            ]
        },
    )
    s3_server.client().delete_bucket(Bucket="erasing-away")
    result = erase(Archives(store, HOST, tmp_path))
    assert result.errors
    with pytest.raises(Exception, match="erasing-away"):
        hits(Archives(store, HOST, tmp_path))
