"""How a process learns that it is the child of a fork."""

import errno
import mmap

from logbastion import processes


def test_a_system_that_only_pretends_to_wipe_pages_is_not_believed(monkeypatch):
    class Pretending(mmap.mmap):
        def madvise(self, *_):
            pass

    class Refusing(mmap.mmap):
        def madvise(self, *_):
            raise OSError(errno.EINVAL, "no such advice")

    for kind in (Pretending, Refusing):
        monkeypatch.setattr(processes.mmap, "mmap", kind)
        assert isinstance(processes._page_of_this_process(), processes._ProcessNumber)
