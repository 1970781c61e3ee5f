"""The servers that applications run under: each number arrives, none is shipped by both parent and child.

Each is a small program in ``servers/`` that sends numbered events over TLS with the handler as it is by default.
"""

import collections
import contextlib
import http.client
import importlib.util
import itertools
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import eventually

import logbastion
from logbastion.shipping import ShippingHandler, TcpTransport

SERVERS = Path(__file__).parent / "servers"
LAST = 10**12  # the number of the next start

pytestmark = pytest.mark.integration


class World:
    """A receiver, a spool, and the servers that a test has started."""

    def __init__(self, certificates, sink, directory):
        self.certificates, self.sink, self.directory = certificates, sink, directory
        self.spool = directory / "spool"
        self.expected = set()
        """Numbers of the calls that have returned."""
        self.possible = set()
        """Numbers of the calls that were cut short: they may have been made."""
        self.pids = set()
        """Of those who have answered."""
        self.last_pid = None
        self.port = free_port()
        self.running = []

    def start(self, *command, **environment):
        with (self.directory / "output.txt").open("ab") as output:
            process = subprocess.Popen(
                list(map(str, command)), cwd=self.directory, env={**self.environment(), **environment},
                stdout=output, stderr=output, start_new_session=True,
                # Where the tests themselves run in the background, interrupts are ignored, and a child inherits that.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
            )  # fmt: skip
        self.running.append(process)
        return process

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LOGBASTION_", "DJANGO_"))}
        files = {f"TEST_{name.upper()}": value for name, value in self.certificates.client.items()}
        return {
            **kept,
            **files,
            "PYTHONPATH": os.pathsep.join([str(SERVERS), *sys.path]),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TEST_SINK": self.sink.address,
            "TEST_SPOOL": str(self.spool),
            "TEST_DIRECTORY": str(self.directory),
        }

    def output(self):
        return (self.directory / "output.txt").read_text(errors="replace")[-6000:]

    def end(self, process, signal_=signal.SIGTERM, to_all=False):
        """Stop a server in order; its exit status."""
        if to_all:
            os.killpg(process.pid, signal_)
        else:
            process.send_signal(signal_)
        return process.wait(90)

    def kill_all(self):
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def ask(self, first):
        """Make a request that logs five numbers; the id of the process that has answered, or None."""
        numbers = set(range(first, first + 5))
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{first}", timeout=30) as response:
                pid = int(response.read())
        except (OSError, ValueError, http.client.HTTPException):  # ValueError: an answer without its body
            self.possible |= numbers
            return None
        self.expected |= numbers
        self.pids.add(pid)
        self.last_pid = pid
        return pid

    def answers(self, first):
        """Wait until the server answers, with one of many requests; the next number that is free."""

        def asked():
            asked.first += 5
            return self.ask(asked.first - 5)

        asked.first = first
        eventually(asked, 60)
        return asked.first

    def waiting(self):
        """Return the names of the processes that have left something in the spool."""
        return [path.name for path in self.spool.iterdir() if path.name not in ("quarantine", "dead_letters")]

    def left_by(self):
        return {int(name.split("-")[-2]) for name in self.waiting()}

    def next_start(self):
        """Start an application on the same spool, which delivers what others have left."""
        handler = ShippingHandler(
            TcpTransport(self.sink.address, settle_seconds=0.2, **self.certificates.client),
            spool_directory=self.spool,
            exit_timeout=20,
        )
        try:
            handler.handle(logging.makeLogRecord({"name": "business", "levelno": 20, "n": LAST, "by": os.getpid()}))
            eventually(lambda: handler.wait(0) and self.left_by() <= {os.getpid()}, 60)
        finally:
            handler.close()
        self.expected.add(LAST)
        assert self.waiting() == []

    def check(self, interrupted=()):
        """Nothing lost, and nothing there twice but what processes had sent whose end came suddenly."""
        events = collections.defaultdict(list)
        for line in list(self.sink.lines):
            event = json.loads(line)
            if "n" in event.get("extra", {}):
                events[event["extra"]["n"]].append(line)
        assert not self.expected - set(events), f"lost, {self.output()}"
        assert set(events) <= self.expected | self.possible
        pieces = [line for file in self.spool.glob("quarantine/*") for line in file.read_text().splitlines()]
        assert all(json.loads(piece)["torn"] for piece in pieces)  # by a kill: such a call has not returned
        twice = {number: set(lines) for number, lines in events.items() if len(lines) > 1}
        # A repetition is the very same line, with the same event.id: the store keeps one.
        assert all(len(lines) == 1 for lines in twice.values()), "two events for one number"
        assert {json.loads(line)["extra"]["by"] for lines in twice.values() for line in lines} <= set(interrupted)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def needs(module):
    assert importlib.util.find_spec(module), f"This test needs {module}: install the package's extra 'test'."


