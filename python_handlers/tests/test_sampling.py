import os
import random
import signal
import threading

import pytest

from logbastion import sampling
from logbastion.sampling import OVERFLOW, LogSampler


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(sampling.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), float("inf"), "0.5", True])
def test_a_rate_that_is_no_share_is_refused(rate):
    with pytest.raises(ValueError, match="share of all calls"):
        LogSampler(rate)


def test_other_arguments_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="at least one event type"):
        LogSampler(max_event_types=0)
    for interval in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="above 0 seconds"):
            LogSampler().should_log("a", interval)


def test_the_extremes():
    assert {LogSampler(1).should_log("a") for _ in range(10)} == {(True, 1)}
    never = LogSampler(0)
    assert [never.should_log("a") for _ in range(3)] == [(False, 1), (False, 2), (False, 3)]
    assert never.pending() == {"a": 3}


def test_the_share_is_about_right_and_the_sum_is_exact():
    sampler = LogSampler(0.1)
    sampler._random = random.Random(1)
    answers = [sampler.should_log("a") for _ in range(10_000)]
    logged = [count for yes, count in answers if yes]
    assert 900 < len(logged) < 1100
    assert sum(logged) + sum(sampler.pending().values()) == 10_000


def test_forced_by_the_interval_of_the_monotonic_clock(clock):
    sampler = LogSampler(0)
    assert sampler.should_log("a", 300) == (True, 1)
    assert sampler.should_log("a", 300) == (False, 1)
    clock[0] += 299
    assert sampler.should_log("a", 300) == (False, 2)
    clock[0] += 1
    assert sampler.should_log("b", 300) == (True, 1)
    assert sampler.should_log("a", 300) == (True, 3)
    assert sampler.pending() == {}


def test_event_types_are_bounded_and_folded_counts_stay():
    sampler = LogSampler(0, max_event_types=2)
    for name in ("a", "a", "b", "a", "c"):  # b was not asked about for the longest time
        sampler.should_log(name)
    assert sampler.pending() == {"a": 3, "c": 1, OVERFLOW: 1}
    assert sampler.take_pending() == {"a": 3, "c": 1, OVERFLOW: 1}
    assert sampler.pending() == {}
    assert sampler.should_log("b") == (False, 1)


def test_hostile_event_types():
    class Hostile:
        def __str__(self):
            raise RuntimeError

    sampler = LogSampler(0)
    for name in (Hostile(), None, 7, ["a"], "x" * 100_000, "\ud800"):
        sampler.should_log(name)
    assert sum(sampler.pending().values()) == 6
    assert max(map(len, sampler.pending())) <= 1024


def test_sums_are_exact_under_racing_threads_and_folding():
    sampler = LogSampler(0.05, max_event_types=5)
    represented, taken, calls, threads = [], [], 4000, 8
    start = threading.Barrier(threads + 1)

    def call(seed):
        chosen = random.Random(seed)
        total = 0
        start.wait()
        for _ in range(calls):
            yes, count = sampler.should_log(f"type-{chosen.randrange(8)}", 0.0005)
            total += count if yes else 0
        represented.append(total)

    def take():
        start.wait()
        for _ in range(200):
            taken.append(sum(sampler.take_pending().values()))

    running = [threading.Thread(target=call, args=(seed,)) for seed in range(threads)]
    running.append(threading.Thread(target=take))
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert sum(represented) + sum(taken) + sum(sampler.pending().values()) == calls * threads


def test_a_signal_handler_that_samples_neither_deadlocks_nor_falsifies():
    sampler = LogSampler(0.5)
    totals, hits = [0], []

    def interrupt(*_):
        yes, count = sampler.should_log("a")
        hits.append(count if yes else 0)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for _ in range(30_000):
            yes, count = sampler.should_log("a")
            totals[0] += count if yes else 0
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert hits
    assert totals[0] + sum(hits) + sum(sampler.pending().values()) == 30_000 + len(hits)


def test_what_interrupts_the_sampler_itself_is_counted(monkeypatch):
    """The same for certain: a call that comes from within another one, at its most delicate place."""
    sampler = LogSampler(1)
    nested = []

    def interrupting():
        if not nested:
            nested.append(sampler.should_log("a"))
            nested.append(sampler.should_log("never seen"))
            nested.append(sampler.pending())
        return 0.0

    monkeypatch.setattr(sampler._random, "random", interrupting)
    assert sampler.should_log("a") == (True, 1)
    assert nested == [(False, 1), (False, 1), {}]
    assert sampler.pending() == {"a": 1, "never seen": 1}


def test_a_child_counts_from_zero_even_if_a_thread_held_the_lock():
    sampler = LogSampler(0)
    sampler.should_log("a")
    held, done = threading.Event(), threading.Event()

    def hold():
        with sampler._lock:
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # a deadlock ends the child
        os._exit(0 if sampler.pending() == {} and sampler.should_log("a") == (False, 1) else 1)
    done.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert sampler.pending() == {"a": 1}


@pytest.mark.parametrize(
    ("environment", "rate"),
    [("development", 1.0), ("test", 1.0), ("staging", 0.1), ("production", 0.1), ("prod", 0.1), (None, 1.0)],
)
def test_without_a_rate_it_is_that_of_the_environment_at_the_first_call(environment, rate, monkeypatch):
    sampler = LogSampler()
    if environment is None:
        monkeypatch.delenv("LOGBASTION_ENVIRONMENT", raising=False)
    else:
        monkeypatch.setenv("LOGBASTION_ENVIRONMENT", environment)
    answers = [sampler.should_log("a") for _ in range(2000)]
    logged = [count for yes, count in answers if yes]
    assert sum(logged) + sum(sampler.pending().values()) == 2000
    assert len(logged) == 2000 if rate == 1.0 else 100 < len(logged) < 300
    assert sampler.sample_rate == rate
    monkeypatch.setenv("LOGBASTION_ENVIRONMENT", "development" if rate < 1 else "production")
    assert sampler.sample_rate == rate  # the events of one sampler all say the same rate


def test_a_rate_that_is_given_counts_in_every_environment(monkeypatch):
    monkeypatch.setenv("LOGBASTION_ENVIRONMENT", "production")
    assert LogSampler(1).sample_rate == 1.0
    assert LogSampler(0).sample_rate == 0.0
