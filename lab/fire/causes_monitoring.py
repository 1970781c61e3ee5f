"""What goes wrong with the watching itself: on a second Prometheus and a second Alertmanager of the observer, so that the first can tell."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import yaml

from lab import stack
from lab.fire import programs, remote
from lab.fire.causes import Cause, Expected
from lab.fire.compression import ALERTMANAGERS
from lab.fire.short_time import ALERTMANAGER_CONFIGURATION, Change, Configuration, job

HOST = stack.OBSERVER
SECOND_PROMETHEUS = f"{HOST}:9091"
SECOND_ALERTMANAGER = f"{HOST}:9094"
_DATA = "/var/lib/prometheus/logbastion-fire-second"
_CONFIGURATION = f"{remote.DIRECTORY}/second/prometheus.yml"
_RULES = f"{remote.DIRECTORY}/second/rules.yml"
_ALERTMANAGER = f"{remote.DIRECTORY}/second/alertmanager.yml"
_ALERTMANAGER_DATA = f"{_DATA}-alertmanager"
_MANY_ALERTS = 170
_QUEUE = 180
_OWNER = "root:prometheus"
_SECOND_PROMETHEUS, _SECOND_ALERTMANAGER = {"instance": SECOND_PROMETHEUS}, {"instance": SECOND_ALERTMANAGER}
_STAND_IN = "a second Prometheus on the observer, which the first one watches"
_STAND_IN_ALERTMANAGER = "a second Alertmanager on the observer"


# It shakes hands, or Prometheus would give up after ten seconds whatever time-out it was given.
_SILENT_SERVER = """
import socket, ssl
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain("/etc/prometheus/certs/host.crt", "/etc/prometheus/certs/host.key")
listener = context.wrap_socket(socket.create_server(("", 9098)), server_side=True)
kept = []
while True:
    try:
        kept.append(listener.accept())
    except OSError:
        pass
