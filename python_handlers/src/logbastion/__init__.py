"""Logging for Django applications that handle personal and payment data.

``LOGGING = logbastion.logging_config(environment="production", ...)`` is the usual way in; every part also works alone.
"""

from logbastion.config import ConfigurationError, logging_config
from logbastion.correlation import CorrelationIdFilter, bind, get_correlation_id, set_correlation_id
from logbastion.events import log_authentication_attempt, log_payment_event
from logbastion.files import StreamFileHandler
from logbastion.formatters import EventFormatter
from logbastion.metrics import PrometheusLoggingHandler
from logbastion.shipping import ShippingHandler, TcpTransport
from logbastion.streams import stream_for

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "CorrelationIdFilter",
    "EventFormatter",
    "PrometheusLoggingHandler",
    "ShippingHandler",
    "StreamFileHandler",
    "TcpTransport",
    "bind",
    "get_correlation_id",
    "log_authentication_attempt",
    "log_payment_event",
    "logging_config",
    "set_correlation_id",
    "stream_for",
]
