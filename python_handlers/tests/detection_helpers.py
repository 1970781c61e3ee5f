"""What the tests of detection share: a clock, a list of events, real servers of their own."""

from __future__ import annotations

import contextlib
import glob
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import REGISTRY

from logbastion.client_address import set_trusted_proxies
from logbastion.detection import Blocks, Breaker, MemoryStore, SecurityEventDetector, configure_detection

KEY = b"k" * 32
START = 1_750_000_000.0


class Clock:
    """Goes on when it is told to."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Events(logging.Handler):
    """What the detector has logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def of(self, event_type: str) -> list[logging.LogRecord]:
        return [record for record in self.records if record.event_type == event_type]

    @property
    def types(self) -> list[str]:
        return [record.event_type for record in self.records]


def detector_with(store=None, clock=None, breaker=None, **options):
    """A detector that blocks; what is no argument of Blocks goes to the detector."""
    store = store if store is not None else MemoryStore(clock or Clock())
    breaker = breaker if breaker is not None else Breaker()
    for_blocks = {name: options.pop(name) for name in ("mode", "plan", "allowed_networks") if name in options}
    blocks = Blocks(store, breaker, **for_blocks)
    return SecurityEventDetector(store, key=KEY, blocks=blocks, breaker=breaker, **options)


def fail(detector, times, address="192.0.2.7", name="maria@example.org"):
    for number in range(times):
        detector.track_failed_login(address, name.format(number))


def unchecked(operation):
    return REGISTRY.get_sample_value("logbastion_detection_unchecked_total", {"operation": operation}) or 0


@contextlib.contextmanager
def logged() -> Iterator[Events]:
    """What is logged about attacks and about the store."""
    handler = Events()
    loggers = [logging.getLogger(name) for name in ("security.events", "system.log_management")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
        configure_detection(None)
        set_trusted_proxies(None)


class RedisServer:
    """A Redis of this test, on a Unix socket; it can be stopped and started."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "redis.sock"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self.socket}"

    def start(self) -> None:
        import redis

        self._process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--save", "", "--dir", self._directory],
            stdout=subprocess.DEVNULL,
        )
        client = redis.Redis.from_url(self.url)
        deadline = time.monotonic() + 30
        while True:
            try:
                client.ping()
                client.close()
                return
            except redis.ConnectionError:
                assert self._process.poll() is None, "redis-server has ended"
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def directory() -> Iterator[Path]:
    """A directory with a short name, as the path of a Unix socket needs."""
    path = Path(tempfile.mkdtemp(prefix="lb-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    with directory() as path:
        server = RedisServer(path)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def postgresql() -> Iterator[dict[str, object]]:
    """A PostgreSQL on a Unix socket; yields the settings of Django's connection to it."""
    programs = Path(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1])
    # It refuses to run as root.
    user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    with directory() as path:
        if user:
            shutil.chown(path, **user)
        options = {"cwd": path, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **user}
        # PGOPTIONS and the like of whoever starts the tests are not for this server.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        data = path / "data"
        subprocess.run(
            [programs / "initdb", "--no-sync", "--auth=trust", "--username=detector", "--encoding=UTF8", data],
            check=True, env=environment, **options,
        )  # fmt: skip
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-c", "listen_addresses=", "-c", f"unix_socket_directories={path}",
             "-c", "fsync=off"],
            env=environment, **options,
        )  # fmt: skip
        try:
            ask = [programs / "pg_isready", "--host", path]
            deadline = time.monotonic() + 30
            while subprocess.run(ask, env=environment, check=False, **options).returncode != 0:
                assert server.poll() is None, "postgres has ended"
                assert time.monotonic() < deadline, "postgres does not answer"
                time.sleep(0.05)
            yield {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "postgres",
                "USER": "detector",
                "HOST": str(path),
            }
        finally:
            server.send_signal(signal.SIGINT)  # without waiting for clients
            server.wait()
