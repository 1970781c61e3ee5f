"""Settings of the example. What differs between machines comes from the environment; see example/README.md."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

import logbastion

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = os.environ.get("DJANGO_DEBUG") == "1"


def _secret_key() -> str:
    file = os.environ.get("DJANGO_SECRET_KEY_FILE")
    if file:
        try:
            key = Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ImproperlyConfigured(f"DJANGO_SECRET_KEY_FILE: {error}") from None
        if len(key) >= 32:
            return key
        raise ImproperlyConfigured(
            f"The file {file} (DJANGO_SECRET_KEY_FILE) must hold a key of 32 characters or more."
        )
    if DEBUG:
        return "development-only-" * 3
    raise ImproperlyConfigured("Set DJANGO_SECRET_KEY_FILE to a file with a random key of 32 characters or more.")


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = [host for host in os.environ.get("DJANGO_ALLOWED_HOSTS", "").split(",") if host]

INSTALLED_APPS = [
    "logbastion.django.detection",  # sees guessed passwords across the workers
    "logbastion.django.incidents",  # the table of incidents, which all workers share
    "logbastion.django",  # logs log-ins, log-outs, refusals and changed passwords; adds to manage.py check
    "logbastion.django.security_page",  # shows the security log to those who may see it, in the admin
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "school",
]

MIDDLEWARE = [
    "logbastion.django.middleware.CorrelationIdMiddleware",  # first: whatever comes after it logs with the id
    "logbastion.django.detection.middleware.BlockedAddressMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",  # the admin's styles; gunicorn serves no files
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "school.middleware.SchoolMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "aprende_school.urls"
WSGI_APPLICATION = "aprende_school.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE_PATH") or BASE_DIR / "school.sqlite3",
        # Several workers write: take the lock when the transaction begins, and wait for it instead of failing.
        "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL;"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # straight from the packages, without a copy of collectstatic
WHITENOISE_AUTOREFRESH = False

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"

SESSION_COOKIE_SECURE = not DEBUG
CSRF_COOKIE_SECURE = not DEBUG
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Unless it is asked for, nobody is refused: behind a proxy that LOGBASTION_TRUSTED_PROXIES does not name, that would be
# everybody.
LOGBASTION_DETECTION = {"STORE": "database", "BLOCKING": os.environ.get("DETECTION_BLOCKING") or "dry_run"}
# Where it reads is in the environment. The guide wants superusers; here the permission is enough, so that an officer
# can look without being able to change everything.
LOGBASTION_SECURITY_PAGE = {"SUPERUSER_ONLY": False}
# A health check every few seconds and every scrape are no requests of people.
LOGBASTION_QUIET_PATHS = ("/healthz", "/metrics")
LOGGING = logbastion.logging_config(
    metric_loggers=["business.search"],
    incidents={
        "store": "database",
        "responses": {
            "database_health": {"function": "logbastion.django.incidents.health.database_health"},
        },
    },
)
