from prometheus_client import REGISTRY

from logbastion.shipping.status import DROP_REASONS, ShippingCounts
from logbastion.shipping_metrics import ShippingMetrics
from logbastion.streams import STREAMS


def value(name, **labels):
    return REGISTRY.get_sample_value(f"logbastion_{name}", labels)


def test_every_drop_is_born_at_zero():
    ShippingMetrics()
    for stream in STREAMS:
        for reason in DROP_REASONS:
            assert value("events_dropped_total", stream=stream, reason=reason) is not None


def test_absolute_counts_become_increases():
    publish = ShippingMetrics()
    before = value("events_queued_total"), value("events_dropped_total", stream="audit", reason="spool_full")
    publish(ShippingCounts(queued=5, dropped={("audit", "spool_full"): 1}))
    publish(ShippingCounts(queued=7, dropped={("audit", "spool_full"): 3}))
    assert value("events_queued_total") == before[0] + 7
    assert value("events_dropped_total", stream="audit", reason="spool_full") == before[1] + 3


def test_counts_that_begin_anew_are_added():
    publish = ShippingMetrics()
    before = value("events_shipped_total")
    publish(ShippingCounts(shipped=10))
    publish(ShippingCounts(shipped=2))  # the child of a fork
    assert value("events_shipped_total") == before + 12


def test_what_waits_is_shown_as_it_is():
    publish = ShippingMetrics()
    publish(ShippingCounts(spool_bytes=100, memory_bytes=7, oldest_seconds=2.5))
    publish(ShippingCounts(spool_bytes=50, memory_bytes=0, oldest_seconds=0.0))
    assert (value("spool_bytes"), value("spool_memory_bytes"), value("spool_oldest_seconds")) == (50, 0, 0)
