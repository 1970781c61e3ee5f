"""A real Prometheus with known samples, one without any, and Chromium to look at their pages."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from tests.pages import samples

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build/promtool/usr/bin"
PATIENCE = 60


@dataclass(frozen=True)
class Server:
    """A Prometheus; `address` ends with a slash."""

    address: str

    def page(self, name: str) -> requests.Response:
        """Ask for a page as it comes from Prometheus, before any script."""
        return requests.get(f"{self.address}consoles/{name}", timeout=30)


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {PATIENCE} s"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def lay_out(place: Path) -> None:
    """Put the pages where the role puts them."""
    (place / "consoles").mkdir()
    (place / "console_libraries").mkdir()
    for path in (ROOT / "alertmanager/consoles").iterdir():
        (place / ("console_libraries" if path.suffix == ".lib" else "consoles") / path.name).symlink_to(path)
    (place / "consoles/runbooks").symlink_to(ROOT / "alertmanager/runbooks")


@contextmanager
def running(place: Path, prefix: str = "") -> Iterator[str]:
    lay_out(place)
    (place / "prometheus.yml").write_text("")
    address = f"127.0.0.1:{free_port()}"
    with (place / "log").open("w") as log:
        process = subprocess.Popen(
            [
                PROGRAMS / "prometheus",
                f"--config.file={place / 'prometheus.yml'}",
                f"--storage.tsdb.path={place / 'data'}",
                f"--web.listen-address={address}",
                f"--web.external-url=http://{address}/{prefix}",
                f"--web.console.templates={place / 'consoles'}",
                f"--web.console.libraries={place / 'console_libraries'}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:

        def ready() -> bool:
            assert process.poll() is None, (place / "log").read_text()
            try:
                return requests.get(f"http://{address}/{prefix}-/ready", timeout=5).ok
            except requests.ConnectionError:
                return False

        wait_for(ready, "Prometheus")
        yield f"http://{address}/{prefix}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture(scope="session")
def promtool() -> Path:
    return PROGRAMS / "promtool"


@pytest.fixture(scope="session")
def server(tmp_path_factory, promtool) -> Iterator[Server]:
    """Return a Prometheus with the samples, below a path of its own as behind a proxy."""
    place = tmp_path_factory.mktemp("prometheus")
    now = int(time.time()) // samples.STEP * samples.STEP
    (place / "samples").write_text("\n".join(samples.openmetrics(now)) + "\n")
    made = subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", place / "samples", place / "data"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    with running(place, "monitoring/") as address:
        yield Server(address)


@pytest.fixture(scope="session")
def empty_server(tmp_path_factory) -> Iterator[Server]:
    """Return a Prometheus that scrapes nothing and has no rules."""
    with running(tmp_path_factory.mktemp("empty")) as address:
        yield Server(address)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory) -> Iterator[webdriver.Chrome]:
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.add_argument("--headless=new")
    options.add_argument("--window-size=1200,900")
    options.add_argument("--disable-dev-shm-usage")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    if os.geteuid() == 0:  # Chromium's sandbox wants another user
        options.add_argument("--no-sandbox")
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


@pytest.fixture
def opened(chromium) -> Callable[[Server, str], webdriver.Chrome]:
    """Open a page and wait until its script has come to each panel; what Chromium complains about fails the test."""

    def open_page(server: Server, name: str) -> webdriver.Chrome:
        chromium.get_log("browser")
        chromium.get(f"{server.address}consoles/{name}")
        WebDriverWait(chromium, PATIENCE).until(
            lambda driver: not driver.find_elements("css selector", "section[data-query]:not([data-shown])")
        )
        assert chromium.get_log("browser") == []
        return chromium

    return open_page
