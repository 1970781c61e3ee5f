"""The security log page: who may see it, what is logged about it, its filter, and what a log line cannot do there."""

import datetime
import logging
import re
import urllib.parse

import pytest
from detection_helpers import Events
from django.core.management import call_command
from django.test import Client, RequestFactory, override_settings
from django.urls import resolve, reverse
from django_auth_site import MARIA
from django_security_site import APPS, PAGE, Permission, client_of, event, text_of, write

from logbastion.detection import Blocks, Breaker, MemoryStore, SecurityEventDetector, configure_detection
from logbastion.django.checks import host
from logbastion.django.checks import security_page as checked
from logbastion.pseudonym_keys import add_key
from logbastion.pseudonyms import EMAIL, Pseudonymizer, configure_pseudonyms

pytestmark = pytest.mark.integration  # the tables are made for each


@pytest.fixture
def events():
    handler = Events()
    logging.getLogger("security.events").addHandler(handler)
    yield handler
    logging.getLogger("security.events").removeHandler(handler)


@pytest.fixture
def keys(tmp_path):
    file = tmp_path / "keys"
    add_key(file, "old")
    add_key(file, "new")
    configure_pseudonyms(file)
    return Pseudonymizer.from_file(file)


class TestWhoMaySee:
    def test_its_name_and_its_place_in_the_index(self, officer):
        assert reverse("admin:view_security_logs") == PAGE
        assert f'href="{PAGE}"' in officer.get("/admin/").content.decode()
        assert PAGE not in client_of("plain").get("/admin/").content.decode()

    @pytest.mark.parametrize(
        "who",
        [
            ({"may": True}, False, None),
            ({"may": True, "superuser": True}, True, None),
            ({"superuser": True}, True, None),
            ({"may": True}, True, "not_superuser"),
            ({}, False, "no_permission"),
            ({"may": True, "staff": False}, False, "not_staff"),
            ({"superuser": True, "staff": False}, True, "not_staff"),
        ],
    )
    @pytest.mark.parametrize("method", ["get", "head", "post"])
    def test_each_view_and_each_refusal_is_logged(self, logs, events, who, method):
        who, superuser_only, reason = who
        client = client_of("somebody", **who)
        page = {"LOG_DIRECTORY": str(logs), "SUPERUSER_ONLY": superuser_only}
        with override_settings(LOGBASTION_SECURITY_PAGE=page):
            answer = getattr(client, method)(PAGE, {"event_type": "ip_blocked"})
        assert answer.status_code == (403 if reason else 302 if method == "post" else 200)
        (record,) = events.of("security_log_access")
        assert (record.levelno, record.user_id) == (logging.WARNING if reason else logging.INFO, client.user.pk)
        assert record.source_ip == "198.51.100.9"
        assert record.filter["event_type"] == "ip_blocked"
        assert getattr(record, "reason", None) == reason
        assert getattr(record, "access_denied", False) is bool(reason)
        assert getattr(record, "access_granted", False) is (reason is None)
        if reason:
            assert b"ip_blocked" not in answer.content

    def test_without_a_login_it_is_logged_and_leads_to_the_login(self, logs, events):
        answer = Client(REMOTE_ADDR="203.0.113.5").get(f"{PAGE}?address=192.0.2.7")
        assert (answer.status_code, answer["Location"]) == (302, f"/admin/login/?next={PAGE}")
        (record,) = events.of("security_log_access")
        assert (record.reason, record.access_denied, record.source_ip) == ("anonymous", True, "203.0.113.5")
        assert not hasattr(record, "user_id")

    def test_no_middleware_turns_people_away_before_it_is_logged(self, logs):
        assert resolve(PAGE).func.login_required is False  # what django.contrib.auth.decorators.login_not_required sets

    def test_the_default_is_the_guides_superuser(self, logs):
        with override_settings(LOGBASTION_SECURITY_PAGE={"LOG_DIRECTORY": str(logs)}):
            assert client_of("officer", may=True).get(PAGE).status_code == 403
            assert client_of("boss", superuser=True).get(PAGE).status_code == 200

    def test_who_is_locked_is_nobody(self, officer):
        officer.user.is_active = False
        officer.user.save()
        assert officer.get(PAGE).status_code == 302

    def test_other_methods_are_refused(self, officer):
        assert officer.delete(PAGE).status_code == 405

    def test_the_form_is_protected_against_other_sites(self, officer):
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(officer.user)
        assert strict.post(PAGE, {"span": "1h"}).status_code == 403

    def test_the_permission_is_made_once(self, logs):
        for _ in range(2):
            call_command("migrate", verbosity=0)
        (made,) = Permission.objects.filter(codename="view_security_logs")
        assert made.content_type.app_label == "admin"


