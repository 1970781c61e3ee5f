from logbastion.shipping.backoff import Backoff


def test_waits_grow_to_the_cap_and_begin_again():
    backoff = Backoff(first=1, cap=8)
    waits = [backoff.next() for _ in range(20)]
    assert 0.25 <= waits[0] <= 1
    assert max(waits) <= 8
    assert min(waits[5:]) >= 2
    backoff.reset()
    assert backoff.next() <= 1


def test_senders_do_not_come_back_at_one_moment():
    assert len({Backoff().next() for _ in range(50)}) > 40


def test_a_long_outage_does_not_overflow():
    backoff = Backoff()
    assert max(backoff.next() for _ in range(2000)) <= 15
