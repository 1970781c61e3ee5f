"""An application that logs once and counts once, then waits for its end."""

import logging
import logging.config
import os
import signal

import logbastion
import prometheus_client

logging.config.dictConfig(logbastion.logging_config())
prometheus_client.Counter("application_starts", "How often this application was started").inc()
logging.getLogger("business.example").info(
    "The application started", extra={"event_type": "application_started", "pid": os.getpid()}
)
signal.sigwait({signal.SIGTERM})
