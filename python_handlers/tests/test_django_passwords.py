"""Changed passwords: Django has no signal for them, and no query is spent on them."""

import json
import pickle

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django_auth_site import OTHER, PASSWORD, SECURITY, User, log_in, new_client

from logbastion.django import signals


@pytest.fixture
def memory(auth_site):
    return auth_site


@pytest.fixture
def client(auth_site):
    return new_client()


def changes(memory):
    return [event for event in memory.auth() if event["event_type"] == "password_changed"]


class TestPasswordChanged:
    def test_through_the_view(self, client, memory, maria):
        log_in(client)
        before = maria.password
        form = {"old_password": PASSWORD, "new_password1": OTHER, "new_password2": OTHER}
        assert client.post("/password/", form).status_code == 302
        (event,) = changes(memory)
        assert (event["level"], event["user_id"], event["security"]) == ("INFO", maria.pk, SECURITY)
        assert event["extra"] == {"success": True, "changed_by_user_id": maria.pk}
        assert event["correlation_id"] == "c-1"
        maria.refresh_from_db()
        assert maria.check_password(OTHER)
        for secret in (PASSWORD, OTHER, before, maria.password):
            assert secret not in memory.raw()

    def test_a_wrong_old_password_changes_nothing(self, client, memory, maria):
        log_in(client)
        client.post("/password/", {"old_password": "no", "new_password1": OTHER, "new_password2": OTHER})
        assert changes(memory) == []

    def test_by_somebody_else(self, client, memory, maria):
        admin = User.objects.create_user("admin", password=PASSWORD)
        log_in(client, username="admin")
        client.get(f"/reset/{maria.pk}/")
        (event,) = changes(memory)
        assert (event["user_id"], event["extra"]["changed_by_user_id"]) == (maria.pk, admin.pk)

    def test_outside_of_requests_and_by_direct_assignment(self, memory, maria):
        user = User.objects.get(pk=maria.pk)
        user.password = "md5$x$y"
        user.save()
        assert [event["user_id"] for event in changes(memory)] == [maria.pk]
        user.save()
        user.save(update_fields=["password"])
        assert len(changes(memory)) == 1
        user.set_unusable_password()
        user.save(update_fields=["password"])
        assert len(changes(memory)) == 2
        assert "source_ip" not in json.dumps(changes(memory))

    def test_with_deferred_fields(self, memory, maria):
        user = User.objects.only("username").get(pk=maria.pk)
        with CaptureQueriesContext(connection) as queries:
            user.username = "other"
            user.save()
        assert len(queries.captured_queries) == 1
        assert changes(memory) == []
        user.set_password(OTHER)
        user.save()
        assert len(changes(memory)) == 1

    def test_it_counts_when_it_is_saved(self, memory, maria):
        user = User.objects.get(pk=maria.pk)
        user.set_password(OTHER)
        user.save(update_fields=["username"])
        assert changes(memory) == []
        user.save()
        assert len(changes(memory)) == 1

    def test_ordinary_saves_and_log_ins_are_no_change_and_cost_no_query(self, client, memory, maria):
        log_in(client)
        client.get("/save/")
        user = User.objects.get(pk=maria.pk)
        with CaptureQueriesContext(connection) as queries:
            user.save()
        assert len(queries.captured_queries) == 1
        assert changes(memory) == []

    def test_a_hash_that_django_renews_is_no_change(self, client, memory, maria):
        hashers = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", "django.contrib.auth.hashers.MD5PasswordHasher"]
        with override_settings(PASSWORD_HASHERS=hashers):
            log_in(client)
        maria.refresh_from_db()
        assert maria.password.startswith("pbkdf2")
        assert changes(memory) == []

    def test_only_what_is_committed(self, memory, maria):
        user = User.objects.get(pk=maria.pk)
        with pytest.raises(RuntimeError), transaction.atomic():
            user.set_password(OTHER)
            user.save()
            raise RuntimeError
        assert changes(memory) == []
        with transaction.atomic():
            user.set_password(OTHER)
            user.save()
            assert changes(memory) == []
        assert len(changes(memory)) == 1

    def test_a_user_that_was_pickled_is_compared_all_the_same(self, memory, maria):
        user = pickle.loads(pickle.dumps(User.objects.get(pk=maria.pk)))  # noqa: S301 - our own
        user.save()
        assert changes(memory) == []
        user.password = "md5$x$y"
        user.save()
        assert len(changes(memory)) == 1

    def test_the_note_on_the_user_is_not_the_hash(self, maria):
        user = User.objects.get(pk=maria.pk)
        assert [name for name, value in vars(user).items() if value == user.password] == ["password"]

    def test_what_the_documentation_says_is_not_seen(self, memory, maria):
        User.objects.filter(pk=maria.pk).update(password="md5$x$y")
        User.objects.bulk_update([User(pk=maria.pk, password="md5$x$z")], ["password"])
        assert changes(memory) == []

    def test_a_proxy_of_the_user_model(self, memory, maria):
        class Guardian(get_user_model()):
            class Meta:
                proxy = True
                app_label = "auth"

        try:
            signals.connect()  # what `ready` does once all models are there; twice is as once
            user = Guardian.objects.get(pk=maria.pk)
            user.password = "md5$x$y"
            user.save()
            assert len(changes(memory)) == 1
        finally:
            del apps.all_models["auth"]["guardian"]
            apps.clear_cache()
