"""The example application under gunicorn on this machine, which sends its events to a node and shows them on its security page."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from logbastion.pseudonym_keys import add_key

from lab.elasticsearch_process import Node

EXAMPLE = Path(__file__).resolve().parents[2] / "python_handlers/example"
PAGE = "/admin/logbastion_security/securitylog/"
PATIENCE = 90


@dataclass(frozen=True)
class School:
    """The running example."""

    url: str
    environment: str
    directory: Path
    variables: dict[str, str]
    attack: dict[str, Any] = field(default_factory=dict)
    """What the traffic says about its attack, once there was one."""

    @property
    def stream(self) -> str:
        return f"logs-django.security-{self.environment}"

    @property
    def keys(self) -> Path:
        return self.directory / "keys"

    def credentials(self, name: str) -> tuple[str, str]:
        content = json.loads((self.directory / "credentials.json").read_text())
        for user in [*content["users"], content["officer"]]:
            if user["username"] == name:
                return name, user["password"]
        raise KeyError(name)

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(
            command, cwd=EXAMPLE, env=self.variables, capture_output=True, text=True, timeout=300, check=True
        )


@contextmanager
def running(directory: Path, node: Node, environment: str) -> Iterator[School]:
    """Start the example; it is gone after the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    secret_files = {
        "secret": secrets.token_hex(32),
        **{f"{user}.password": node.passwords[user] for user in ("log_writer", "security_page_reader")},
    }
    for name, content in secret_files.items():
        (directory / name).touch(mode=0o600)
        (directory / name).write_text(content)
    add_key(directory / "keys", "first")
    for name in ("logs", "spool", "metrics"):
        (directory / name).mkdir(mode=0o750)
    place = node.url.removeprefix("https://")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "LOGBASTION_"))}
    variables = {
        **kept,
        "PYTHONPATH": str(EXAMPLE.parent / "src"),
        "BIND": f"127.0.0.1:{port}",
        "WEB_CONCURRENCY": "2",
        "DATABASE_PATH": str(directory / "school.sqlite3"),
        "DJANGO_SECRET_KEY_FILE": str(directory / "secret"),
        "DJANGO_ALLOWED_HOSTS": "localhost",
        "DETECTION_BLOCKING": "enforce",
        "PROMETHEUS_MULTIPROC_DIR": str(directory / "metrics"),
        "LOGBASTION_TRUSTED_PROXIES": "127.0.0.1",
        "LOGBASTION_ENVIRONMENT": environment,
        "LOGBASTION_LOG_DIRECTORY": str(directory / "logs"),
        "LOGBASTION_SPOOL_DIRECTORY": str(directory / "spool"),
        "LOGBASTION_PSEUDONYM_KEYS_FILE": str(directory / "keys"),
        "LOGBASTION_TRANSPORT": "elasticsearch",
        "LOGBASTION_INGEST": place,
        "LOGBASTION_CA_FILE": str(node.ca_file),
        "LOGBASTION_USERNAME": "log_writer",
        "LOGBASTION_PASSWORD_FILE": str(directory / "log_writer.password"),
        "LOGBASTION_SECURITY_PAGE_ELASTICSEARCH": place,
        "LOGBASTION_SECURITY_PAGE_USERNAME": "security_page_reader",
        "LOGBASTION_SECURITY_PAGE_PASSWORD_FILE": str(directory / "security_page_reader.password"),
    }
    school = School(f"http://localhost:{port}", environment, directory, variables)
    school.run("manage.py", "migrate", "-v0")
    school.run("manage.py", "load_example_data", "--credentials", directory / "credentials.json")
    with (directory / "gunicorn.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "aprende_school.wsgi"],
            cwd=EXAMPLE, env=variables, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _wait(school, server)
        yield school
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _wait(school: School, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        assert server.poll() is None, (school.directory / "gunicorn.log").read_text()
        try:
            if requests.get(f"{school.url}/healthz", timeout=5).ok:
                return
        except requests.ConnectionError:
            pass
        assert time.monotonic() < deadline, (school.directory / "gunicorn.log").read_text()
        time.sleep(0.1)
