"""``INSTALLED_APPS = ["logbastion.django", "logbastion.django.security_page", "django.contrib.admin", ...]``."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import router
from django.db.models.signals import post_migrate

CODENAME = "view_security_logs"


class SecurityPageConfig(AppConfig):  # type: ignore[misc, unused-ignore] # Django may be without types
    """Makes the permission ``admin.view_security_logs`` with each ``migrate``."""

    name = "logbastion.django.security_page"
    label = "logbastion_security"
    verbose_name = "Logbastion: security"

    def ready(self) -> None:
        """Start."""
        post_migrate.connect(_make_permission, sender=self, dispatch_uid="logbastion.security_page")


def _make_permission(using: str, apps: Any = None, **_: Any) -> None:
    # The guide's name has the label of the admin, whose models are not ours to change: so it is no Meta.permissions.
    from django.contrib.admin.models import LogEntry  # noqa: PLC0415 - the models are there only now
    from django.contrib.auth.models import Permission  # noqa: PLC0415
    from django.contrib.contenttypes.models import ContentType  # noqa: PLC0415

    if not router.allow_migrate_model(using, Permission):
        return
    kind = ContentType.objects.db_manager(using).get_for_model(LogEntry)
    Permission.objects.using(using).get_or_create(
        codename=CODENAME, content_type=kind, defaults={"name": "Can view security logs"}
    )
