"""``view_security_logs``: the page of the security stream (guide, "Role-Based Access Control")."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from logbastion.detection import security_detector
from logbastion.django.security_page.access import log_access, refusal_reason
from logbastion.django.security_page.filters import FilterForm, cursor_from, cursor_text
from logbastion.django.security_page.options import elasticsearch_log, file_log, page_settings
from logbastion.django.security_page.picture import picture_of
from logbastion.django.security_page.rows import row_of, visible
from logbastion.security_log import Found, LogAwayError, Query
from logbastion.security_log.query import cursor_of

TEMPLATE: Final = "admin/security_logs.html"
_SCRIPTS: Final = ("admin/js/theme.js", "admin/js/nav_sidebar.js")
_BLOCKS: Final = "logbastion_detection_addressblock"
_MAX_BLOCKS: Final = 200
_LONGEST_TYPE: Final = 128


@sensitive_post_parameters("user")  # type: ignore[untyped-decorator, unused-ignore]
@require_http_methods(["GET", "HEAD", "POST"])  # type: ignore[untyped-decorator, unused-ignore]
@never_cache  # type: ignore[untyped-decorator, unused-ignore]
@csrf_protect  # type: ignore[untyped-decorator, unused-ignore]
def view_security_logs(request: HttpRequest, site: Any = None) -> HttpResponseBase:
    """Show the security stream to staff with the permission ``admin.view_security_logs``.

    By default they must be superusers, too (the guide's rule; ``SUPERUSER_ONLY`` of ``LOGBASTION_SECURITY_PAGE``). The
    view is not wrapped by the admin's own check: that would turn people away before the refusal is logged.

    Args:
        request: a GET with the filter, or a POST of the form, which is answered with a redirect to such a GET.
        site: the admin site that it belongs to; by default Django's.

    Raises:
        PermissionDenied: somebody is logged in who may not see it. Who is not logged in is sent to the log-in.

    """
    site = site if site is not None else admin.site
    request.current_app = site.name  # type: ignore[attr-defined, unused-ignore] # as the admin's own views do
    asked, problem = _settings()
    refused = refusal_reason(getattr(request, "user", None), asked["SUPERUSER_ONLY"])
    posted = request.method == "POST"
    form = FilterForm(
        request.POST.dict() if posted else request.GET.dict(),
        now=datetime.datetime.now(datetime.timezone.utc),
        by_name=posted and refused is None,
    )
    valid = form.is_valid()
    log_access(request, refused, form.for_the_record())
    if refused == "anonymous":
        # Without the filter: it is made again in two steps, and nobody is shown what stands in a link.
        return redirect_to_login(request.path, reverse(f"{site.name}:login"))
    if refused is not None:
        raise PermissionDenied
    if posted and valid:
        return HttpResponseRedirect(f"{request.path}?{form.as_query_string()}")
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": "Security log",
        "form": form,
        "notes": [problem] if problem else [],
        **_blocks(request, site.name),
    }
    if valid and not problem:
        context.update(_answer(request, form, asked))
    response = TemplateResponse(request, TEMPLATE, context)
    response.headers["Content-Security-Policy"] = policy(request)
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


# The middleware that demands a log-in everywhere (Django 5.1) would turn people away before the refusal is logged, too.
view_security_logs.login_required = False  # type: ignore[attr-defined, unused-ignore]


def policy(request: HttpRequest) -> str:
    """Return the page's Content-Security-Policy: no script but the admin's own two files, nothing inline.

    They are the switch between light and dark and the list at the side; the page works without them.
    """
    address = request.build_absolute_uri("/")
    scripts = " ".join(urljoin(address, static(name)).replace(";", "%3B").replace(",", "%2C") for name in _SCRIPTS)
    styles = urlsplit(urljoin(address, static("admin/css/base.css")))
    origin = f"{styles.scheme}://{styles.netloc}"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' {origin}; img-src 'self' {origin}; "
        f"font-src 'self' {origin}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _settings() -> tuple[dict[str, Any], str]:
    """Return the settings; where they cannot be used the strict ones, and a sentence."""
    try:
        asked = page_settings()
        elasticsearch_log(asked)
    except ValueError as error:
        return {"SUPERUSER_ONLY": True}, f"The page cannot be used as it is set: {error}"
    return asked, ""


def _answer(request: HttpRequest, form: FilterForm, asked: dict[str, Any]) -> dict[str, Any]:
    query = _with_cursor(request, form.query(asked["PAGE_SIZE"]))
    found, source, notes = _found(query, asked)
    if found is None:
        return {"notes": notes}
    if query.direction == "newer" and not found.newer:  # the newest page is a full one
        query = dataclasses.replace(query, cursor=None, direction="older")
        found, source, notes = _found(query, asked)
        if found is None:
            return {"notes": notes}
    types = {query.event_type: 0, **dict(found.types)} if query.event_type else dict(found.types)
    if query.event_type and visible(query.event_type, _LONGEST_TYPE) != query.event_type:
        notes.append(f"Shown are only events of the type {visible(query.event_type, _LONGEST_TYPE)}")
    base, events = form.as_query_string(), found.events
    older = cursor_text(cursor_of(events[-1])) if found.older and events else ""
    newer = cursor_text(cursor_of(events[0])) if found.newer and events else ""
    return {
        "found": found,
        "source": source,
        "notes": [visible(note, 600) for note in [*notes, *found.notes]],
        "rows": [row_of(event, form, number) for number, event in enumerate(events, 1)],
        "picture": picture_of(query, found.bars),
        # A type with characters that are not seen comes back from no form as it was; its link in the list does.
        "types": [(kind, count) for kind, count in sorted(types.items()) if visible(kind, _LONGEST_TYPE) == kind],
        "begin": f"{query.since:%Y-%m-%d %H:%M}",
        "end": f"{query.until:%Y-%m-%d %H:%M}",
        "newest_query": base if query.cursor is not None else "",
        "older_query": f"{base}&older={older}" if older else "",
        "newer_query": f"{base}&newer={newer}" if newer else "",
    }


def _with_cursor(request: HttpRequest, query: Query) -> Query:
    older, newer = (cursor_from(request.GET.get(name, "")) for name in ("older", "newer"))
    if older is not None:
        return dataclasses.replace(query, cursor=older)
    if newer is not None:
        return dataclasses.replace(query, cursor=newer, direction="newer")
    return query


def _found(query: Query, asked: dict[str, Any]) -> tuple[Found | None, str, list[str]]:
    """Ask Elasticsearch and, where it is away or there is none, the files; say so."""
    notes: list[str] = []
    store, files = elasticsearch_log(asked), file_log(asked)
    if store is not None:
        try:
            return store.search(query), f"Elasticsearch ({store.index})", notes
        except LogAwayError as error:
            notes.append(f"{error}. Shown is what this host has logged itself, without other hosts.")
    else:
        notes.append("Elasticsearch is not configured: shown is what this host has logged itself.")
    if files is None:
        return None, "", [*notes, "There are no log files to read either: no log directory is configured."]
    try:
        return files.search(query), "the log files of this host", notes
    except OSError as error:
        return None, "", [*notes, f"The log files cannot be read: {error.strerror}."]


def _blocks(request: HttpRequest, site_name: str) -> dict[str, Any]:
    """Return the addresses that are blocked now, and where they are lifted by those who may."""
    detector = security_detector()
    if detector is None:
        return {"blocks": None}
    try:
        blocks = detector.blocks.listed()[:_MAX_BLOCKS]
    except Exception as error:  # of a store, each has its own
        return {"blocks": [], "blocks_problem": f"The store of detection fails: {type(error).__name__}."}
    page = ""
    if request.user.has_perm("logbastion_detection.view_addressblock"):  # type: ignore[union-attr, unused-ignore]
        try:
            page = reverse(f"{site_name}:{_BLOCKS}_changelist")
        except NoReverseMatch:  # another site than that of the blocks
            page = ""
    until = [datetime.datetime.fromtimestamp(block.until, datetime.timezone.utc) for block in blocks]
    return {
        "blocks": [
            {"network": block.network, "reason": visible(block.reason, 64), "dry_run": block.dry_run,
             "until": f"{moment:%Y-%m-%d %H:%M:%S}"}
            for block, moment in zip(blocks, until)  # noqa: B905 - Python 3.10, and both have one length
        ],
        "blocks_page": page,
        "may_lift": request.user.has_perm("logbastion_detection.delete_addressblock"),  # type: ignore[union-attr, unused-ignore]
    }  # fmt: skip
