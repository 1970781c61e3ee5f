"""A real Elasticsearch as a process of this machine: one node over TLS with passwords, loaded as the role `log_store` loads it, gone afterwards.

For tests that need the store but no host. What a host adds (the package, the unit, the role) is looked at by the scenarios.
"""

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import trustme

from lab import elasticsearch_package, settings
from lab.errors import LabError
from lab.locking import cache_lock

TEMPLATES = settings.PROJECT_ROOT / "elk_templates"
KINDS = {
    "component_templates": "/_component_template/",
    "index_templates": "/_index_template/",
    "security_roles": "/_security/role/",
}
"""What is loaded and where to, in an order in which nothing is named before it is there. This distribution has no ILM and no SLM."""
USER = 65534
"""`nobody`: Elasticsearch refuses to run as root."""
PATIENCE_SECONDS = 180
MEMORY = ("-Xms512m", "-Xmx512m", "-XX:TieredStopAtLevel=1")


@dataclass(frozen=True)
class Node:
    """A running node. `elastic` may everything; each role of `elk_templates/security_roles` has a user of the same name."""

    url: str
    ca_file: Path
    passwords: dict[str, str]
    directory: Path

    def call(
        self, method: str, path: str, body: Any = None, *, user: str = "elastic", password: str | None = None
    ) -> requests.Response:
        """Send JSON, or NDJSON when the body is a list; nothing is raised for a status."""
        lines = body if isinstance(body, list) else [body] if body is not None else []
        return requests.request(
            method,
            f"{self.url}{path}",
            data="".join(f"{json.dumps(line)}\n" for line in lines) or None,
            headers={"Content-Type": "application/x-ndjson" if isinstance(body, list) else "application/json"},
            auth=(user, password or self.passwords[user]),
            verify=str(self.ca_file),
            timeout=60,
        )

    def asked(self, method: str, path: str, body: Any = None, *, user: str = "elastic") -> Any:
        """Send as `call` does, and return what was answered.

        Raises:
            LabError: when the status is not one of success, with the answer.
        """
        answer = self.call(method, path, body, user=user)
        if not answer.ok:
            raise LabError(f"Elasticsearch answered {answer.status_code} to {method} {path}: {answer.text[:2000]}")
        return answer.json()


@contextmanager
def running() -> Iterator[Node]:
    """Start a node, load our templates, roles and a user for each role, and stop it after the block; its data go with it.

    Raises:
        LabError: when it does not start, with the end of its log, or refuses what is loaded.
    """
    with tempfile.TemporaryDirectory(prefix="logbastion-elasticsearch-") as scratch:
        directory = Path(scratch)
        # Others than root have to get to what is theirs; what is secret in it is closed by its own mode.
        directory.chmod(0o755)
        port = _free_port()
        password = secrets.token_urlsafe(24)
        _lay_out(directory, port, password)
        process = _start(directory)
        node = Node(f"https://127.0.0.1:{port}", directory / "ca.crt", {"elastic": password}, directory)
        try:
            _wait(node, process)
            _load(node)
            yield node
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _lay_out(directory: Path, port: int, password: str) -> None:
    with cache_lock():
        elasticsearch_package.unpack_home(directory / "home")
    configuration = directory / "home/config"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(directory / "ca.crt")
    shutil.copy(directory / "ca.crt", configuration / "ca.crt")
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(configuration / "node.key")
    for part in certificate.cert_chain_pems:
        part.write_to_path(configuration / "node.crt", append=True)
    tls = "\n".join(
        f"xpack.security.{side}.ssl: "
        "{enabled: true, certificate: node.crt, key: node.key, certificate_authorities: [ca.crt]}"
        for side in ("http", "transport")
    )
    (configuration / "elasticsearch.yml").write_text(
        f"cluster.name: logbastion-tests\nnode.name: tests\nnetwork.host: 127.0.0.1\nhttp.port: {port}\n"
        f"transport.port: {_free_port()}\ndiscovery.type: single-node\npath.data: {directory / 'data'}\n"
        f"path.logs: {directory / 'logs'}\npath.repo: {directory / 'snapshots'}\nxpack.security.enabled: true\n{tls}\n"
        # Of the machine that the tests run on, which may be nearly full.
        "cluster.routing.allocation.disk.threshold_enabled: false\n",
        encoding="utf-8",
    )
    for name in ("data", "logs", "snapshots"):
        (directory / name).mkdir(mode=0o700)
    (configuration / "node.key").chmod(0o600)
    if os.geteuid() == 0:
        for path in (directory / "home/config", *(directory / name for name in ("data", "logs", "snapshots"))):
            for below in (path, *path.rglob("*")):
                os.chown(below, USER, USER)
    keystore = [directory / "home/bin/elasticsearch-keystore"]
    _run_as_user(directory, [*keystore, "create"])
    _run_as_user(directory, [*keystore, "add", "--stdin", "bootstrap.password"], stdin=password)


def _environment(directory: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "ES_JAVA_HOME": "/usr/lib/jvm/default-java",
        "ES_JAVA_OPTS": " ".join(MEMORY),
        "ES_TMPDIR": str(directory / "data"),
        "CLI_JAVA_OPTS": "-XX:TieredStopAtLevel=1",
    }


def _as_user() -> dict[str, Any]:
    return {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}


def _run_as_user(directory: Path, command: list[str | Path], stdin: str = "") -> None:
    done = subprocess.run(
        command, input=stdin, env=_environment(directory), capture_output=True, text=True, check=False, **_as_user()
    )
    if done.returncode:
        raise LabError(f"{command} failed: {done.stdout}{done.stderr}")


def _start(directory: Path) -> subprocess.Popen[bytes]:
    with (directory / "output").open("wb") as output:
        return subprocess.Popen(
            [directory / "home/bin/elasticsearch"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(directory),
            **_as_user(),
        )


def _wait(node: Node, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if node.call("GET", "/_cluster/health?wait_for_status=yellow&timeout=10s").ok:
                return
        except requests.ConnectionError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            tail = (node.directory / "output").read_text(encoding="utf-8", errors="replace")[-4000:]
            raise LabError(f"Elasticsearch did not start:\n{tail}")
        time.sleep(0.2)


def _load(node: Node) -> None:
    for kind, path in KINDS.items():
        for file in sorted((TEMPLATES / kind).glob("*.json")):
            # It names a policy, and a distribution without ILM does not know the setting.
            if not file.stem.endswith("@lifecycle"):
                node.asked("PUT", f"{path}{file.stem}", json.loads(file.read_text(encoding="utf-8")))
    for file in sorted((TEMPLATES / "security_roles").glob("*.json")):
        node.passwords[file.stem] = secrets.token_urlsafe(24)
        node.asked("PUT", f"/_security/user/{file.stem}", {"password": node.passwords[file.stem], "roles": [file.stem]})