class TestFilter:
    def test_a_name_becomes_its_pseudonyms_and_stands_in_no_address_and_no_event(
        self, logs, officer, keys, events, auth_site
    ):
        old, new = keys.all_pseudonyms(EMAIL, MARIA)
        write(logs / "security.log", [
            event(1, extra={"email_pseudonym": old}), event(2, extra={"email_pseudonym": new}),
            event(3, extra={"email_pseudonym": keys.pseudonym(EMAIL, "other@example.org")}),
        ])  # fmt: skip
        answer = officer.post(PAGE, {"user": f" {MARIA.upper()} ", "span": "7d"})
        parts = urllib.parse.parse_qs(urllib.parse.urlsplit(answer["Location"]).query)
        assert parts == {"span": ["7d"], "user": [f"{old},{new}"]}
        page = officer.get(answer["Location"]).content.decode()
        assert "2 events from" in page
        assert ("event 1" in page, "event 2" in page, "event 3" in page) == (True, True, False)
        assert [record.filter["user"] for record in events.of("security_log_access")] == [[old, new]] * 2
        assert "maria" not in auth_site.raw().lower()

    def test_a_name_in_an_address_is_refused_and_not_logged(self, officer, keys, auth_site):
        page = text_of(officer, "?user=maria.silva@example.org")
        assert "Type names into the form" in page
        assert "maria" not in auth_site.raw().lower()

    def test_of_those_who_may_not_see_no_name_is_looked_up(self, logs, keys, events):
        client_of("plain").post(PAGE, {"user": MARIA})
        (record,) = events.of("security_log_access")
        assert "user" not in record.filter

    def test_without_keys_it_says_so(self, officer):
        page = officer.post(PAGE, {"user": MARIA}).content.decode()
        assert "LOGBASTION_PSEUDONYM_KEYS_FILE" in page

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"address": "192.0.2"}, "Write an address such as"),
            ({"correlation_id": "<script>"}, "A correlation id has letters"),
            ({"since": "yesterday"}, "Write a day and a time"),
            ({"until": "1970-01-01T00:00"}, "between the years"),
            ({"since": "2026-01-02T00:00", "until": "2026-01-01T00:00"}, "ends before it begins"),
            ({"span": "9d"}, "Select a valid choice"),
        ],
    )
    def test_what_cannot_be_gets_a_sentence_and_the_field_says_so(self, officer, events, values, sentence):
        for answer in (officer.post(PAGE, values), officer.get(PAGE, values)):
            page = answer.content.decode()
            assert answer.status_code == 200
            assert sentence in page
            assert "events from" not in page
            assert "<script>" not in page.replace("&lt;script&gt;", "")
        assert len(events.of("security_log_access")) == 2

    def test_pages_go_there_and_back(self, logs, officer):
        write(logs / "security.log", [event(number) for number in range(120)])
        seen, query = [], ""
        while True:
            page = text_of(officer, query)
            seen.append(re.findall(r"<bdi>event (\d+)</bdi>", page))
            older = re.search(r'href="(\?[^"]*older=[^"]*)"', page)
            if older is None:
                break
            query = older[1].replace("&amp;", "&")
        assert [int(number) for numbers in seen for number in numbers] == list(reversed(range(120)))
        newer = re.search(r'href="(\?[^"]*newer=[^"]*)"', page)[1].replace("&amp;", "&")
        assert re.findall(r"<bdi>event (\d+)</bdi>", text_of(officer, newer)) == seen[-2]
        newest = newer.partition("&newer")[0] + "&newer=" + urllib.parse.quote(f"{event(119)['@timestamp']}~x")
        assert re.findall(r"<bdi>event (\d+)</bdi>", text_of(officer, newest)) == seen[0]

    @pytest.mark.parametrize("cursor", ["x", "2026-11-26~1", "2026-11-26T00:00:00Z", "2026-11-26T00:00:00Z~<", "~"])
    def test_a_cursor_that_is_none_is_the_first_page(self, officer, cursor):
        assert "2 events from" in text_of(officer, f"?older={cursor}")

    def test_the_types_are_offered_and_the_chosen_one_is_marked(self, officer):
        page = text_of(officer, "?event_type=ip_blocked")
        assert '<option value="ip_blocked" selected>ip_blocked (1)</option>' in page
        assert '<option value="authentication_attempt">authentication_attempt (1)</option>' in page


