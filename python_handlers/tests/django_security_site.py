"""The admin with the security log page, for its tests: staff of each kind, and a log directory with numbered events."""

import contextlib
import datetime
import json
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_settings")
import django

django.setup()
from django.conf import settings  # noqa: E402
from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import Permission, User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.urls import clear_url_caches, path  # noqa: E402
from django_auth_site import PASSWORD, SITE  # noqa: E402

PAGE = "/admin/logbastion_security/securitylog/"
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
APPS = [*settings.INSTALLED_APPS, "logbastion.django.security_page"]
ADMIN = {
    "ROOT_URLCONF": "django_security_site",
    "INSTALLED_APPS": APPS,
    "STATIC_URL": "/static/",
    "MIDDLEWARE": [*SITE["MIDDLEWARE"], "django.contrib.messages.middleware.MessageMiddleware"],
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
}


urlpatterns = []


@contextlib.contextmanager
def running(directory, **page):
    """Give the site; ``page`` is its setting."""
    with override_settings(**ADMIN, LOGBASTION_SECURITY_PAGE={"LOG_DIRECTORY": str(directory), **page}):
        from logbastion.django.security_page.admin import SecurityLogAdmin
        from logbastion.django.security_page.models import SecurityLog

        # Only while its application is installed: the index of other tests would look for it.
        if not admin.site.is_registered(SecurityLog):
            admin.site.register(SecurityLog, SecurityLogAdmin)
        urlpatterns[:] = [path("admin/", admin.site.urls), path("", lambda request: HttpResponse("home"))]
        clear_url_caches()
        if not Permission.objects.filter(codename="view_security_logs").exists():
            call_command("migrate", verbosity=0)
        try:
            yield
        finally:
            admin.site.unregister(SecurityLog)


def client_of(name, *, staff=True, superuser=False, may=False, **more):
    """Return a client in which somebody is logged in."""
    user = User.objects.create_user(name, password=PASSWORD, is_staff=staff, is_superuser=superuser)
    if may:
        user.user_permissions.add(Permission.objects.get(codename="view_security_logs"))
    if more:
        user.user_permissions.add(*Permission.objects.filter(codename__in=more["codenames"]))
    client = Client(REMOTE_ADDR="198.51.100.9")
    client.force_login(user)
    client.user = user
    return client


def event(number, ago=datetime.timedelta(0), **values):
    """Return an event as it stands in the file."""
    moment = (NOW - ago).strftime("%Y-%m-%dT%H:%M:%S") + f".{number:06}Z"
    return {
        "@timestamp": moment,
        "level": "INFO",
        "logger": "accounts.auth",
        "message": f"event {number}",
        "event": {"id": f"0190-{number:08}", "dataset": "django.security"},
        "event_type": "authentication_attempt",
        **values,
    }


def write(file, events):
    """Write events as lines."""
    file.write_text("".join(json.dumps(each) + "\n" for each in events), encoding="utf-8")


def text_of(client, query=""):
    """Return the page."""
    answer = client.get(PAGE + query)
    assert answer.status_code == 200
    return answer.content.decode()
