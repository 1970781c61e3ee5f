"""What gives the page its place in the admin's index. There is no table: events are in Elasticsearch and in files."""

from __future__ import annotations

from django.db import models


class SecurityLog(models.Model):  # type: ignore[misc, unused-ignore] # Django may be without types
    """Stands for the security stream."""

    class Meta:
        """Django's options."""

        app_label = "logbastion_security"
        managed = False
        default_permissions = ()
        verbose_name = "security log"
        verbose_name_plural = "security log"
