"""The ingest under test as environment variables say it (README.md); the scenarios have fixtures of the same names."""

import os
import subprocess
import uuid
from pathlib import Path

import pytest

from tests.ingest.client import PORT, Credentials, IngestClient, Store


def required(name: str) -> str:
    """Return an environment variable.

    Raises:
        pytest.UsageError: when it is not set.
    """
    if not os.environ.get(name):
        raise pytest.UsageError(f"{name} is not set. tests/ingest/README.md says what `make test-ingest` needs.")
    return os.environ[name]


def file_of(name: str) -> Path:
    """Return the file that an environment variable names.

    Raises:
        pytest.UsageError: when it is not set or there is no such file.
    """
    path = Path(required(name)).expanduser()
    if not path.is_file():
        raise pytest.UsageError(f"{name} is {path}, and there is no such file.")
    return path


@pytest.fixture(scope="session")
def ingest() -> IngestClient:
    host = required("HOST")
    command = os.environ.get("DEAD_LETTERS", "")

    def read_dead_letters() -> str:
        # There may be no file before the first dead letter. A command that never works fails the tests that wait for one, which show what it said.
        done = subprocess.run(["/bin/sh", "-c", command], stdout=subprocess.PIPE, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    return IngestClient(
        os.environ.get("NAME") or host,
        Credentials(file_of("CA"), file_of("CERT"), file_of("KEY")),
        address=host,
        port=int(os.environ.get("PORT") or PORT),
        read_dead_letters=read_dead_letters if command else lambda: "",
    )


@pytest.fixture(scope="session")
def store(environment: str) -> Store:
    authority = file_of("ES_CA" if os.environ.get("ES_CA") else "CA")
    key = os.environ.get("ES_API_KEY")
    found = Store(
        required("ES").rstrip("/"),
        authority,
        None if key else (required("ES_USER"), required("ES_PASSWORD")),
        environment,
    )
    if key:
        found.session.headers["Authorization"] = f"ApiKey {key}"
    return found


@pytest.fixture
def run() -> str:
    """A name of its own for the events of one test."""
    return uuid.uuid4().hex


@pytest.fixture(scope="session")
def environment() -> str:
    """The `service.environment` of the events that are sent: a part of the streams' names."""
    return os.environ.get("ENVIRONMENT") or "contract"


def _missing(item: pytest.Item) -> str:
    """Return the variable without which this test cannot say anything."""
    if "store" in getattr(item, "fixturenames", ()) and not os.environ.get("ES"):
        return "ES"
    if item.get_closest_marker("dead_letters") and not os.environ.get("DEAD_LETTERS"):
        return "DEAD_LETTERS"
    return ""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what cannot be looked at from here; the summary says it."""
    ours = [item for item in items if Path(__file__).parent in item.path.parents]
    left_out = [item for item in ours if _missing(item)]
    config.stash[LEFT_OUT] = {name: sum(_missing(item) == name for item in left_out) for name in ("ES", "DEAD_LETTERS")}
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was not looked at."""
    for name, number in config.stash.get(LEFT_OUT, {}).items():
        if number:
            terminalreporter.write_line(f"{number} tests were not run, because {name} is not given.", yellow=True)


LEFT_OUT = pytest.StashKey[dict[str, int]]()
