"""The local package repository: a signed apt repository in a directory that every host mounts read-only."""

import os
import shutil
import tempfile
from pathlib import Path

from lab import elasticsearch_package, settings
from lab.progress import step
from lab.shell import run

SUITE = "stable"
COMPONENT = "main"
KEY_OWNER = "Logbastion lab repository <lab@logbastion.invalid>"


def repository_directory() -> Path:
    """Return the directory that is mounted into the hosts."""
    return settings.cache_directory() / "repository"


def signing_key() -> Path:
    """Return the public key of the repository (ASCII armoured), on the control node."""
    return settings.cache_directory() / "repository-key.asc"


def ensure_repository() -> Path:
    """Build what is missing and publish it; return the directory.

    Raises:
        LabError: when a tool fails.
    """
    packages = [elasticsearch_package.ensure_package()]
    pool = repository_directory() / "pool"
    wanted = {package.name for package in packages}
    published = {package.name for package in pool.glob("*.deb")} if pool.exists() else set()
    release = repository_directory() / "dists" / SUITE / "InRelease"
    if wanted == published and release.exists() and signing_key().exists():
        return repository_directory()
    with step("Publishing the local package repository"):
        _publish(packages)
    return repository_directory()


def _publish(packages: list[Path]) -> None:
    root = repository_directory()
    pool = root / "pool"
    index = root / "dists" / SUITE / COMPONENT / "binary-amd64"
    pool.mkdir(parents=True, exist_ok=True)
    index.mkdir(parents=True, exist_ok=True)
    for old in pool.glob("*.deb"):
        if old.name not in {package.name for package in packages}:
            old.unlink()
    for package in packages:
        if not (pool / package.name).exists():
            shutil.copy(package, pool / f".{package.name}.unfinished")
            (pool / f".{package.name}.unfinished").rename(pool / package.name)
    (index / "Packages").write_text(run(["apt-ftparchive", "packages", "pool"], cwd=root), encoding="utf-8")
    suite = root / "dists" / SUITE
    (suite / "InRelease").unlink(missing_ok=True)
    (suite / "Release").unlink(missing_ok=True)
    options = {
        "Origin": "Logbastion lab",
        "Suite": SUITE,
        "Codename": SUITE,
        "Components": COMPONENT,
        "Architectures": "amd64",
    }
    arguments = [
        argument for key, value in options.items() for argument in ("-o", f"APT::FTPArchive::Release::{key}={value}")
    ]
    release = run(["apt-ftparchive", *arguments, "release", suite], cwd=root)
    (suite / "Release").write_text(release, encoding="utf-8")
    environment = {**os.environ, "GNUPGHOME": str(_keyring())}
    run(
        ["gpg", "--batch", "--yes", "--armor", "--clear-sign", "--output", suite / "InRelease", suite / "Release"],
        env=environment,
        what="Signing the local package repository",
    )
    # The agent that gpg started would outlive the lab.
    run(["gpgconf", "--kill", "gpg-agent"], env=environment)


def _keyring() -> Path:
    """Make the lab's own signing key, once; it stays in the cache and signs nothing else."""
    keyring = settings.cache_directory() / "gnupg"
    environment = {**os.environ, "GNUPGHOME": str(keyring)}
    if not (keyring / "pubring.kbx").exists() or not signing_key().exists():
        shutil.rmtree(keyring, ignore_errors=True)
        keyring.mkdir(parents=True, mode=0o700)
        run(
            ["gpg", "--batch", "--passphrase", "", "--quick-generate-key", KEY_OWNER, "ed25519", "sign", "never"],
            env=environment,
            what="Making the signing key of the local package repository",
        )
        with tempfile.NamedTemporaryFile("w", dir=signing_key().parent, delete=False, encoding="ascii") as unfinished:
            unfinished.write(run(["gpg", "--batch", "--armor", "--export"], env=environment))
        Path(unfinished.name).chmod(0o644)
        Path(unfinished.name).rename(signing_key())
    return keyring
