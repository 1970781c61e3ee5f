"""Gives the page its place in the admin: ``<admin>/logbastion_security/securitylog/``, ``admin:view_security_logs``."""

from __future__ import annotations

import functools
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import path

from logbastion.django.security_page.access import refusal_reason
from logbastion.django.security_page.models import SecurityLog
from logbastion.django.security_page.options import page_settings
from logbastion.django.security_page.views import view_security_logs


@admin.register(SecurityLog)
class SecurityLogAdmin(admin.ModelAdmin):  # type: ignore[misc, type-arg, unused-ignore] # Django may be without types
    """A link in the index for those who may see the page, and the page. Nothing is added, changed or deleted."""

    def get_urls(self) -> list[Any]:
        """Return the page alone, under the guide's name and under that of the index's link."""
        view = functools.partial(view_security_logs, site=self.admin_site)
        functools.update_wrapper(view, view_security_logs)
        # The order matters for nothing but `resolve`, which gives the first: the guide's name.
        return [
            path("", view, name="view_security_logs"),
            path("", view, name="logbastion_security_securitylog_changelist"),
        ]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Say whether the link is shown."""
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether somebody may see the page."""
        try:
            superuser_only = page_settings()["SUPERUSER_ONLY"]
        except ValueError:
            superuser_only = True
        return refusal_reason(getattr(request, "user", None), superuser_only) is None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say no."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say no."""
        return False
