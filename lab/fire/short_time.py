"""The lab's own Prometheus and Alertmanager with compressed time, for a while: own configuration, own (empty) memory, all below /run."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
import yaml

from lab import stack
from lab.fire import remote
from lab.fire.compression import compressed_alertmanager, compressed_prometheus, compressed_rules

DATA = "/var/lib/prometheus/logbastion-fire"
ALERTMANAGER_DATA = "/var/lib/prometheus/alertmanager/logbastion-fire"
"""Its own too: Alertmanager does not tell again what it remembers to have told within four hours."""
RULES = f"{remote.DIRECTORY}/rules"
TARGETS = f"{remote.DIRECTORY}/targets"
PROMETHEUS_CONFIGURATION = f"{remote.DIRECTORY}/prometheus.yml"
ALERTMANAGER_CONFIGURATION = f"{remote.DIRECTORY}/alertmanager.yml"
READY_WITHIN_SECONDS = 60

Change = Callable[[dict[str, list[str]]], None]
"""Changes the targets of jobs, and the Alertmanagers."""
prometheus = remote.Environment(stack.OBSERVER, "prometheus")
alertmanager = remote.Environment(stack.OBSERVER, "prometheus-alertmanager")


class Configuration:
    """Prometheus' compressed configuration; causes change its targets, several at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: dict[str, Change] = {}
        self._targets: dict[str, list[str]] = {}

    def write(self) -> None:
        """Write it as it is at the beginning."""
        text = remote.read(stack.OBSERVER, "/etc/prometheus/prometheus.yml")
        content, self._targets = compressed_prometheus(text, RULES, TARGETS)
        _write(PROMETHEUS_CONFIGURATION, yaml.safe_dump(content, sort_keys=False))
        self._write_targets()

    @contextmanager
    def changed(self, name: str, change: Change) -> Iterator[None]:
        """Change the targets for a while."""
        self._apply(name, change)
        try:
            yield
        finally:
            self._apply(name, None)

    def _apply(self, name: str, change: Change | None) -> None:
        with self._lock:
            if change is None:
                self._changes.pop(name, None)
            else:
                self._changes[name] = change
            self._write_targets()

    def _write_targets(self) -> None:
        targets = {name: list(found) for name, found in self._targets.items()}
        for change in self._changes.values():
            change(targets)
        for name, found in targets.items():
            # In one step: Prometheus reads the file as soon as it changes.
            path = f"{TARGETS}/{name}.json"
            _write(f"{path}.new", json.dumps([{"targets": found}]))
            remote.shell(stack.OBSERVER, f"cmp -s {path}.new {path} && rm {path}.new || mv {path}.new {path}")


def _write(path: str, text: str) -> None:
    remote.write(stack.OBSERVER, path, text, mode="0640", owner="root:prometheus")


def job(content: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a job of a configuration."""
    found: dict[str, Any] = next(each for each in content["scrape_configs"] if each["job_name"] == name)
    return found


@contextmanager
def compressed_time(configuration: Configuration) -> Iterator[None]:
    """Run Prometheus and Alertmanager with compressed time; afterwards they are as before, with the memory of before.

    Raises:
        LabError: when one does not start.
    """
    try:
        _begin(configuration)
        yield
    finally:
        end()


def _begin(configuration: Configuration) -> None:
    host = stack.OBSERVER
    remote.shell(
        host,
        f"mkdir -p {RULES} {TARGETS}; chmod 0755 {remote.DIRECTORY} {RULES} {TARGETS}; rm -rf {DATA} {ALERTMANAGER_DATA}; "
        f"install -d -o prometheus -g prometheus {DATA} {ALERTMANAGER_DATA}",
    )
    for path in remote.shell(host, "ls /etc/prometheus/rules.d/*.yml").split():
        text = compressed_rules(remote.read(host, path))
        _write(f"{RULES}/{path.rpartition('/')[2]}", text)
    remote.shell(host, f"promtool check rules {RULES}/*.yml")
    configuration.write()
    arguments = _arguments("prometheus")
    prometheus.set("time", {"ARGS": f"{arguments} --config.file={PROMETHEUS_CONFIGURATION} --storage.tsdb.path={DATA}"})
    text = compressed_alertmanager(remote.read(host, "/etc/prometheus-alertmanager/alertmanager.yml"))
    _write(ALERTMANAGER_CONFIGURATION, text)
    arguments = re.sub(
        r"--config\.file=\S+", f"--config.file={ALERTMANAGER_CONFIGURATION}", _arguments("prometheus-alertmanager")
    )
    alertmanager.set("time", {"ARGS": f"{arguments} --storage.path={ALERTMANAGER_DATA}"})
    for service in (alertmanager, prometheus):
        service.restart()
    _wait_until_ready()


def end() -> None:
    """Have Prometheus and Alertmanager as the playbook has made them."""
    for service in (prometheus, alertmanager):
        service.unset("time")
    remote.clear(stack.OBSERVER)
    for service in (alertmanager, prometheus):
        service.restart()
    remote.shell(stack.OBSERVER, f"rm -rf {DATA} {ALERTMANAGER_DATA}")
    _wait_until_ready()


def _arguments(service: str) -> str:
    return remote.shell(stack.OBSERVER, f'. /etc/default/{service}; printf %s "$ARGS"')


def _wait_until_ready() -> None:
    for port, user, name in ((9093, "alertmanager", "alertmanager_web"), (9090, "prometheus", "prometheus_web")):
        remote.wait_until(lambda: _ready(port, user, name), READY_WITHIN_SECONDS, f"port {port} is not ready")  # noqa: B023 (asked within the loop)


def _ready(port: int, user: str, password: str) -> bool:
    try:
        answer = requests.get(
            f"{stack.url(stack.OBSERVER, port)}/-/ready",
            auth=(user, stack.password(password)),
            verify=str(stack.AUTHORITY),
            timeout=5,
        )
    except requests.RequestException:
        return False
    return answer.ok
