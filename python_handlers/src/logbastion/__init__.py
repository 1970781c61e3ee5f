"""Logging for Django applications that handle personal and payment data.

``LOGGING = logbastion.logging_config(environment="production", ...)`` is the usual way in; every part also works alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from logbastion.asynchronous import AsyncFileHandler, AsyncLoggingSetup
from logbastion.client_address import TrustedProxies, get_client_ip, get_user_agent, set_trusted_proxies
from logbastion.compact import MemoryEfficientFormatter
from logbastion.correlation import CorrelationIdFilter, bind, get_correlation_id, set_correlation_id
from logbastion.events import log_authentication_attempt, log_payment_event, masked_email
from logbastion.files import StreamFileHandler
from logbastion.formatters import EventFormatter
from logbastion.lazy import LazyLogMessage, conditional_debug
from logbastion.pci import PCIDSSCompliantLogger
from logbastion.pseudonym_keys import PseudonymKeyError
from logbastion.pseudonyms import Pseudonymizer, configure_pseudonyms
from logbastion.rate_limit import RateLimitFilter
from logbastion.recent import CircularBufferHandler
from logbastion.redaction import Classification, ClassificationError, RedactionFilter, Redactor
from logbastion.sanitize import sanitize_log_input
from logbastion.shipping import ShippingHandler, TcpTransport
from logbastion.streams import stream_for

if TYPE_CHECKING:
    from logbastion.config import ConfigurationError, logging_config
    from logbastion.erasure.manager import GDPRLogManager
    from logbastion.incidents import IncidentDetectionHandler, IncidentDetector
    from logbastion.metrics import PrometheusLoggingHandler
    from logbastion.sampling import LogSampler
    from logbastion.timed_rotating import CompressedTimedRotatingFileHandler

__version__ = "0.1.0"

__all__ = [
    "AsyncFileHandler",
    "AsyncLoggingSetup",
    "CircularBufferHandler",
    "Classification",
    "ClassificationError",
    "CompressedTimedRotatingFileHandler",
    "ConfigurationError",
    "CorrelationIdFilter",
    "EventFormatter",
    "GDPRLogManager",
    "IncidentDetectionHandler",
    "IncidentDetector",
    "LazyLogMessage",
    "LogSampler",
    "MemoryEfficientFormatter",
    "PCIDSSCompliantLogger",
    "PrometheusLoggingHandler",
    "PseudonymKeyError",
    "Pseudonymizer",
    "RateLimitFilter",
    "RedactionFilter",
    "Redactor",
    "ShippingHandler",
    "StreamFileHandler",
    "TcpTransport",
    "TrustedProxies",
    "bind",
    "conditional_debug",
    "configure_pseudonyms",
    "get_client_ip",
    "get_correlation_id",
    "get_user_agent",
    "log_authentication_attempt",
    "log_payment_event",
    "logging_config",
    "masked_email",
    "sanitize_log_input",
    "set_correlation_id",
    "set_trusted_proxies",
    "stream_for",
]


_LATER: Final = {
    "CompressedTimedRotatingFileHandler": "logbastion.timed_rotating",
    "ConfigurationError": "logbastion.config",
    "GDPRLogManager": "logbastion.erasure.manager",
    "IncidentDetectionHandler": "logbastion.incidents",
    "IncidentDetector": "logbastion.incidents",
    "LogSampler": "logbastion.sampling",
    "PrometheusLoggingHandler": "logbastion.metrics",
    "logging_config": "logbastion.config",
}
"""What brings archives, compression, detection or Prometheus's client with it: megabytes in each worker."""


def __getattr__(name: str) -> Any:
    """Import what :data:`_LATER` names, for those who use it."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_LATER[name]), name)
    return found
