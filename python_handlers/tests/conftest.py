"""What several tests need: certificates, a TLS receiver that can be killed, loggers of their own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from detection_helpers import Clock, Events, detector_with, logged
from hypothesis import HealthCheck, settings
from sink import Certificates, Sink

from logbastion.detection import SecurityEventDetector

# No test judges time: on a busy machine each of them may take long.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"), trustme.CA())


@pytest.fixture
def sink(certificates: Certificates) -> Iterator[Sink]:
    made = Sink(certificates)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def logger(request: pytest.FixtureRequest) -> Iterator[logging.Logger]:
    """A logger that nobody else has, without propagation."""
    made = logging.getLogger(f"test.{request.node.name}")
    made.setLevel(logging.DEBUG)
    made.propagate = False
    yield made
    for handler in list(made.handlers):
        made.removeHandler(handler)
        handler.close()


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("LOGBASTION_", "PROMETHEUS_")):
            monkeypatch.delenv(name)


@pytest.fixture
def root_logging() -> Iterator[None]:
    """Gives the root logger back as it was, and closes what a test has put there."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    for handler in list(root.handlers):
        if handler not in handlers:
            root.removeHandler(handler)
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def auth_site(clean_environment: None, root_logging: None) -> Iterator[Any]:
    """A Django site with log-ins; the fixture is what it logs."""
    import django_auth_site

    with django_auth_site.running() as memory:
        yield memory


@pytest.fixture
def maria(auth_site: Any) -> Any:
    """Somebody with an account there."""
    import django_auth_site

    user = django_auth_site.User.objects.create_user(
        django_auth_site.MARIA, django_auth_site.MARIA, django_auth_site.PASSWORD
    )
    assert auth_site.auth() == []  # an account that is created is no changed password
    return user


def eventually(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Poll until the condition holds; fail when it never does."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError("the condition did not come true in time")
        time.sleep(0.01)


def read_lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def alone(root_logging: None) -> Iterator[logging.Logger]:
    """The tree without pytest's own handlers on the root."""
    root = logging.getLogger()
    before = list(root.handlers)
    root.handlers[:] = []
    yield root
    root.handlers[:] = before


@pytest.fixture
def clock() -> Clock:
    """Of a detector."""
    return Clock()


@pytest.fixture
def attack_events() -> Iterator[Events]:
    """What a detector says."""
    with logged() as found:
        yield found


@pytest.fixture
def detector(clock: Clock, attack_events: Events) -> SecurityEventDetector:
    """One that blocks and counts in memory."""
    return detector_with(clock=clock)


@pytest.fixture
def logs(auth_site: Any, tmp_path: Path) -> Iterator[Path]:
    """The directory of the logs that the security log page shows, with two events; the page is there meanwhile."""
    import django_security_site as site

    directory = tmp_path / "logs"
    directory.mkdir()
    site.write(directory / "security.log", [site.event(1), site.event(2, event_type="ip_blocked", level="WARNING")])
    with site.running(directory, SUPERUSER_ONLY=False):
        yield directory


@pytest.fixture
def officer(logs: Path) -> Any:
    """Somebody who may see that page."""
    import django_security_site

    return django_security_site.client_of("officer", may=True)


@pytest.fixture(scope="module")
def s3_server(certificates: Any, tmp_path_factory: Any) -> Iterator[Any]:
    """Return a server that speaks S3 and runs; see `s3_servers`."""
    import s3_servers  # boto3 takes a while, and few tests need it

    found = s3_servers.made(certificates, tmp_path_factory.mktemp("s3"))
    found.start()
    yield found
    found.kill()


@pytest.fixture
def s3_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto find the server's credentials."""
    import s3_servers

    for name, value in s3_servers.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
