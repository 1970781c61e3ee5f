"""``path("", include("logbastion.django.urls"))`` gives ``/metrics``."""

from __future__ import annotations

from django.urls import path

from logbastion.django.views import metrics

app_name = "logbastion"
urlpatterns = [path("metrics", metrics, name="metrics")]