class TestPicture:
    def test_bars_a_title_a_description_and_the_same_as_a_table(self, logs, officer):
        hours = datetime.timedelta(hours=3)
        write(logs / "security.log", [event(n, hours, level="ERROR" if n < 2 else "INFO") for n in range(8)])
        page = text_of(officer)
        assert 'role="img" aria-labelledby="lb-picture-title lb-picture-description"' in page
        assert "8 events, 2 of them at WARNING or above. Most of them, 8, in the 30 minutes from" in page
        place = r'x="[\d.]+" y="[\d.]+" width="[\d.]+"'
        (bar,) = re.findall(rf'<rect class="lb-bar" {place} height="([\d.]+)"/><rect class="lb-severe"', page)
        assert float(bar) == 142
        severe = re.search(rf'<rect class="lb-severe" {place} height="([\d.]+)"/></g>', page)
        assert float(severe[1]) == 142 / 4
        table = re.search(r"The counts as a table</summary>(.*?)</table>", page, re.DOTALL)[1]
        assert re.findall(r"<td>(\d+)</td>", table) == ["8", "2"]

    def test_numbers_are_points_and_not_commas_in_any_language(self, officer):
        with override_settings(LANGUAGE_CODE="de", USE_THOUSAND_SEPARATOR=True):
            page = text_of(officer)
        assert re.findall(r'(?:x|y|width|height)="[^"]*,', page) == []

    def test_nothing_to_draw(self, logs, officer):
        write(logs / "security.log", [])
        page = text_of(officer)
        assert "There is nothing to draw." in page
        assert "No event matches the filter." in page


class TestBlocks:
    @pytest.fixture
    def detector(self):
        store, breaker = MemoryStore(), Breaker()
        made = SecurityEventDetector(store, blocks=Blocks(store, breaker, mode="enforce"), breaker=breaker)
        configure_detection(made)
        yield made
        configure_detection(None)

    def test_they_are_listed_with_the_way_to_lift_them(self, logs, detector):
        detector.trigger_ip_block("192.0.2.7", "<b>guessing</b>")
        page = text_of(client_of("officer", may=True, codenames=["view_addressblock", "delete_addressblock"]))
        assert '<th scope="row">192.0.2.7</th>' in page
        assert "&lt;b&gt;guessing&lt;/b&gt;" in page
        assert '<a href="/admin/logbastion_detection/addressblock/">Lift blocks</a>' in page
        seen = text_of(client_of("reader", may=True))
        assert '<th scope="row">192.0.2.7</th>' in seen
        assert "addressblock" not in seen

    def test_nobody_is_blocked_or_detection_is_off(self, officer, detector):
        assert "No address is blocked now." in text_of(officer)
        configure_detection(None)
        assert "Blocked addresses" not in text_of(officer)

    def test_the_store_is_away(self, officer, detector, monkeypatch):
        def away():
            raise ConnectionError

        monkeypatch.setattr(detector.blocks, "listed", away)
        assert "The store of detection fails: ConnectionError." in text_of(officer)


