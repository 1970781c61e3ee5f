"""Elasticsearch as a Debian package in Elastic's layout, from the distribution that Maven Central has.

Elastic's own repository is the place to get it in production; the lab builds its own so that it needs nothing but the language registries.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path

from lab import settings
from lab.errors import LabError
from lab.progress import step
from lab.shell import run

SOURCES = settings.LAB_DIRECTORY / "elasticsearch"
KEEP_PLATFORM = "linux-x64"


def package_path() -> Path:
    """Return where the package of the current sources is, built or not."""
    digest = hashlib.sha256(settings.ELASTICSEARCH_SHA256.encode())
    for source in [Path(__file__), *sorted(SOURCES.rglob("*"))]:
        if source.is_file():
            digest.update(source.name.encode() + source.read_bytes())
    name = f"elasticsearch_{package_version(digest.hexdigest()[:8])}_all.deb"
    return settings.cache_directory() / "packages" / name


def package_version(revision: str) -> str:
    """Return the Debian version: Elasticsearch's, with the lab's revision behind it."""
    return f"{settings.ELASTICSEARCH_VERSION}+lab.{revision}"


def ensure_package() -> Path:
    """Build the package if it is not there yet and return its path.

    Raises:
        LabError: when the download is not what it should be, or a tool fails.
    """
    package = package_path()
    if package.exists():
        return package
    distribution = ensure_distribution()
    package.parent.mkdir(parents=True, exist_ok=True)
    with (
        step(f"Building the Debian package {package.name}"),
        tempfile.TemporaryDirectory(dir=package.parent) as scratch,
    ):
        unfinished = Path(scratch) / package.name
        _build(distribution, Path(scratch), unfinished, version=package.name.split("_")[1])
        unfinished.rename(package)
    return package


def ensure_distribution() -> Path:
    """Download Elasticsearch from Maven Central if it is not there yet, and return the archive's path.

    Raises:
        LabError: when the download fails or is not what it should be.
    """
    archive = settings.cache_directory() / "downloads" / f"elasticsearch-{settings.ELASTICSEARCH_VERSION}.zip"
    if archive.exists() and _sha256(archive) == settings.ELASTICSEARCH_SHA256:
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    with step(f"Downloading Elasticsearch {settings.ELASTICSEARCH_VERSION} from Maven Central (107 MB)"):
        archive.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
            run(
                [
                    "mvn", "--batch-mode", "--quiet", "dependency:copy",
                    f"-Dartifact={settings.ELASTICSEARCH_ARTIFACT}", f"-DoutputDirectory={scratch}",
                ],
                what="Downloading Elasticsearch with Maven",
            )  # fmt: skip
            (downloaded,) = Path(scratch).glob("*.zip")
            found = _sha256(downloaded)
            if found != settings.ELASTICSEARCH_SHA256:
                raise LabError(
                    f"The download of Elasticsearch {settings.ELASTICSEARCH_VERSION} has the SHA-256 {found}, expected "
                    f"{settings.ELASTICSEARCH_SHA256}. Remove it from the local Maven repository and try again; if it stays, do not use it."
                )
            downloaded.rename(archive)
    return archive


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build(distribution: Path, scratch: Path, target: Path, *, version: str) -> None:
    unpacked = _unpack(distribution, scratch)
    root = scratch / "root"
    home = root / "usr/share/elasticsearch"
    home.mkdir(parents=True)
    for name in ("bin", "lib", "modules"):
        shutil.move(unpacked / name, home / name)
    for license_file in unpacked.glob("*.txt"):
        shutil.move(license_file, home / license_file.name)
    (home / "jdk").symlink_to("/usr/lib/jvm/default-java")
    _use_etc_default(home / "bin/elasticsearch-env")
    _build_plugin(home, scratch)
    configuration = root / "etc/elasticsearch"
    shutil.copytree(unpacked / "config", configuration)
    (configuration / "elasticsearch-plugins.example.yml").unlink(missing_ok=True)
    (configuration / "jvm.options.d").mkdir(exist_ok=True)
    _use_var(configuration)
    for directory in ("var/lib/elasticsearch", "var/log/elasticsearch", "usr/share/elasticsearch/plugins"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    _place(SOURCES / "elasticsearch.service", root / "usr/lib/systemd/system/elasticsearch.service")
    _place(SOURCES / "elasticsearch.default", root / "etc/default/elasticsearch")
    _place(SOURCES / "elasticsearch.tmpfiles", root / "usr/lib/tmpfiles.d/elasticsearch.conf")
    control = root / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(
        (SOURCES / "debian/control.in").read_text(encoding="utf-8").replace("@VERSION@", version), encoding="utf-8"
    )
    shutil.copy(SOURCES / "debian/conffiles", control / "conffiles")
    for script in ("postinst", "prerm"):
        shutil.copy(SOURCES / "debian" / script, control / script)
        (control / script).chmod(0o755)
    # The jars are compressed already.
    run(
        ["dpkg-deb", "--build", "--root-owner-group", "-Znone", root, target], what="Building the Elasticsearch package"
    )


def unpack_home(home: Path) -> None:
    """Put Elasticsearch with the lab's plugin into the directory `home`, which must not exist: programs, libraries and `config`.

    Raises:
        LabError: when the download is not what it should be, or a tool fails.
    """
    distribution = ensure_distribution()
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        unpacked = _unpack(distribution, Path(scratch))
        _build_plugin(unpacked, Path(scratch))
        unpacked.rename(home)


def _unpack(distribution: Path, scratch: Path) -> Path:
    run(["unzip", "-q", distribution, "-d", scratch], what="Unpacking Elasticsearch")
    unpacked = scratch / f"elasticsearch-{settings.ELASTICSEARCH_VERSION}"
    _drop_other_platforms(unpacked)
    return unpacked


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)
    target.chmod(0o644)


def _drop_other_platforms(home: Path) -> None:
    for native in (home / "lib/platform").iterdir():
        if native.name != KEEP_PLATFORM:
            shutil.rmtree(native)
    for pattern in ("*.bat", "*.exe"):
        for program in (home / "bin").glob(pattern):
            program.unlink()


def _use_etc_default(script: Path) -> None:
    """Let the command line tools find /etc/elasticsearch, as they do in Elastic's package."""
    text = script.read_text(encoding="utf-8")
    zip_default = 'if [ -z "$ES_PATH_CONF" ]; then ES_PATH_CONF="$ES_HOME"/config; fi'
    if zip_default not in text or "ES_DISTRIBUTION_TYPE=zip" not in text:
        raise LabError(
            "bin/elasticsearch-env of this Elasticsearch is not the one that the lab knows: look at lab/elasticsearch_package.py."
        )
    text = text.replace(zip_default, "source /etc/default/elasticsearch").replace(
        "ES_DISTRIBUTION_TYPE=zip", "ES_DISTRIBUTION_TYPE=deb"
    )
    script.write_text(text, encoding="utf-8")


