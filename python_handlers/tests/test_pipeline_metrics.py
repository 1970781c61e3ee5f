"""What the pipeline tells of itself: redaction, certificates."""

import datetime
import logging
import os

import pytest
import trustme
from prometheus_client import REGISTRY

from logbastion import EventFormatter, PrometheusLoggingHandler
from logbastion.certificate_metrics import watch_certificates
from logbastion.metrics import scrape
from logbastion.redaction_counts import RedactionCounts, counts
from logbastion.shipping.status import ShippingCounts
from logbastion.shipping_metrics import ShippingMetrics

EXPIRY = "logbastion_certificate_expiry_timestamp_seconds"


def record(message="plain", **extra):
    made = logging.LogRecord("business", logging.INFO, "f", 1, message, (), None)
    made.__dict__.update(extra)
    return made


def redacted():
    scrape()
    return REGISTRY.get_sample_value("logbastion_events_redacted_total")


@pytest.mark.parametrize(
    "made",
    [
        record("card 4242 4242 4242 4242"),
        record(email="maria@example.org"),
        record(password="x"),  # this field is left out
        record(nested={"deep": [{"note": "maria@example.org"}]}),
        record(card_number=4242424242424242),
        record(**{"maria@example.org": 1}),
    ],
)
def test_an_event_with_a_secret_counts_once(made):
    before = redacted()
    formatter = EventFormatter()
    formatter.format(made)
    formatter.format(made)  # the second output writes what the first has made
    assert redacted() == before + 1


@pytest.mark.parametrize("made", [record(), record(user_id=12, correlation_id="a-1", path="/schools/3/", took=1.5)])
def test_an_event_without_one_does_not_count(made):
    before = redacted()
    EventFormatter().format(made)
    assert redacted() == before


def test_an_event_that_could_not_be_redacted_counts_as_a_failure():
    def fails(_event):
        raise ValueError("broken")

    scrape()
    before = REGISTRY.get_sample_value("logbastion_redaction_failures_total")
    EventFormatter(gate=fails).format(record())
    scrape()
    assert REGISTRY.get_sample_value("logbastion_redaction_failures_total") == before + 1


@pytest.mark.parametrize(
    "publish", [lambda: PrometheusLoggingHandler().handle(record()), lambda: ShippingMetrics()(ShippingCounts())]
)
def test_counts_are_published_without_a_scrape(publish):
    before = redacted()
    EventFormatter().format(record("maria@example.org"))
    publish()
    assert REGISTRY.get_sample_value("logbastion_events_redacted_total") == before + 1


def test_what_a_parent_has_not_published_is_not_the_childs():
    own = RedactionCounts()
    own.redacted += 2
    own.forget()
    own.failed += 1
    assert own.take() == (0, 1)
    assert own.take() == (0, 0)


def test_a_fork_takes_nothing_with_it():
    scrape()
    counts.redacted += 3
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, repr(counts.take()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"(0, 0)"
    assert counts.take() == (3, 0)


@pytest.fixture
def files(tmp_path):
    yield tmp_path / "ca.crt", tmp_path / "client.crt"
    watch_certificates({})


def write(path, *ends):
    authority = trustme.CA()
    path.write_bytes(
        b"".join(authority.issue_cert("a.example.org", not_after=end).cert_chain_pems[0].bytes() for end in ends)
    )


def test_certificates_are_those_of_the_files_as_they_are_now(files):
    ca, client = files
    soon, late = (datetime.datetime(year, 3, 1, tzinfo=datetime.timezone.utc) for year in (2031, 2033))
    write(ca, late)
    write(client, late, soon)
    watch_certificates({"ca": str(ca), "client": str(client)})
    assert REGISTRY.get_sample_value(EXPIRY, {"name": "ca"}) == late.timestamp()
    assert REGISTRY.get_sample_value(EXPIRY, {"name": "client"}) == soon.timestamp()
    write(client, late)
    assert REGISTRY.get_sample_value(EXPIRY, {"name": "client"}) == late.timestamp()


def test_a_file_that_is_no_certificate_has_no_date(files):
    ca, client = files
    ca.write_text("nothing")
    watch_certificates({"ca": str(ca), "client": str(client)})
    assert REGISTRY.get_sample_value(EXPIRY, {"name": "ca"}) is None
    assert REGISTRY.get_sample_value(EXPIRY, {"name": "client"}) is None


def test_only_known_names(files):
    with pytest.raises(ValueError, match=r"\['server'\] name no certificate that shipping uses"):
        watch_certificates({"server": "x"})
