import asyncio
import contextvars
import logging
import threading

import pytest

from logbastion import CorrelationIdFilter, bind, get_correlation_id, set_correlation_id
from logbastion.correlation import is_well_formed, new_correlation_id


def filtered(**extra):
    record = logging.makeLogRecord(extra)
    assert CorrelationIdFilter().filter(record) is True
    return record


@pytest.mark.parametrize("good", ["a", "traffic-1f-200", "A.b_c:d-e", "0" * 128, new_correlation_id()])
def test_well_formed(good):
    assert is_well_formed(good)


@pytest.mark.parametrize(
    "bad", ["", "a" * 129, "a\n", "a b", "-a", "a\x00", "é", "<x>", 'a"', "a\u2028", None, 7, "${jndi:x}", "a\r\nX: y"]
)
def test_not_well_formed(bad):
    assert not is_well_formed(bad)
    if bad is not None:
        with pytest.raises(ValueError, match="128"), bind(bad):
            pass


def test_bind_restores_also_after_an_exception():
    with bind("outer", user_id=1):
        with pytest.raises(RuntimeError), bind("inner", school_id=2):
            assert get_correlation_id() == "inner"
            record = filtered()
            assert (record.user_id, record.school_id) == (1, 2)
            raise RuntimeError
        assert get_correlation_id() == "outer"
        assert not hasattr(filtered(), "school_id")
    assert get_correlation_id() is None


def test_the_record_wins_over_the_context():
    with bind("context", user_id=1):
        record = filtered(correlation_id="own", user_id=2)
        assert (record.correlation_id, record.user_id) == ("own", 2)


def test_callables_are_asked_each_time_and_may_fail():
    answers = iter([None, 5])

    def fails():
        raise RuntimeError

    with bind("c", user_id=lambda: next(answers), school_id=fails):
        assert not hasattr(filtered(), "user_id")
        assert filtered().user_id == 5
        assert not hasattr(filtered(), "school_id")


def test_tasks_keep_apart_and_threads_begin_empty():
    async def task(name):
        with bind(name):
            await asyncio.sleep(0)
            return get_correlation_id()

    async def both():
        return await asyncio.gather(*(task(f"t{number}") for number in range(20)))

    assert asyncio.run(both()) == [f"t{number}" for number in range(20)]
    seen = []
    with bind("main"):
        for run in (lambda f: f, lambda f: lambda: contextvars.copy_context().run(f)):
            context_run = run(lambda: seen.append(get_correlation_id()))
            thread = threading.Thread(target=context_run)
            thread.start()
            thread.join()
    assert seen[0] is None


def test_set_for_the_rest_of_a_context():
    def inside():
        set_correlation_id("job-1")
        return get_correlation_id()

    assert contextvars.copy_context().run(inside) == "job-1"
    assert get_correlation_id() is None
