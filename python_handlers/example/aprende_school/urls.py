"""All pages of the example."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from school import views

urlpatterns = [
    path("", views.home, name="home"),
    path("login/", LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("search/", views.search, name="search"),
    path("payments/new/", views.new_payment, name="payment"),
    path("schools/<int:school_id>/", views.school, name="school"),
    path("my-data/", views.my_data, name="my-data"),
    path("report/", views.report, name="report"),
    path("broken/", views.broken, name="broken"),
    path("healthz", views.healthz, name="healthz"),
    path("admin/", admin.site.urls),
    path("", include("logbastion.django.urls")),
]
