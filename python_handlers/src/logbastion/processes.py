"""What must be known of the process: when it forks, whether it is a child, and how it will end."""

from __future__ import annotations

import contextlib
import mmap
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

_MADV_WIPEONFORK: Final = 18
"""``asm-generic/mman-common.h``; Python has no name for it."""
_NO_ADVICE: Final = -1
"""Refused by every kernel."""

_hooks: list[Callable[[], None]] = []
_locks: dict[int, Any] = {}
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


class _ProcessNumber:
    """Stands for :func:`_page_of_this_process` where the kernel wipes no page. Asking takes six times as long."""

    def __init__(self) -> None:
        self._process = 0

    def __getitem__(self, _index: int) -> int:
        return os.getpid() == self._process

    def __setitem__(self, _index: int, _value: int) -> None:
        self._process = os.getpid()


def _page_of_this_process() -> Any:
    """Return memory that the kernel fills with zeros in the child of every fork, whoever forks (``madvise(2)``)."""
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_MADV_WIPEONFORK)
    except (AttributeError, OSError, ValueError):  # no Linux, or one before 4.14
        return _ProcessNumber()
    try:
        page.madvise(_NO_ADVICE)
    except OSError:
        return page
    return _ProcessNumber()  # an emulator that says yes to everything and does nothing, as older ones of QEMU


_unforked = _page_of_this_process()
_unforked[0] = 1  # until a fork makes it 0, in the child


def notice_fork() -> None:
    """Call the hooks if this is the child of a fork that has not called them.

    ``os.register_at_fork`` is for forks by Python. uWSGI forks in C, and calls those hooks only with its option
    ``py-call-osafterfork``.
    """
    if not _unforked[0]:
        # A lock that the parent had may be held for ever by a thread that is not here; this one is the child's own.
        with _locks.setdefault(os.getpid(), threading.RLock()):
            if not _unforked[0]:
                _after_fork_in_child()


def _after_fork_in_child() -> None:
    global _whole  # noqa: PLW0603
    _whole = threading.RLock()
    _forking.clear()
    for hook in _hooks:
        hook()
    _unforked[0] = 1  # last, so that no other thread goes on before


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
