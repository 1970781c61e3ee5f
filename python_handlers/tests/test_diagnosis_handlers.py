"""Which live handlers pass the redaction, and which send in clear."""

import argparse
import logging
import logging.handlers
import re

import pytest

from logbastion import EventFormatter, RedactionFilter
from logbastion.diagnosis import (
    handler_findings,
)
from logbastion.files import StreamFileHandler
from logbastion.metrics import PrometheusLoggingHandler
from logbastion.recent import CircularBufferHandler
from logbastion.shipping import ShippingHandler
from logbastion.shipping.transports import UdpTransport

pytestmark = pytest.mark.usefixtures("clean_environment")


def ids(found):
    return [finding.id.removeprefix("logbastion.") for finding in found]


def without_pytests_own(logger):
    """Take away what pytest attaches when the test begins, also to loggers that do not propagate."""
    logger.handlers[:] = [one for one in logger.handlers if not type(one).__module__.startswith("_pytest")]


class TestHandlers:
    @pytest.fixture
    def attach(self, logger):
        logger.setLevel(logging.INFO)

        def attach(handler, *filters, formatter=None):
            handler.filters += filters
            if formatter is not None:
                handler.setFormatter(formatter)
            logger.addHandler(handler)
            return handler

        return attach

    def found(self, logger):
        """Return what is found about the test's own logger; libraries may have handlers as well."""
        return [one for one in handler_findings("production") if repr(logger.name) in one.message]

    def test_one_outside_of_the_gate(self, attach, logger, tmp_path):
        attach(logging.FileHandler(tmp_path / "plain.log"), formatter=logging.Formatter())
        attach(logging.StreamHandler())
        attach(StreamFileHandler(tmp_path), formatter=logging.Formatter())
        assert ids(self.found(logger)) == ["E050"] * 3
        assert "FileHandler" in self.found(logger)[0].message

    def test_those_through_the_gate_and_those_that_write_nothing(self, attach, logger, tmp_path):
        attach(logging.StreamHandler(), formatter=EventFormatter())
        attach(logging.StreamHandler(), RedactionFilter())
        attach(logging.NullHandler())
        attach(PrometheusLoggingHandler())
        attach(StreamFileHandler(tmp_path))
        attach(CircularBufferHandler())
        assert self.found(logger) == []

    def test_a_memory_handler_is_judged_by_its_target(self, attach, logger):
        target = logging.StreamHandler()
        attach(logging.handlers.MemoryHandler(10, target=target), formatter=EventFormatter())
        assert ids(self.found(logger)) == ["E050"]
        target.setFormatter(EventFormatter())
        assert self.found(logger) == []

    def test_a_redaction_before_a_memory_handler_does_not_hide_the_network_behind_it(self, attach, logger):
        target = logging.handlers.SocketHandler("192.0.2.1", 9020)
        attach(logging.handlers.MemoryHandler(10, target=target), RedactionFilter())
        assert ids(self.found(logger)) == ["E051"]

    def test_a_queue_is_judged_by_its_listener_where_it_is_known(self, attach, logger):
        handler = attach(logging.handlers.QueueHandler(argparse.Namespace()))
        assert ids(self.found(logger)) == ["E050"]
        assert "QueueHandler" in self.found(logger)[0].message
        target = logging.StreamHandler()
        handler.listener = argparse.Namespace(handlers=(target,))
        assert "StreamHandler" in self.found(logger)[0].message
        target.setFormatter(EventFormatter())
        assert self.found(logger) == []

    def test_handlers_that_hand_on_in_a_circle(self, attach, logger):
        handler = attach(logging.handlers.MemoryHandler(10))
        assert self.found(logger) == []
        handler.setTarget(handler)
        assert ids(self.found(logger)) == ["E050"]
        handler.setTarget(None)

    @pytest.mark.parametrize(
        ("kind", "arguments", "options"),
        [
            ("SocketHandler", ("192.0.2.1", 9020), {}),
            ("DatagramHandler", ("logs.example.org", 9020), {}),
            ("SysLogHandler", (("192.0.2.1", 514),), {}),
            ("HTTPHandler", ("logs.example.org:8080", "/"), {}),
            ("SMTPHandler", ("mail.example.org", "a@example.org", ["b@example.org"], "s"), {}),
        ],
    )
    def test_the_network_in_the_open(self, attach, logger, kind, arguments, options):
        attach(getattr(logging.handlers, kind)(*arguments, **options), RedactionFilter())
        (finding,) = self.found(logger)
        assert finding.id == "logbastion.E051"
        assert re.search(r"to (192\.0\.2\.1|\w+\.example\.org)", finding.message)

    @pytest.mark.parametrize(
        ("kind", "arguments", "options"),
        [
            ("SocketHandler", ("127.0.0.1", 9020), {}),
            ("SocketHandler", ("/run/logs.sock", None), {}),
            ("SysLogHandler", (), {}),
            ("HTTPHandler", ("localhost:8080", "/"), {}),
            ("HTTPHandler", ("[::1]:8080", "/"), {}),
            ("HTTPHandler", ("logs.example.org", "/"), {"secure": True}),
            ("SMTPHandler", ("mail.example.org", "a@example.org", ["b@example.org"], "s"),
             {"credentials": ("a", "b"), "secure": ()}),
        ],
    )  # fmt: skip
    def test_this_host_and_tls_are_fine(self, attach, logger, kind, arguments, options):
        attach(getattr(logging.handlers, kind)(*arguments, **options), RedactionFilter())
        assert self.found(logger) == []

    @pytest.mark.parametrize(("host", "found"), [("192.0.2.1", ["E051"]), ("127.0.0.1", [])])
    def test_datagrams_of_this_package(self, attach, logger, host, found):
        handler = attach(ShippingHandler(UdpTransport(f"{host}:9020", plaintext=True)))
        try:
            assert ids(self.found(logger)) == found
        finally:
            handler.close()

    @pytest.mark.parametrize(
        ("environment", "levels", "found"),
        [
            ("production", (logging.DEBUG, logging.NOTSET), ["E052"]),
            ("lab", (logging.DEBUG, logging.NOTSET), ["E052"]),
            ("production", (15, logging.NOTSET), ["E052"]),
            ("production", (logging.DEBUG, logging.INFO), []),
            ("production", (logging.INFO, logging.NOTSET), []),
            ("staging", (logging.DEBUG, logging.NOTSET), []),
            ("development", (logging.DEBUG, logging.NOTSET), []),
        ],
    )
    def test_what_nobody_has_looked_at(self, attach, logger, environment, levels, found):
        handler = attach(CircularBufferHandler())
        attach(PrometheusLoggingHandler())
        without_pytests_own(logger)
        for one, level in zip((logger, handler), levels, strict=True):
            one.setLevel(level)
        findings = [one for one in handler_findings(environment) if repr(logger.name) in one.message]
        assert ids(findings) == found

    def test_the_handlers_of_the_loggers_above_count_unless_it_does_not_propagate(self, attach, logger):
        attach(CircularBufferHandler())
        child = logger.getChild("child")
        child.setLevel(logging.DEBUG)
        logger.setLevel(logging.INFO)
        findings = [one for one in handler_findings("production") if repr(child.name) in one.message]
        assert ids(findings) == ["E052"]
        child.propagate = False
        assert [one for one in handler_findings("production") if repr(child.name) in one.message] == []

    def test_the_console_alone(self, alone, tmp_path):
        without_pytests_own(alone)
        console = logging.StreamHandler()
        console.setFormatter(EventFormatter())
        alone.addHandler(console)
        alone.addHandler(CircularBufferHandler())
        assert "W053" in ids(handler_findings("production"))
        assert "W053" not in ids(handler_findings("development"))
        alone.addHandler(StreamFileHandler(tmp_path))
        assert "W053" not in ids(handler_findings("production"))

    def test_whoever_connects_otherwise_is_not_judged(self, attach, logger):
        class OverTls(logging.handlers.SocketHandler):
            def makeSocket(self, timeout=1):  # noqa: N802 - logging's name
                raise NotImplementedError

        attach(OverTls("192.0.2.1", 9020), RedactionFilter())
        assert self.found(logger) == []
