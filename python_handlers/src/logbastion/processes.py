"""What must be known of the process: when it forks, whether it is a child, and how it will end."""

from __future__ import annotations

import contextlib
import multiprocessing.process
import multiprocessing.util
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
_EXIT_PRIORITY: Final = -100
"""After everything else of :mod:`multiprocessing`, which may log."""
_FORK_WAITS: Final = 0.5
"""Seconds that a fork waits at most. Only a name server that does not answer takes so long."""

_hooks: list[Callable[[], None]] = []
_locks: dict[int, Any] = {}
_process = os.getpid()
_whole = threading.RLock()
_forking: set[int] = set()


@contextlib.contextmanager
def not_in_fork() -> Iterator[None]:
    """Keep this process from forking meanwhile, for at most half a second.

    For code that takes locks which no child gets back: those of OpenSSL and of the resolver, and of imports. A child
    that is born in the middle of it could never connect. It must not wait for the network.
    """
    with _whole:
        yield


def _before_fork() -> None:
    if _whole.acquire(timeout=_FORK_WAITS):
        _forking.add(threading.get_ident())


def _after_fork_in_parent() -> None:
    me = threading.get_ident()
    if me in _forking:
        _forking.remove(me)
        _whole.release()


def after_fork(hook: Callable[[], None]) -> None:
    """Have a hook called in the child of every fork, after those that were given before."""
    _hooks.append(hook)


def renew_after_fork(instances: weakref.WeakSet[_T], renew: Callable[[_T], object]) -> None:
    """Have ``renew`` called with each of these instances in the child of every fork, after the hooks before."""

    def hook() -> None:
        for instance in list(instances):
            renew(instance)

    after_fork(hook)


def notice_fork() -> None:
    """Call the hooks if this is the child of a fork that has not called them.

    ``os.register_at_fork`` is for forks by Python. uWSGI forks in C, and calls those hooks only with its option
    ``py-call-osafterfork``.
    """
    process = os.getpid()
    if process != _process:
        # A lock that the parent had may be held for ever by a thread that is not here; this one is the child's own.
        with _locks.setdefault(process, threading.RLock()):
            if process != _process:
                _after_fork_in_child()


def _after_fork_in_child() -> None:
    global _process, _whole  # noqa: PLW0603
    _whole = threading.RLock()
    _forking.clear()
    for hook in _hooks:
        hook()
    _process = os.getpid()  # last, so that no other thread goes on before


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def at_end_of_child(owner: object, close: Callable[[], None]) -> None:
    """Have ``close`` called at the end of a process that ends through ``os._exit``, without exit handlers.

    These are children of :mod:`multiprocessing`, and those of billiard, which is Celery's version of it.
    """
    billiard = sys.modules.get("billiard.process")
    in_billiard = billiard is not None and getattr(billiard.current_process(), "_parent_pid", None) is not None
    if in_billiard or multiprocessing.process.parent_process() is not None:
        multiprocessing.util.Finalize(owner, close, exitpriority=_EXIT_PRIORITY)
    signals = sys.modules.get("celery.signals")
    if in_billiard and signals is not None:

        def end(**_facts: Any) -> None:
            close()

        # The pool's children do not even run those.
        signals.worker_process_shutdown.connect(end, weak=False)
