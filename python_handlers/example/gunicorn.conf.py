"""gunicorn's configuration: ``gunicorn -c gunicorn.conf.py aprende_school.wsgi``.

Environment: BIND, TLS_CERTIFICATE_FILE and TLS_KEY_FILE, WEB_CONCURRENCY.
"""

import ipaddress
import logging
import os
import ssl

from logbastion.metrics import child_exit  # noqa: F401 - gunicorn calls it by this name

bind = os.environ.get("BIND") or "127.0.0.1:8000"
workers = int(os.environ.get("WEB_CONCURRENCY") or 4)
timeout = 60
graceful_timeout = 20
control_socket_disable = True  # a way in that nobody here needs
certfile = os.environ.get("TLS_CERTIFICATE_FILE") or None
keyfile = os.environ.get("TLS_KEY_FILE") or None


def _is_loopback(address):
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return address.startswith("unix:")


if not certfile and not _is_loopback(bind):
    raise SystemExit(
        f"BIND is {bind}, which others can reach, but there is no certificate: "
        "set TLS_CERTIFICATE_FILE and TLS_KEY_FILE, or bind to 127.0.0.1."
    )


def ssl_context(config, default_ssl_context_factory):
    """Demand TLS 1.2 or newer."""
    context = default_ssl_context_factory()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def post_worker_init(worker):
    """Leave the evidence that logging began, with what, in this process (PCI DSS v4.0.1, 10.2.1.6)."""
    outputs = [type(handler).__name__ for handler in logging.getLogger().handlers]
    logging.getLogger("system.log_management").info(
        "Logging started in a worker process", extra={"event_type": "logging_started", "outputs": outputs}
    )


def worker_exit(server, worker):
    """Leave the evidence that it ended in order; what is queued is sent when the interpreter exits."""
    logging.getLogger("system.log_management").info(
        "Logging stops in a worker process", extra={"event_type": "logging_stopped"}
    )