def installed(program):
    """Return the path of a program of this environment."""
    found = shutil.which(program, path=sysconfig.get_path("scripts"))
    assert found, f"This test needs {program}: install the package's extra 'test'."
    return found


@pytest.fixture
def world(certificates, sink, tmp_path):
    made = World(certificates, sink, tmp_path)
    yield made
    made.kill_all()


def gunicorn(world):
    needs("gunicorn")
    options = ["--preload", "--workers", "3", "--bind", f"127.0.0.1:{world.port}", "--graceful-timeout", "60"]
    return world.start(sys.executable, "-m", "gunicorn", *options, "web")


def uwsgi(world, *end):
    # Without the hooks uWSGI forks without a word to Python, and a worker hangs now and then in uWSGI itself.
    options = ["--master", "--processes", "3", "--enable-threads", "--py-call-uwsgi-fork-hooks"]
    # In order is what uWSGI calls gracefully. Otherwise it ends a worker within a request, and without exit handlers.
    options += end or ["--hook-master-start", "unix_signal:15 gracefully_kill_them_all"]
    options += ["--need-app", "--disable-logging"]
    options += ["--http-socket", f"127.0.0.1:{world.port}", "--module", "web", "--worker-reload-mercy", "60"]
    # The environment of the tests: uWSGI has the interpreter inside, and would take that of the system.
    return world.start(installed("uwsgi"), *options, "--virtualenv", sys.prefix)


def without_exit_handlers(server, start):
    """Return the processes that end in order but without Python's exit handlers: uWSGI's master.

    It has sent its events, but had no chance to make sure of it: the next start sends them again.
    """
    return {server.pid} if start is uwsgi else set()


def requests(world, first, count, stop=None):
    """Make requests from four threads at a time; ``stop`` is called when half of them are through."""
    starts = iter(range(first, first + 5 * count, 5))
    half, lock, through = threading.Event(), threading.Lock(), []

    def client():
        while True:
            with lock:
                number = next(starts, None)
            if number is None:
                return
            world.ask(number)
            through.append(number)
            if len(through) >= count // 2:
                half.set()

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    assert half.wait(120)
    if stop is not None:
        stop()
    for thread in clients:
        thread.join()


@pytest.mark.parametrize("start", [gunicorn, uwsgi])
def test_workers_that_are_forked_after_loading(world, start):
    """Events before the fork, from several workers, of one that is killed under requests, and up to the end."""
    server = start(world)
    world.expected |= set(range(50))  # once: by the master that has loaded the application
    first = world.answers(1000)

    def three():
        nonlocal first
        requests(world, first, 40)
        first += 200
        return len(world.pids) >= 3

    eventually(three, 120)
    assert server.pid not in world.pids
    killed = min(world.pids)
    requests(world, first, 200, stop=lambda: os.kill(killed, signal.SIGKILL))
    assert world.end(server) == 0, world.output()
    suddenly = {killed, *without_exit_handlers(server, start)}
    assert world.left_by() <= suddenly, world.output()
    world.next_start()
    world.check(interrupted=suddenly)


@pytest.mark.parametrize("start", [gunicorn, uwsgi])
def test_workers_that_end_in_order_leave_nothing(world, start):
    server = start(world)
    world.expected |= set(range(50))
    first = world.answers(1000)
    world.possible.clear()  # nobody had listened yet
    requests(world, first, 100)
    assert world.end(server) == 0, world.output()
    assert world.left_by() <= without_exit_handlers(server, start), world.output()
    world.check()
    assert world.possible == set()


