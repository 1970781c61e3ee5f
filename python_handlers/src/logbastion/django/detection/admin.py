"""The admin's page of blocked addresses: what is blocked now, in whichever store, and an action to lift it.

It needs ``django.contrib.admin`` among the installed applications, and the permissions
``logbastion_detection.view_addressblock`` to list and ``logbastion_detection.delete_addressblock`` to lift.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from logbastion.detection import Block, SecurityEventDetector, security_detector
from logbastion.django.detection.models import AddressBlock


@admin.register(AddressBlock)
class AddressBlockAdmin(admin.ModelAdmin):  # type: ignore[misc, type-arg, unused-ignore] # Django may be without types
    """Lists and lifts. Nothing is added or changed here: blocks come from what has happened."""

    actions = ("lift_blocks",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say no."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say no."""
        return False

    def change_view(self, request: HttpRequest, *_arguments: Any, **_values: Any) -> HttpResponse:
        """Refuse: a block has no page of its own, and is lifted in the list so that the store and the audit know."""
        raise PermissionDenied

    delete_view = change_view
    history_view = change_view

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """List, and lift what was chosen."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        detector = security_detector()
        if detector is None:
            messages.warning(request, "Detection is off: set LOGBASTION_DETECTION.")
        elif request.method == "POST":
            self._run_action(request)
            return HttpResponseRedirect(request.path)
        context = {
            **self.admin_site.each_context(request),
            "title": "Blocked addresses",
            "opts": self.opts,
            "blocks": self._listed(request, detector),
            "actions": [(name, description) for _, name, description in self.get_actions(request).values()],
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/logbastion_detection/blocks.html", context)

    @staticmethod
    def _listed(request: HttpRequest, detector: SecurityEventDetector | None) -> list[tuple[Block, datetime.datetime]]:
        if detector is None:
            return []
        try:
            blocks = detector.blocks.listed()
        except Exception as error:  # of a store, each has its own
            messages.error(request, f"The store of detection fails: {type(error).__name__}.")
            return []
        return [(block, datetime.datetime.fromtimestamp(block.until, datetime.timezone.utc)) for block in blocks]

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions that somebody may run: Django's own one would delete rows, which is no lifting."""
        actions: dict[str, Any] = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    @admin.action(description="Lift the chosen blocks", permissions=["delete"])
    def lift_blocks(self, request: HttpRequest, queryset: Iterable[AddressBlock]) -> None:
        """Lift blocks, in whichever store they are.

        Args:
            request: of Django; who lifts is noted.
            queryset: what was chosen; with the store Redis they are in no table.

        """
        detector = security_detector()
        if detector is None:
            messages.error(request, "Detection is off: set LOGBASTION_DETECTION.")
            return
        for chosen in queryset:
            network = str(chosen.network)
            try:
                lifted = detector.blocks.lift(network, by=f"user:{request.user.pk}")
            except ValueError as error:
                messages.error(request, str(error))
            except Exception as error:  # of a store, each has its own
                messages.error(request, f"The store of detection fails: {type(error).__name__}.")
            else:
                messages.info(request, f"{network} {'was not blocked' if lifted is None else 'is lifted'}.")

    def _run_action(self, request: HttpRequest) -> None:
        chosen = request.POST.getlist(ACTION_CHECKBOX_NAME)
        actions = self.get_actions(request)
        name = request.POST.get("action", "")
        if name not in actions:
            raise PermissionDenied
        if not chosen:
            messages.warning(request, "Nothing was chosen: tick the addresses first.")
            return
        actions[name][0](self, request, [AddressBlock(network=network) for network in chosen])
