import pytest

from logbastion.shipping import destinations
from logbastion.shipping.destinations import Destination, Route, parse_destinations


def test_names_addresses_and_several():
    assert parse_destinations("observer:5959, [2001:db8::1]:5044,192.0.2.1:1") == (
        Destination("observer", 5959),
        Destination("2001:db8::1", 5044),
        Destination("192.0.2.1", 1),
    )
    assert str(Destination("2001:db8::1", 5044)) == "[2001:db8::1]:5044"


@pytest.mark.parametrize(
    "wrong",
    ["", "observer", "observer:", ":5959", "observer:0", "observer:70000", "observer:x", "2001:db8::1:5959", ","],
)
def test_wrong_ones_get_a_sentence(wrong):
    with pytest.raises(ValueError, match="destination"):
        parse_destinations(wrong)


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(destinations.time, "monotonic", lambda: self.now)


def test_the_first_is_preferred_and_one_that_failed_waits_behind(monkeypatch):
    clock = Clock(monkeypatch)
    route = Route(parse_destinations("a:1,b:1,c:1"), avoid_seconds=30)
    assert route.order() == [0, 1, 2]
    route.failed(0)
    assert route.order() == [1, 2, 0]
    clock.now += 10
    route.failed(1)
    assert route.order() == [2, 0, 1]
    route.failed(2)
    assert route.order() == [0, 1, 2]
    clock.now += 21
    assert route.order() == [0, 1, 2]
    route.failed(0)
    assert route.order() == [1, 2, 0]
    route.worked(0)
    assert route.order() == [0, 1, 2]


def test_whether_another_is_left(monkeypatch):
    clock = Clock(monkeypatch)
    route = Route(parse_destinations("a:1,b:1"), avoid_seconds=30)
    assert route.has_other()
    route.failed(0)
    assert route.has_other()
    route.failed(1)
    assert not route.has_other()
    clock.now += 31
    assert route.has_other()
