"""The archive in a directory, the addresses of archives, and what every archive promises about copies."""

import contextlib
import hashlib
import stat
import subprocess

import pytest

from logbastion.archives import (
    ArchiveError,
    ArchiveExistsError,
    ChecksumError,
    DirectoryStore,
    NotArchivedError,
    archive_at,
    archive_from_environment,
    host_in_archive,
)


@pytest.fixture
def store(tmp_path):
    (tmp_path / "archive").mkdir()
    return DirectoryStore(tmp_path / "archive")


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "security.log-20260101.gz"
    file.write_bytes(bytes(range(256)) * 4000)
    return file


NAME = "archive/host-1/security/security.log-20260101.gz"


def read(store, name):
    with store.open(name) as stream:
        return stream.read()


def test_what_is_put_comes_back_with_its_checksum(store, path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    moved = []
    assert store.put(NAME, path, progress=moved.append).sha256 == digest
    assert sum(moved) == 2 * path.stat().st_size
    assert (store.information(NAME).size, store.information(NAME).sha256) == (path.stat().st_size, digest)
    assert read(store, NAME) == path.read_bytes()
    assert list(store.names()) == list(store.names("archive/host-1/")) == [NAME]
    assert list(store.names("backups/")) == []
    assert path.exists()
    store.delete(NAME)
    store.delete(NAME)
    assert list(store.names()) == []
    with pytest.raises(NotArchivedError, match="is not in the archive"):
        store.information(NAME)


def test_the_checksum_is_one_that_sha256sum_reads_and_the_files_are_private(store, path):
    store.put(NAME, path)
    found = store.root / NAME
    subprocess.run(["sha256sum", "--check", "--strict", f"{found.name}.sha256"], cwd=found.parent, check=True)
    assert {stat.S_IMODE(one.stat().st_mode) for one in found.parent.iterdir()} == {0o640}
    assert {stat.S_IMODE(one.stat().st_mode) for one in (found.parent, found.parent.parent)} == {0o750}


def test_putting_again_completes_and_other_content_is_not_overwritten(store, path):
    store.put(NAME, path)
    before = (store.root / NAME).stat()
    store.put(NAME, path)
    assert (store.root / NAME).stat().st_mtime_ns == before.st_mtime_ns
    content = path.read_bytes()
    path.write_bytes(b"something else")
    with pytest.raises(ArchiveExistsError, match="holds something else"):
        store.put(NAME, path)
    assert read(store, NAME) == content
    store.replace(NAME, path)
    assert read(store, NAME) == b"something else"
    store.verify(NAME)
    with pytest.raises(NotArchivedError):
        store.replace("archive/never-put", path)


def test_a_copy_that_was_damaged_is_found_out_and_written_again(store, path):
    store.put(NAME, path)
    found = store.root / NAME
    found.write_bytes(found.read_bytes()[:-1] + b"!")
    with pytest.raises(ChecksumError, match="gives back"):
        store.verify(NAME)
    store.put(NAME, path)
    store.verify(NAME)
    (store.root / f"{NAME}.sha256").write_text("no checksum\n")
    with pytest.raises(ChecksumError, match="cannot be understood"):
        store.verify(NAME)
    (store.root / f"{NAME}.sha256").unlink()
    with pytest.raises(ChecksumError, match="has no checksum"):
        store.verify(NAME)


def test_what_a_broken_call_has_left_is_cleared(store, path):
    store.put(NAME, path)
    (store.root / f"{NAME}.partial").write_bytes(b"half")
    other = store.root / "archive/host-2"
    other.mkdir()
    (other / "being-written.partial").write_bytes(b"half")
    assert list(store.names()) == [NAME]
    store.clear_begun("archive/host-1/")
    left = sorted(found.name for found in store.root.rglob("*") if found.is_file())
    assert left == ["being-written.partial", path.name, f"{path.name}.sha256"]


class LyingStore(DirectoryStore):
    """Stands in for a disk that says it has written everything and gives something else back."""

    @contextlib.contextmanager
    def open(self, name):
        (self.root / name).write_bytes(b"not what was written")
        with super().open(name) as stream:
            yield stream


def test_a_store_that_lies_is_found_out_and_its_copy_removed(store, path):
    lying = LyingStore(store.root)
    with pytest.raises(ChecksumError, match="gives back 20 bytes"):
        lying.put(NAME, path)
    assert list(store.names()) == []
    assert path.exists()


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../secret", "archive/../../x", "a//b", "a/.hidden", "a b", "é"])
def test_a_name_that_leads_elsewhere_is_refused(store, path, name):
    with pytest.raises(ArchiveError, match="is no name in an archive"):
        store.put(name, path)


def test_a_link_that_leads_out_of_the_archive_is_refused(store, path, tmp_path):
    (tmp_path / "public").mkdir()
    (store.root / "archive").symlink_to(tmp_path / "public")
    with pytest.raises(ArchiveError, match="leads out of the archive"):
        store.put(NAME, path)
    assert list((tmp_path / "public").iterdir()) == []


def test_an_archive_that_is_away_gets_a_sentence_and_takes_nothing(store, path):
    store.root.rename(store.root.with_name("unmounted"))
    for call in (lambda: store.put(NAME, path), lambda: list(store.names()), lambda: store.delete(NAME)):
        with pytest.raises(ArchiveError, match="mount the file system"):
            call()
    assert not store.root.exists()


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("archive", "must be an absolute path, or s3://BUCKET/PREFIX"),
        ("https://bucket", "must be an absolute path"),
        ("s3://", "must be an absolute path"),
        ("s3://key:secret@bucket", "holds credentials"),
        ("s3://bucket?endpont=https://a", "an argument 'endpont' that nobody knows"),
        ("s3://bucket?endpoint=http://localhost:1", "is not encrypted; logs go by https:// only"),
        ("s3://bucket?sse=none", "encryption is 'none'"),
        ("s3://bucket?kms_key=a", "the encryption asked for is not aws:kms"),
    ],
)
def test_an_address_that_cannot_work_gets_a_sentence(address, sentence, monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with pytest.raises(ArchiveError, match=sentence.replace("?", r"\?")):
        archive_at(address)


def test_the_environment_names_the_archive_and_the_host(monkeypatch, tmp_path):
    monkeypatch.delenv("LOGBASTION_ARCHIVE", raising=False)
    assert archive_from_environment() is None
    monkeypatch.setenv("LOGBASTION_ARCHIVE", str(tmp_path))
    assert str(archive_from_environment()) == str(tmp_path)
    monkeypatch.setenv("LOGBASTION_ARCHIVE_HOST", "app-1")
    assert host_in_archive() == "app-1"
    monkeypatch.setenv("LOGBASTION_ARCHIVE_HOST", "a/b")
    with pytest.raises(ArchiveError, match="one word"):
        host_in_archive()
