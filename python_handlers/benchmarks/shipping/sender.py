"""The application: a process that logs numbered events when it is told to.

Commands come as JSON lines on standard input, each is answered by one on standard output; see
:class:`.processes.Sender`.
"""

from __future__ import annotations

import array
import contextlib
import gc
import json
import logging
import mmap
import os
import resource
import struct
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.shipping.event import mark
from benchmarks.shipping.setups import SETUPS
from benchmarks.shipping.setups.base import Log, Target


def _memory() -> dict[str, float]:
    """Return resident memory now and at its highest, MiB."""
    text = Path("/proc/self/status").read_text(encoding="ascii")
    values = {line.split(":")[0]: line.split()[1] for line in text.splitlines() if line.startswith("Vm")}
    return {"now": int(values["VmRSS"]) / 1024, "highest": int(values["VmHWM"]) / 1024}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def log_events(
    log: Log, *, first: int, count: int, rate: float, seconds: float, counter: mmap.mmap | None = None
) -> tuple[dict[str, Any], array.array[int]]:
    """Log events, timing each call.

    Args:
        log: of the set-up.
        first: number of the first event.
        count: of them.
        rate: events a second; 0 is as fast as it goes.
        seconds: after which it ends whether all are logged or not.
        counter: where the number of calls that have returned is written after each.

    Returns:
        ``logged``, ``begin`` and ``end``, and the nanoseconds of each call.

    """
    clock = time.perf_counter_ns
    costs = array.array("Q")
    pause = 1 / rate if rate else 0.0
    begin = time.monotonic()
    for number in range(first, first + count):
        if pause:
            ahead = begin + (number - first) * pause - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
        marked = mark(number)
        before = clock()
        log(marked)
        after = clock()
        costs.append(after - before)
        if counter is not None:
            struct.pack_into("<Q", counter, 0, number - first + 1)
        if time.monotonic() - begin > seconds:
            break
    return {"logged": len(costs), "begin": begin, "end": time.monotonic()}, costs


def _forked(log: Log, *, first: int, count: int, settle: float) -> None:
    """Fork; the child logs events, lives on for a while as a worker of a server does, and ends as Python does."""
    child = os.fork()
    if child == 0:
        for number in range(first, first + count):
            log(mark(number))
        time.sleep(settle)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)
    deadline = time.monotonic() + settle + 45
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)


def main() -> None:
    """Do what standard input says; its first line is the job."""
    job = json.loads(sys.stdin.readline())
    logging.raiseExceptions = False  # as in production
    gc.collect()
    idle = _memory()["now"]
    setup = SETUPS[job["setup"]]
    target = Target(job["host"], job["port"], job["ca_file"], Path(job["directory"]))
    log = setup.start(target)
    print(json.dumps({"idle": idle, "started": _memory()["now"]}), flush=True)
    counter = None
    if job.get("counter"):
        with open(job["counter"], "r+b") as file:
            counter = mmap.mmap(file.fileno(), 8)
    for line in sys.stdin:
        command = json.loads(line)
        what = command.pop("do")
        answer: Any = None
        if what == "log":
            answer, costs = log_events(log, counter=counter, **command)
            # Not sorted here: it would count as memory and processor time of the set-up.
            Path(job["costs"]).write_bytes(costs)
            del costs
        elif what == "usage":
            answer = {"cpu": _cpu(), "memory": _memory(), "threads": len(os.listdir("/proc/self/task"))}
        elif what == "fork":
            _forked(log, **command)
        elif what == "exit":
            break
        print(json.dumps(answer), flush=True)
    setup.stop()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
