"""A Django site with log-ins in a database in memory, for the tests of what Django signals."""

import contextlib
import json
import logging
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_settings")
import django

django.setup()
from django.contrib.auth import views as auth_views  # noqa: E402
from django.contrib.auth.decorators import login_required  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.exceptions import PermissionDenied  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpResponse, HttpResponseForbidden  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.urls import path  # noqa: E402

from logbastion import CorrelationIdFilter, EventFormatter  # noqa: E402
from logbastion.client_address import set_trusted_proxies  # noqa: E402
from logbastion.pseudonyms import configure_pseudonyms  # noqa: E402

PASSWORD, OTHER = "correct horse battery", "staple staple staple"
MARIA = "maria.silva@example.org"


def forbidden(request, name):
    return HttpResponseForbidden("no")


def denied(request, name):
    raise PermissionDenied(f"{name} may not")


async def denied_async(request):
    raise PermissionDenied


@login_required
def save_twice(request):
    """An application that saves the user in each request."""
    request.user.first_name = "M"
    request.user.save()
    return HttpResponse(request.user.pk)


def reset_by_an_admin(request, pk):
    request.user.is_authenticated  # noqa: B018 - the page looks at who asks
    user = User.objects.get(pk=pk)
    user.set_password(OTHER)
    user.save()
    return HttpResponse("done")


urlpatterns = [
    path("login/", auth_views.LoginView.as_view(template_name="form.html"), name="login"),
    path("logout/", auth_views.LogoutView.as_view(next_page="/login/"), name="logout"),
    path(
        "password/",
        auth_views.PasswordChangeView.as_view(template_name="form.html", success_url="/login/"),
        name="password_change",
    ),
    path("forbidden/<str:name>/", forbidden),
    path("denied/<str:name>/", denied),
    path("denied-async/", denied_async),
    path("save/", save_twice),
    path("reset/<int:pk>/", reset_by_an_admin),
]

SITE = {
    "ROOT_URLCONF": "django_auth_site",
    "LOGIN_URL": "/login/",
    "LOGIN_REDIRECT_URL": "/login/",
    "MIDDLEWARE": [
        "logbastion.django.middleware.CorrelationIdMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    "TEMPLATES": [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"form.html": "{{ form.errors }}"})]},
        }
    ],
}


class Memory(logging.Handler):
    def __init__(self):
        super().__init__()
        self.addFilter(CorrelationIdFilter())
        self.setFormatter(EventFormatter())
        self.records, self.events = [], []

    def emit(self, record):
        self.records.append(record)
        self.events.append(json.loads(self.format(record)))

    def auth(self):
        return [event for event in self.events if event["logger"] == "accounts.auth"]

    def raw(self):
        return json.dumps(self.events) + "".join(repr(vars(record)) for record in self.records)


def new_client():
    return Client(
        raise_request_exception=False,
        headers={"User-Agent": "Browser", "X-Correlation-ID": "c-1"},
        REMOTE_ADDR="192.0.2.7",
    )


def log_in(client, password=PASSWORD, username=MARIA):
    return client.post("/login/", {"username": username, "password": password})


SECURITY = {"source_ip": "192.0.2.7", "user_agent": "Browser"}


@contextlib.contextmanager
def running():
    """Give the site with empty tables; yields what is logged."""
    memory = Memory()
    logging.getLogger().addHandler(memory)
    logging.getLogger().setLevel(logging.INFO)
    call_command("migrate", verbosity=0)
    with override_settings(**SITE):
        try:
            yield memory
        finally:
            User.objects.all().delete()
            set_trusted_proxies(None)
            configure_pseudonyms(None)
