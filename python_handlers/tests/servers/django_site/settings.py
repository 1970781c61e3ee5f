"""Settings that log when they are loaded: by the reloader, and by each server that it starts."""

import os

from numbered_events import connect, log_numbers

SECRET_KEY = "only-for-tests"
DEBUG = True
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS: list[str] = []
MIDDLEWARE: list[str] = []
DATABASES: dict[str, object] = {}
ROOT_URLCONF = "urls"
LOGGING_CONFIG = None

connect()
log_numbers(1000 * os.getpid(), 1000 * os.getpid() + 50)