def test_uwsgi_that_ends_its_workers_at_once(world):
    """What ``die-on-term`` does: a worker that is within a request ends there, without exit handlers."""
    server = uwsgi(world, "--die-on-term")
    world.expected |= set(range(50))
    first = world.answers(1000)
    requests(world, first, 200, stop=lambda: world.end(server))
    suddenly = world.left_by()
    world.next_start()
    world.check(interrupted=suddenly)


@pytest.mark.parametrize("start", [gunicorn, uwsgi])
def test_the_next_start_delivers_what_master_and_workers_have_left(world, start):
    """All of them killed at once while the receiver is away: the worst that a host can do short of losing power."""
    world.sink.stop()
    start(world)
    requests(world, world.answers(1000), 100)
    world.expected |= set(range(50))
    world.kill_all()
    assert world.sink.lines == []
    assert len(world.waiting()) >= 2
    world.sink.start()
    world.next_start()
    world.check()


def test_celery_prefork(world):
    """The master logs, too; children are replaced after eight tasks."""
    needs("celery")
    for name in ("broker", "control"):
        (world.directory / name).mkdir()
    tasks = SERVERS / "tasks.py"
    options = ["--pool", "prefork", "--concurrency", "3", "--max-tasks-per-child", "8", "--loglevel", "WARNING"]
    server = world.start(sys.executable, "-m", "celery", "-A", "tasks", "worker", *options)
    world.expected |= set(range(50))

    def done():
        path = world.directory / "done"
        return [tuple(map(int, line.split())) for line in path.read_text().splitlines()] if path.exists() else []

    def send(first, last):
        assert world.start(sys.executable, tasks, first, last).wait(60) == 0, world.output()
        world.expected.update(range(first, last))
        eventually(lambda: {number for number, _ in done()} >= set(range(first, last, 5)), 120)

    send(1000, 1200)
    pids = {pid for _, pid in done()}
    assert len(pids) >= 3
    assert server.pid not in pids
    assert world.end(server) == 0, world.output()
    assert world.waiting() == [], world.output()
    world.check()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(world, method):
    program = world.start(sys.executable, SERVERS / "processes.py", method)
    assert program.wait(120) == 0, world.output()
    world.expected |= {*range(300), *range(1000, 1400), *range(2000, 4000)}
    assert world.waiting() == [], world.output()
    world.check()


def test_asyncio(world):
    assert world.start(sys.executable, SERVERS / "tasks_of_asyncio.py").wait(120) == 0, world.output()
    world.expected |= {*range(100), *range(1000, 6000)}
    assert world.waiting() == [], world.output()
    world.check()


def test_runserver_with_its_reloader(world):
    """The reloader and each server that it starts are processes that load the settings and ship their own events."""
    site = world.directory / "site"
    # All that the reloader watches is the test's own: nobody else's edit may restart the server.
    shutil.copytree(SERVERS / "django_site", site)
    shutil.copy(SERVERS / "numbered_events.py", site)
    shutil.copytree(Path(logbastion.__file__).parent, site / "logbastion")
    server = world.start(
        sys.executable, "-m", "django", "runserver", "--settings", "settings", f"127.0.0.1:{world.port}",
        PYTHONPATH=os.pathsep.join([str(site), world.environment()["PYTHONPATH"]]),
    )  # fmt: skip
    firsts = itertools.count(world.answers(LAST // 10), 5)
    for loads in (2, 3):
        touched = float("-inf")

        def reloaded(loads=loads):
            nonlocal touched
            # Again and again: a change before the reloader's first look is none to it.
            if time.monotonic() > touched + 10:
                touched = time.monotonic()
                os.utime(site / "urls.py")
            return world.ask(next(firsts)) and len(world.pids) >= loads

        eventually(reloaded, 60)
    assert server.pid not in world.pids
    last = world.last_pid
    world.end(server, signal.SIGINT, to_all=True)  # as Ctrl-C in the terminal does
    for pid in (server.pid, *world.pids):
        world.expected |= set(range(1000 * pid, 1000 * pid + 50))
    # A server that reloads may answer a request after its exit handlers have run: that is kept, and never sent twice.
    # The last one is given a quarter of a second.
    assert world.left_by() <= world.pids, world.output()
    world.next_start()
    world.check(interrupted=[last])