def _use_var(configuration: Path) -> None:
    """Put data and logs below /var, as the configuration files of Elastic's package say."""
    with (configuration / "elasticsearch.yml").open("a", encoding="utf-8") as file:
        file.write("\npath.data: /var/lib/elasticsearch\npath.logs: /var/log/elasticsearch\n")
    options = configuration / "jvm.options"
    text = options.read_text(encoding="utf-8")
    for relative in ("file=gc.log", "ErrorFile=hs_err"):
        if relative not in text:
            raise LabError(
                "jvm.options of this Elasticsearch is not the one that the lab knows: look at lab/elasticsearch_package.py."
            )
        option, _, name = relative.partition("=")
        text = text.replace(relative, f"{option}=/var/log/elasticsearch/{name}")
    options.write_text(text, encoding="utf-8")


def _build_plugin(home: Path, scratch: Path) -> None:
    classes = scratch / "classes"
    plugin = home / "plugins/logbastion-lab"
    plugin.mkdir(parents=True)
    sources = sorted((SOURCES / "plugin/src").rglob("*.java"))
    run(
        ["javac", "--release", "17", "-cp", f"{home}/lib/*", "-d", classes, *sources],
        what="Compiling the lab's Elasticsearch plugin",
    )
    run(
        ["jar", "--create", "--file", plugin / "logbastion-lab.jar", "-C", classes, "."],
        what="Packing the lab's Elasticsearch plugin",
    )
    descriptor = (SOURCES / "plugin/plugin-descriptor.properties.in").read_text(encoding="utf-8")
    (plugin / "plugin-descriptor.properties").write_text(
        descriptor.replace("@VERSION@", settings.ELASTICSEARCH_VERSION), encoding="utf-8"
    )