class TestSources:
    def test_it_is_said_where_it_is_read(self, officer):
        page = text_of(officer)
        assert "Read from the log files of this host." in page
        assert "Elasticsearch is not configured" in page

    def test_with_elasticsearch_away_the_files_are_read_and_it_is_said(self, logs, officer, tmp_path):
        (tmp_path / "password").write_text("p")
        page = {"ELASTICSEARCH": "localhost:1", "USERNAME": "u", "PASSWORD_FILE": str(tmp_path / "password")}
        asked = {"LOG_DIRECTORY": str(logs), "SUPERUSER_ONLY": False, "ENVIRONMENT": "test", **page}
        with override_settings(LOGBASTION_SECURITY_PAGE=asked):
            shown = text_of(officer)
        assert "Elasticsearch is away: no destination answers" in shown
        assert "without other hosts" in shown
        assert "2 events from" in shown

    def test_without_any_log_it_is_said(self, officer):
        with override_settings(LOGBASTION_SECURITY_PAGE={"LOG_DIRECTORY": "/nowhere", "SUPERUSER_ONLY": False}):
            assert "The log files cannot be read: No such file or directory." in text_of(officer)
        with override_settings(LOGBASTION_SECURITY_PAGE={"SUPERUSER_ONLY": False}):
            assert "no log directory is configured" in text_of(officer)

    @pytest.mark.parametrize(
        ("asked", "sentence"),
        [
            (["x"], "must be a dict"),
            ({"ELASTIC": "x"}, "does not know ELASTIC. It knows ELASTICSEARCH"),
            ({"ELASTICSEARCH": "https://x:9200", "USERNAME": "u", "PASSWORD_FILE": "/p"}, "https://"),
            ({"ELASTICSEARCH": "x:9200", "USERNAME": "u"}, "Give either a user name with"),
            ({"ELASTICSEARCH": "x:9200"}, "needs a user name with a file"),
            ({"USERNAME": "u"}, "has a credential, and no ELASTICSEARCH"),
            ({"PAGE_SIZE": 0}, "from 1 to 500"),
            ({"PAGE_SIZE": True}, "from 1 to 500"),
            ({"TIMEOUT": "5"}, "a number of seconds"),
            ({"SUPERUSER_ONLY": "no"}, "must be True or False"),
        ],
    )
    def test_wrong_settings_are_found_by_the_check_and_open_nothing(self, officer, asked, sentence):
        with override_settings(LOGBASTION_SECURITY_PAGE=asked):
            (found,) = checked("production")
            assert (found.id, sentence in found.message) == ("logbastion.E070", True), found
            assert officer.get(PAGE).status_code == 403
            boss = text_of(client_of("boss", superuser=True))
        assert "cannot be used as it is set" in boss

    def test_a_page_without_anything_to_read(self, logs):
        with override_settings(LOGBASTION_SECURITY_PAGE={}):
            assert [found.id for found in checked("production")] == ["logbastion.E072"]
            assert checked("development") == []

    def test_an_open_secret_is_found_once_wherever_it_is_named(self, officer, tmp_path, monkeypatch):
        secret = tmp_path / "secret"
        secret.write_text("p")
        secret.chmod(0o644)

        def found():
            both = [*checked("production"), *host("production")]
            return sorted(one.id for one in both if one.id in {"logbastion.E040", "logbastion.E041"})

        for name, value in {"ELASTICSEARCH": "x:9200", "USERNAME": "u"}.items():
            monkeypatch.setenv(f"LOGBASTION_SECURITY_PAGE_{name}", value)
        with override_settings(LOGBASTION_SECURITY_PAGE={"CA_FILE": "/nowhere", "PASSWORD_FILE": str(secret)}):
            assert found() == ["logbastion.E040", "logbastion.E041"]
        monkeypatch.setenv("LOGBASTION_SECURITY_PAGE_PASSWORD_FILE", str(secret))
        with override_settings(LOGBASTION_SECURITY_PAGE={}):
            assert found() == ["logbastion.E040"]
            secret.chmod(0o640)
            assert found() == []

    def test_a_project_without_what_it_needs(self, logs):
        with override_settings(ROOT_URLCONF="django_settings"):
            assert [found.id for found in checked("production")] == ["logbastion.E071"]
        with override_settings(INSTALLED_APPS=[name for name in APPS if name != "logbastion.django"]):
            (found,) = checked("production")
        assert "needs logbastion.django in INSTALLED_APPS" in found.message


def test_it_needs_no_migration(logs):
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_the_view_needs_no_site_of_its_own(logs):
    from logbastion.django.security_page.views import view_security_logs

    request = RequestFactory().get("/anywhere/")
    request.user = client_of("boss", superuser=True).user
    answer = view_security_logs(request)
    assert "2 events from" in answer.render().content.decode()
