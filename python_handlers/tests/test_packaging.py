"""The wheel and the sdist, as somebody gets them who has nothing of this repository."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import prometheus_client
import pytest

PROJECT = Path(__file__).parent.parent

pytestmark = pytest.mark.packaging


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(directory), str(PROJECT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def test_contents(distributions):
    (wheel,) = distributions.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"logbastion/__init__.py", "logbastion/py.typed", "logbastion/django/middleware.py"} <= set(names)
    assert {name.split("/")[0] for name in names} == {"logbastion", "logbastion-0.1.0.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    metadata = zipfile.ZipFile(wheel).read("logbastion-0.1.0.dist-info/METADATA").decode()
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra" not in line]
    assert required == ["Requires-Dist: prometheus-client>=0.20"]
    assert "License-Expression: Apache-2.0" in metadata
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "src/logbastion/py.typed", "tests/conftest.py"} <= packed
    assert not [name for name in packed if name.endswith((".sqlite3", ".pyc"))]


def test_a_bare_environment_installs_and_imports_it_without_django(distributions, tmp_path):
    (wheel,) = distributions.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    # The one dependency is taken from where the tests run, so that no network is needed.
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    (site / "prometheus_client").symlink_to(Path(prometheus_client.__file__).parent)
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel], check=True, timeout=120)
    program = (
        "import logging.config, logbastion, importlib.util as u; assert u.find_spec('django') is None; "
        "logging.config.dictConfig(logbastion.logging_config('staging')); "
        "logging.getLogger('business').info('it works'); print(logbastion.__file__)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", program], check=True, timeout=60, capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert str(tmp_path / "venv") in done.stdout
    assert '"message":"it works"' in done.stderr
    command = tmp_path / "venv" / "bin" / "logbastion"
    helped = subprocess.run([command, "spool", "--help"], check=True, timeout=60, capture_output=True, text=True)
    assert "drain" in helped.stdout
