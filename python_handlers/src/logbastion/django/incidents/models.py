"""The table of incidents that all workers share. Times are seconds since 1970."""

from __future__ import annotations

from typing import Any

from django.db import models


class IncidentBook(models.Model):  # type: ignore[misc, unused-ignore] # Django may be without types
    """The incidents of one service; see :mod:`logbastion.incidents.book`. The key is a digest of its name."""

    scope: Any = models.CharField(max_length=64, primary_key=True)
    # Not JSONField: what is read must be what was written, to see whether a step has changed it.
    content: Any = models.TextField(default="{}")
    forget_at: Any = models.FloatField(default=0.0)

    class Meta:
        """Django's options."""

        app_label = "logbastion_incidents"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.scope)