"""


class Seconds:
    """Makes second servers, and has the first Prometheus watch them.

    Args:
        configuration: of the first one.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration

    @contextmanager
    def prometheus(
        self, *, options: str = "", alertmanager: str = "", rules: list[dict[str, str]] | None = None, disk: str = ""
    ) -> Iterator[None]:
        """Run a second Prometheus that scrapes itself each second.

        Args:
            options: further words of its command line.
            alertmanager: whom it gives alerts, host:port.
            rules: its rules.
            disk: size of a disk of its own for its data; by default the observer's.
        """
        remote.write(HOST, _RULES, yaml.safe_dump({"groups": [{"name": "second", "rules": rules or []}]}), owner=_OWNER)
        remote.write(
            HOST, _CONFIGURATION, yaml.safe_dump(self._second_configuration(alertmanager)), mode="0640", owner=_OWNER
        )
        remote.shell(
            HOST,
            f"chmod 0755 {remote.DIRECTORY}/second; rm -rf {_DATA}; install -d -o prometheus -g prometheus {_DATA}",
        )
        with ExitStack() as undo:
            if disk:
                undo.enter_context(remote.small_disk(HOST, _DATA, disk, "prometheus:prometheus"))
            undo.callback(remote.shell, HOST, f"find {_DATA} -delete 2>/dev/null || true")
            self.start_prometheus(options)
            undo.callback(programs.stop, HOST, "prometheus")
            undo.enter_context(self._configuration.changed("prometheus", _target("prometheus", SECOND_PROMETHEUS)))
            yield

    @staticmethod
    def start_prometheus(options: str = "") -> None:
        """Start it on the data that is there."""
        programs.start(
            HOST,
            "prometheus",
            f"/usr/bin/prometheus --config.file={_CONFIGURATION} --storage.tsdb.path={_DATA} --web.listen-address=0.0.0.0:9091 "
            f"--web.config.file=/etc/prometheus/web.yml {options}",
            "User=prometheus",
        )

    def _second_configuration(self, alertmanager: str) -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load(remote.read(HOST, "/etc/prometheus/prometheus.yml"))
        content["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s", "scrape_timeout": "1s"}
        content["rule_files"] = [_RULES]
        (given,) = content["alerting"]["alertmanagers"]
        given |= {"timeout": "60s", "static_configs": [{"targets": [alertmanager] if alertmanager else []}]}
        itself = job(content, "prometheus")
        itself["static_configs"] = [{"targets": [SECOND_PROMETHEUS]}]
        content["scrape_configs"] = [itself]
        return content

    @contextmanager
    def alertmanager(
        self, change: Callable[[dict[str, Any]], None] | None = None, *, watched: bool = True
    ) -> Iterator[None]:
        """Run a second Alertmanager, which gets the first Prometheus' alerts too.

        Args:
            change: of its configuration, which is the first one's.
            watched: whether the first Prometheus scrapes it.
        """
        content = yaml.safe_load(remote.read(HOST, ALERTMANAGER_CONFIGURATION))
        if change is not None:
            change(content)
        remote.write(HOST, _ALERTMANAGER, yaml.safe_dump(content), mode="0640", owner=_OWNER)
        remote.shell(
            HOST,
            f"chmod 0755 {remote.DIRECTORY}/second; rm -rf {_ALERTMANAGER_DATA}; install -d -o prometheus -g prometheus {_ALERTMANAGER_DATA}",
        )
        programs.start(
            HOST,
            "alertmanager",
            f"/usr/bin/prometheus-alertmanager --config.file={_ALERTMANAGER} --storage.path={_ALERTMANAGER_DATA} "
            "--web.listen-address=0.0.0.0:9094 --web.config.file=/etc/prometheus-alertmanager/web.yml --cluster.listen-address=",
            "User=prometheus",
        )
        try:
            with self._configuration.changed("alertmanager", _second_alertmanager(watched)):
                yield
        finally:
            programs.stop(HOST, "alertmanager")
            remote.shell(HOST, f"rm -rf {_ALERTMANAGER_DATA}")

    # The causes themselves.

    @contextmanager
    def broken_configuration(self) -> Iterator[None]:
        """Spoil its configuration and have it read again."""
        with self.prometheus():
            text = remote.read(HOST, _CONFIGURATION)
            _watched_up("prometheus", SECOND_PROMETHEUS)
            remote.write(HOST, _CONFIGURATION, f"{text}\nnot a setting of Prometheus: [\n", mode="0640", owner=_OWNER)
            remote.shell(HOST, "systemctl kill -s HUP logbastion-fire-prometheus")
            yield
            remote.write(HOST, _CONFIGURATION, text, mode="0640", owner=_OWNER)
            remote.shell(HOST, "systemctl kill -s HUP logbastion-fire-prometheus")

    @contextmanager
    def failing_rules(self) -> Iterator[None]:
        """Give it a rule whose sides match many to many."""
        many = " or ".join(f'label_replace(vector(1), "n", "{number}", "", "")' for number in (1, 2))
        with self.prometheus(rules=[{"record": "never", "expr": f"({many}) + on() ({many})"}]):
            yield

    @contextmanager
    def nobody_takes_alerts(self) -> Iterator[None]:
        """Give it an Alertmanager that is not there."""
        with self.prometheus(
            options="--rules.alert.resend-delay=1s",
            alertmanager=f"{HOST}:9",
            rules=[{"alert": "Unheard", "expr": "vector(1)"}],
        ):
            yield

    @contextmanager
    def hanging_alertmanager(self) -> Iterator[None]:
        """Give it an Alertmanager that takes the connection and never answers, and more alerts than it sends at a time."""
        remote.write(HOST, f"{remote.DIRECTORY}/silent.py", _SILENT_SERVER)
        programs.start(HOST, "silent", f"/usr/bin/python3 {remote.DIRECTORY}/silent.py", "User=prometheus")
        alerts = " or ".join(f'label_replace(vector(1), "n", "{number}", "", "")' for number in range(_MANY_ALERTS))
        try:
            with self.prometheus(
                options=f"--alertmanager.notification-queue-capacity={_QUEUE} --rules.alert.resend-delay=1h",
                alertmanager=f"{HOST}:9098",
                # Prometheus knows its Alertmanagers five seconds after its start; alerts before that are thrown away.
                rules=[{"alert": "Unheard", "expr": alerts, "for": "9s"}],
            ):
                yield
        finally:
            programs.stop(HOST, "silent")

    @contextmanager
    def failing_compactions(self) -> Iterator[None]:
        """Let it make no new block."""
        short = "--storage.tsdb.min-block-duration=10s --storage.tsdb.max-block-duration=1m"
        with self.prometheus(options=short):
            _watched_up("prometheus", SECOND_PROMETHEUS)
            # What is there can be written, no new block can be made.
            remote.shell(HOST, f"chown root:root {_DATA}; chmod 0755 {_DATA}")
            yield

    @contextmanager
    def damaged_log(self) -> Iterator[None]:
        """Kill it, overwrite bytes of its write-ahead log, start it again."""
        with self.prometheus():
            log = f"{_DATA}/wal/00000000"
            remote.wait_until(
                lambda: int(remote.shell(HOST, f"stat -c %s {log} 2>/dev/null || echo 0")) > 60_000,
                90,
                "nothing was written",
            )
            remote.shell(HOST, "systemctl kill -s KILL logbastion-fire-prometheus; sleep 1")
            remote.shell(HOST, f"dd if=/dev/urandom of={log} bs=1 count=200 seek=33000 conv=notrunc status=none")
            self.start_prometheus()
            yield

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Fill its disk."""
        with self.prometheus(disk="8m"):
            _watched_up("prometheus", SECOND_PROMETHEUS)
            remote.shell(HOST, f"dd if=/dev/zero of={_DATA}/full bs=64k status=none || true")
            yield

    @contextmanager
    def receiver_away(self) -> Iterator[None]:
        """Have a second Alertmanager notify nobody that is there."""

        def to_nobody(content: dict[str, Any]) -> None:
            for receiver in content["receivers"]:
                for webhook in receiver.get("webhook_configs", []):
                    webhook["url"] = "https://app:9/"

        with self.alertmanager(to_nobody):
            yield

    @contextmanager
    def broken_alertmanager_configuration(self) -> Iterator[None]:
        """Spoil its configuration and have it read again."""
        with self.alertmanager():
            text = remote.read(HOST, _ALERTMANAGER)
            _watched_up("alertmanager", SECOND_ALERTMANAGER)
            remote.write(HOST, _ALERTMANAGER, f"{text}\nnot_a_setting: 1\n", mode="0640", owner=_OWNER)
            remote.shell(HOST, "systemctl kill -s HUP logbastion-fire-alertmanager")
            yield
            remote.write(HOST, _ALERTMANAGER, text, mode="0640", owner=_OWNER)
            remote.shell(HOST, "systemctl kill -s HUP logbastion-fire-alertmanager")

    @contextmanager
    def no_alertmanager(self) -> Iterator[None]:
        """Stop the one that is watched, while a second one delivers."""
        with self.alertmanager(watched=False):
            with remote.stopped(HOST, "prometheus-alertmanager"):
                yield
            # The first one has never heard of it, so only the second one can tell that it is over.
            remote.wait_until(lambda: _is_over("AlertmanagerDown"), 60, "the second Alertmanager does not tell the end")

    @contextmanager
    def no_application(self) -> Iterator[None]:
        """Take the application out of the configuration of the first Prometheus."""

        def without(targets: dict[str, list[str]]) -> None:
            targets["django"].clear()

        with self._configuration.changed("application", without):
            yield

    def causes(self) -> tuple[Cause, ...]:
        """Return those that go on beside what happens to the application."""
        return (
            _second(
                "its configuration is spoilt, and read again", "PrometheusConfigReloadFailed", self.broken_configuration
            ),
            _second("one of its rules matches many to many", "PrometheusRuleFailures", self.failing_rules),
            Cause(
                "its Alertmanager is not there",
                (
                    Expected("PrometheusNotificationsFailing", {"instance": SECOND_PROMETHEUS}),
                    Expected("PrometheusNotificationsDropped", {"instance": SECOND_PROMETHEUS}),
                ),
                self.nobody_takes_alerts,
                stand_in=_STAND_IN,
            ),
            _second(
                "its Alertmanager takes the connection and never answers",
                "PrometheusNotificationQueueFilling",
                self.hanging_alertmanager,
            ),
            _second(
                "it may not make a directory for its next block",
                "PrometheusCompactionsFailing",
                self.failing_compactions,
                within=240,
            ),
            _second(
                "it is killed, and bytes of its write-ahead log are overwritten",
                "PrometheusWalCorrupted",
                self.damaged_log,
            ),
            _second("its disk of 8 MiB is full", "PrometheusWalWritesFailing", self.full_disk),
            Cause(
                "its receiver is not there",
                (Expected("AlertmanagerNotificationsFailing", _SECOND_ALERTMANAGER),),
                self.receiver_away,
                stand_in=_STAND_IN_ALERTMANAGER,
            ),
            Cause(
                "its configuration is spoilt, and read again",
                (Expected("AlertmanagerConfigReloadFailed", _SECOND_ALERTMANAGER),),
                self.broken_alertmanager_configuration,
                stand_in=_STAND_IN_ALERTMANAGER,
            ),
        )

    def causes_alone(self) -> tuple[Cause, ...]:
        """Return those during which nothing else can be seen."""
        return (
            Cause(
                "Prometheus' configuration names no application any more",
                (Expected("ApplicationNotWatched"),),
                self.no_application,
            ),
            Cause(
                "the Alertmanager that is watched is stopped; another one delivers",
                (Expected("AlertmanagerDown"),),
                self.no_alertmanager,
            ),
        )


def _second(happens: str, alert: str, made: Callable[[], Any], within: float = 120) -> Cause:
    return Cause(happens, (Expected(alert, _SECOND_PROMETHEUS),), made, within=within, stand_in=_STAND_IN)


def _target(name: str, target: str) -> Change:
    return lambda targets: targets[name].append(target)


def _second_alertmanager(watched: bool) -> Change:
    def change(targets: dict[str, list[str]]) -> None:
        targets[ALERTMANAGERS].append(SECOND_ALERTMANAGER)
        if watched:
            targets["alertmanager"].append(SECOND_ALERTMANAGER)

    return change


def _is_over(name: str) -> bool:
    """Say whether the receiver heard last that an alert is over, or has never heard of it."""
    heard = [each["status"] for each in stack.received_alerts() if each["labels"]["alertname"] == name]
    return heard[-1:] != ["firing"]


def _watched_up(name: str, instance: str) -> None:
    """Wait until the first Prometheus has scraped it: what happens before that, nobody sees."""
    remote.wait_until(
        lambda: bool(stack.query(f'up{{job="{name}",instance="{instance}"}} == 1')), 60, f"{instance} is not scraped"
    )
