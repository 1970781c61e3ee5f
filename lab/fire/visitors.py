"""People who use the example application, from the control node: calm traffic all the time, and visitors to whom something happens."""

import importlib.util
import json
import random
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from lab import stack, traffic

CALM_PACE = 3
_ENDLESS = 10**9


def _generator() -> ModuleType:
    specification = importlib.util.spec_from_file_location("example_traffic", traffic.GENERATOR)
    if specification is None or specification.loader is None:  # the file is part of this checkout
        raise FileNotFoundError(traffic.GENERATOR)
    module = importlib.util.module_from_spec(specification)
    if str(traffic.GENERATOR.parent) not in sys.path:
        sys.path.append(str(traffic.GENERATOR.parent))  # it imports a file beside it
    sys.modules[specification.name] = module  # dataclasses look there
    specification.loader.exec_module(module)
    return module


@contextmanager
def calm_traffic(pace: float = CALM_PACE) -> Iterator[None]:
    """Send traffic in which nothing fails, so many requests a second, until the end."""
    words = [
        sys.executable, traffic.GENERATOR, "--url", stack.url(stack.APPLICATION, 8443), "--ca", stack.AUTHORITY,
        "--credentials", traffic.credentials(), "--requests", _ENDLESS, "--seconds", _ENDLESS, "--calm", "--pace", pace,
        # Otherwise the passwords that people mistype come all from one address, which is rightly taken for an attack.
        "--as-proxy",
    ]  # fmt: skip
    process = subprocess.Popen(
        [str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def visitor() -> Any:
    """Return a visitor who has logged in."""
    generator = _generator()
    users = json.loads(traffic.credentials().read_text(encoding="utf-8"))["users"]
    run = generator.Run(
        generator.urllib.parse.urlsplit(stack.url(stack.APPLICATION, 8443)),
        ssl.create_default_context(cafile=stack.AUTHORITY),
        _ENDLESS,
        float("inf"),
        f"fire-{time.time_ns():x}",
    )
    made = generator.Visitor(run, users[0]["username"], users[0]["password"], random.Random(1))  # noqa: S311 (an order, no secret)
    made.log_in()
    return made


@contextmanager
def visiting(what: Callable[[Any], object], *, each: float, visitors: int = 1) -> Iterator[None]:
    """Have visitors do something again and again.

    Args:
        what: done with a visitor who has logged in.
        each: seconds between two times of one visitor.
        visitors: side by side.
    """
    over = threading.Event()

    def repeat() -> None:
        person = visitor()
        while not over.is_set():
            what(person)
            over.wait(each)

    threads = [threading.Thread(target=repeat, daemon=True) for _ in range(visitors)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(timeout=40)
