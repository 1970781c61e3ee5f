"""The smallest Django that the tests of the Django parts need."""

import logging

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from logbastion import get_correlation_id

SECRET_KEY = "only-for-tests"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = [
    "logbastion.django",
    "logbastion.django.detection",
    "logbastion.django.incidents",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]
MIDDLEWARE = ["logbastion.django.middleware.CorrelationIdMiddleware"]
ROOT_URLCONF = "django_settings"
LOGGING_CONFIG = None
LOGBASTION_QUIET_PATHS = ("/healthz",)


class User:
    is_authenticated = True
    pk = 12


def hello(request: HttpRequest, name: str) -> JsonResponse:
    logging.getLogger("business.hello").info("inside")
    request.user = User()
    request.school_id = 3
    logging.getLogger("business.hello").info("user is known")
    return JsonResponse({"correlation_id": get_correlation_id()})


async def hello_async(request: HttpRequest) -> JsonResponse:
    logging.getLogger("business.hello").info("inside")
    return JsonResponse({"correlation_id": get_correlation_id()})


def broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("broken page")


def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


urlpatterns = [
    path("hello/<str:name>/", hello),
    path("async/", hello_async),
    path("broken/", broken),
    path("healthz", healthz),
    path("", include("logbastion.django.urls")),
]
