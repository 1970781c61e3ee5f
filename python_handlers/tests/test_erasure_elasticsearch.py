"""What the place "elasticsearch" decides without a cluster; tests/elasticsearch of the repository has a real one."""

import pytest

from logbastion.erasure.elasticsearch import ElasticsearchPlace
from logbastion.erasure.elasticsearch_store import Pace


class Clock:
    """A clock that sleeping sets forward."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(("rate", "takes"), [(100.0, 9.5), (0, 0.0)])
def test_documents_are_kept_at_a_rate(rate, takes):
    clock = Clock()
    pace = Pace(rate, clock=clock, sleep=clock.sleep)
    for _ in range(20):
        pace.take(50)
    assert clock.now == pytest.approx(takes)


def test_time_that_was_not_used_is_not_made_up_for():
    clock = Clock()
    pace = Pace(10, clock=clock, sleep=clock.sleep)
    pace.take(10)
    clock.now = 100.0
    for _ in range(3):
        pace.take(10)
    assert clock.now == pytest.approx(102.0)


@pytest.mark.parametrize(
    ("url", "options", "why"),
    [
        ("http://store1:9200", {}, "not encrypted"),
        ("https://store1:9200,http://store2:9200", {}, "not encrypted"),
        ("https://store1", {}, "host:port"),
        ("https://store1:9200", {"environments": ["Prod-1"]}, "environment"),
        ("https://store1:9200", {"held": ["sales"]}, "no stream 'sales'"),
        ("https://store1:9200", {"documents_per_second": -1}, "0, for no limit, or more"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_sentence(url, options, why):
    with pytest.raises(ValueError, match=why):
        ElasticsearchPlace(url, user="log_eraser", password_file="password", **options)
