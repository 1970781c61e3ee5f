"""Pages of the example; each logs what happens on it, on the logger that the guide names for it."""

import logging
import os
import time

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from logbastion.events import get_client_ip
from school import payments
from school.forms import PaymentForm, SearchForm
from school.models import Payment, School, Student

MANY_SCHOOLS = 3
REPORT_SECONDS = float(os.environ.get("REPORT_SECONDS") or 0.4)

_search = logging.getLogger("business.search")
_security = logging.getLogger("security.events")
_privacy = logging.getLogger("privacy.gdpr")
_performance = logging.getLogger("performance")


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Show where one can go."""
    return render(request, "school/home.html", {"schools": School.objects.order_by("pk")})


@require_safe
@login_required
def search(request: HttpRequest) -> HttpResponse:
    """Find students of one's own school by name."""
    form = SearchForm(request.GET or None)
    students = None
    if form.is_valid():
        term = form.cleaned_data["q"]
        students = list(Student.objects.filter(school_id=request.school_id, name__icontains=term)[:50])
        # The term itself is not logged: here it is the name of a child.
        _search.info(
            "User search performed",
            extra={"event_type": "user_search", "search_length": len(term), "result_count": len(students)},
        )
    return render(request, "school/search.html", {"form": form, "students": students})


@sensitive_post_parameters("card_number")
@require_http_methods(["GET", "POST"])
@login_required
def new_payment(request: HttpRequest) -> HttpResponse:
    """Pay for a student of one's own school."""
    form = PaymentForm(request.POST or None)
    form.fields["student"].queryset = Student.objects.filter(school_id=request.school_id)
    payment, refusal, status = None, None, 200
    if request.method == "POST":
        if form.is_valid():
            try:
                payment = payments.pay(request.user, **form.cleaned_data)
            except payments.PaymentRefusedError as error:
                refusal, status = str(error), error.status
        else:
            status = 400
    context = {"form": form, "payment": payment, "refusal": refusal}
    return render(request, "school/payment.html", context, status=status)


@require_safe
@login_required
def school(request: HttpRequest, school_id: int) -> HttpResponse:
    """Show a school's students, to its members and to those who may see all schools."""
    found = get_object_or_404(School, pk=school_id)
    if found.pk != request.school_id:
        if not request.user.membership.may_see_other_schools:
            _security.warning(
                "Access to another school was denied",
                extra={
                    # Which school was asked for; the answer 403 itself is logged by logbastion as permission_denied.
                    "event_type": "school_access_denied",
                    "access_denied": True,
                    "requested_school_id": found.pk,
                    "source_ip": get_client_ip(request),
                },
            )
            raise PermissionDenied
        _watch_schools(request, found.pk)
    return render(request, "school/school.html", {"school": found, "students": found.students.order_by("name")})


def _watch_schools(request: HttpRequest, school_id: int) -> None:
    seen = set(request.session.get("schools_accessed", [request.school_id]))
    if school_id in seen:
        return
    seen.add(school_id)
    request.session["schools_accessed"] = sorted(seen)
    if len(seen) > MANY_SCHOOLS:
        _security.warning(
            "Unusual multi-school data access pattern",
            extra={
                "event_type": "data_access_anomaly",
                "alert_type": "data_access_anomaly",
                "schools_accessed": sorted(seen),
                "school_count": len(seen),
                "severity": "MEDIUM",
                "risk_score": 0.5,
                "source_ip": get_client_ip(request),
            },
        )


@require_safe
@login_required
def my_data(request: HttpRequest) -> HttpResponse:
    """Give a person the data that is kept about them (GDPR, articles 15 and 20)."""
    records = Payment.objects.filter(paid_by=request.user).order_by("created")
    body = {
        "user": {"username": request.user.username, "email": request.user.email},
        "payments": [{"id": p.intent_id, "amount": str(p.amount), "created": p.created} for p in records],
    }
    _privacy.info(
        "Personal data exported for the person it is about",
        extra={"event_type": "gdpr_export", "process_status": "completed", "record_count": len(body["payments"])},
    )
    return JsonResponse(body, headers={"Content-Disposition": 'attachment; filename="my-data.json"'})


@require_safe
@login_required
def report(request: HttpRequest) -> HttpResponse:
    """Make a report slowly."""
    begin = time.perf_counter()
    time.sleep(REPORT_SECONDS)  # stands for a slow service that the report asks
    count = Student.objects.filter(school_id=request.school_id).count()
    _performance.warning(
        "Slow operation",
        extra={
            "event_type": "slow_operation",
            "operation": "school_report",
            "duration_ms": round((time.perf_counter() - begin) * 1000, 3),
            "success": True,
        },
    )
    return render(request, "school/report.html", {"count": count})


@require_safe
@login_required
def broken(request: HttpRequest) -> HttpResponse:
    """Fail, as pages with a mistake do: the average of a school without grades."""
    grades: list[int] = []
    return HttpResponse(str(sum(grades) / len(grades)))


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Say whether the application can serve, its database included."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM school_school LIMIT 1")
    return HttpResponse("ok\n", content_type="text/plain")
