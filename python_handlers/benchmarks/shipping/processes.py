"""The sender's and the sink's process, as objects; every wait on them has an end."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).resolve().parents[2]
_STDERR_SHOWN: Final = 2000
# requests prefers these to the authority that a session was given, and would send to a proxy.
_NOT_FOR_CHILDREN: Final = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"}


class ProcessError(Exception):
    """A process ended, or did not answer in time."""


class Conversation:
    """A process that answers a JSON line with a JSON line.

    Args:
        module: to run.
        errors: file for its standard error.

    """

    def __init__(self, module: str, errors: Path) -> None:
        self._module = module
        self._errors = errors
        environment = {name: value for name, value in os.environ.items() if name.upper() not in _NOT_FOR_CHILDREN}
        with errors.open("ab") as file:
            self.process = subprocess.Popen(  # noqa: S603 - this interpreter, a module of ours
                [sys.executable, "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                cwd=_ROOT,
                env=environment,
            )
        self._selector = selectors.DefaultSelector()
        assert self.process.stdout is not None  # noqa: S101 - for the type checker
        self._selector.register(self.process.stdout, selectors.EVENT_READ)

    def say(self, **command: Any) -> None:
        """Send a command."""
        assert self.process.stdin is not None  # noqa: S101
        try:
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()
        except OSError as error:
            raise self._failed(f"takes no command: {error}") from error

    def hear(self, timeout: float) -> Any:
        """Return the answer.

        Raises:
            ProcessError: none came within ``timeout`` seconds.

        """
        # An answer is one short line in one write, and no second one is under way: buffering cannot hide it.
        if not self._selector.select(timeout):
            raise self._failed(f"did not answer within {timeout:.0f} s")
        assert self.process.stdout is not None  # noqa: S101
        line = self.process.stdout.readline()
        if not line:
            raise self._failed("ended")
        return json.loads(line)

    def ask(self, timeout: float = 30, **command: Any) -> Any:
        """Send a command and return its answer."""
        self.say(**command)
        return self.hear(timeout)

    def kill(self) -> None:
        """Kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        self._selector.close()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was still to be written to a dead process
                    pipe.close()

    def _failed(self, what: str) -> ProcessError:
        end = self._errors.read_bytes()[-_STDERR_SHOWN:].decode(errors="replace")
        return ProcessError(f"{self._module} {what}; the end of its standard error:\n{end}")


class Sink(Conversation):
    """The receiver."""

    def __init__(self, directory: Path, certificate: str) -> None:
        super().__init__("benchmarks.shipping.sink", directory / "sink.err")
        self._certificate = certificate
        self._options: dict[str, Any] = {}
        self.port = 0

    def begin(self, wire: str, *, tls: bool, buffer: int = 0) -> None:
        """Forget what came, and listen at a new port."""
        self.ask(do="close")
        self.ask(do="reset")
        self._options = {"wire": wire, "certificate": self._certificate if tls else None, "buffer": buffer}
        self.open()

    def open(self) -> None:
        """Listen, at the port of the last time."""
        self.port = self.ask(do="open", **self._options)

    def close(self) -> None:
        """Reset all connections and do not listen."""
        self.ask(do="close")

    def stall(self, stalled: bool) -> None:
        """Stop reading, or go on."""
        self.ask(do="stall", stalled=stalled)

    def report(self, first: int, end: int) -> dict[str, Any]:
        """Say which events with these numbers have arrived."""
        answer: dict[str, Any] = self.ask(do="report", first=first, end=end)
        return answer

    def wait_for(self, first: int, end: int, *, patience: float, limit: float) -> dict[str, Any]:
        """Wait until all these events are there.

        Args:
            first: number of the first.
            end: number after the last.
            patience: seconds without any arrival after which no more are expected.
            limit: seconds in all. ``unfinished`` of the result says that events still came then.

        """
        deadline = time.monotonic() + limit
        known, since = -1, time.monotonic()
        while True:
            report = self.report(first, end)
            now = time.monotonic()
            if report["distinct"] != known:
                known, since = report["distinct"], now
            report["unfinished"] = False
            if not report["lost"] or now - since > patience:
                return report
            if now > deadline:
                report["unfinished"] = True
                return report
            time.sleep(0.05)


class Sender(Conversation):
    """The application."""

    def __init__(self, setup: str, sink: Sink, ca_file: str, directory: Path, counter: Path | None = None) -> None:
        super().__init__("benchmarks.shipping.sender", directory / "sender.err")
        self._costs = directory / "costs"
        job = {
            "setup": setup,
            "host": "localhost",
            "port": sink.port,
            "ca_file": ca_file,
            "directory": str(directory),
            "counter": str(counter) if counter else None,
            "costs": str(self._costs),
        }
        self.say(**job)
        self.memory: dict[str, float] = self.hear(60)

    def usage(self) -> dict[str, Any]:
        """Return CPU seconds and memory in MiB."""
        answer: dict[str, Any] = self.ask(do="usage")
        return answer

    def start_logging(self, first: int, count: int, *, rate: float = 0, seconds: float) -> None:
        """Begin to log; :meth:`logged` waits for the end."""
        self._allowed = seconds + 60
        self.say(do="log", first=first, count=count, rate=rate, seconds=seconds)

    def logged(self) -> dict[str, Any]:
        """Return what :func:`.sender.log_events` returns, and ``microseconds``: median, p99, maximum of a call."""
        answer: dict[str, Any] = self.hear(self._allowed)
        ordered = sorted(memoryview(self._costs.read_bytes()).cast("Q"))
        places = {"median": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "maximum": len(ordered) - 1}
        return answer | {"microseconds": {name: ordered[place] / 1000 for name, place in places.items() if ordered}}

    def leave(self, limit: float) -> float:
        """Let the process end as it does by itself, and return how long that took; kill it after ``limit`` seconds."""
        begin = time.monotonic()
        self.say(do="exit")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(limit)
        seconds = time.monotonic() - begin
        self.kill()
        return seconds
