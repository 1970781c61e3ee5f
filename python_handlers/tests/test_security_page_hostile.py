"""What a log line cannot do on the security log page, and the policy that stands behind it."""

import html.parser
import re

import pytest
from django.test import override_settings
from django_security_site import PAGE, event, text_of, write

pytestmark = pytest.mark.integration  # the tables are made for each
HOSTILE = (
    "<script>window.hit=1</script>",
    '"><img src=x onerror="window.hit=1">',
    "javascript:window.hit=1",
    "{{ settings.SECRET_KEY }}{% include 'x' %}",
    "\x1b[2J\x1b]8;;http://evil.example\x07click\x1b]8;;\x07\r\n\x00\x9b31m",
    "\u202emoc.live\u202c \u2066a\u2069 \u200b\ufeff\u2028\U000e0041",
)


class Markup(html.parser.HTMLParser):
    """What a page is made of, as a browser reads it."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.scripts, self.links = set(), set(), [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.add(tag)
        self.attributes |= set(values)
        if tag == "script":
            self.scripts.append(values.get("src"))
        self.links += [values[name] for name in ("href", "src", "action", "formaction") if name in values]


class TestHostileLines:
    @pytest.mark.parametrize("hostile", HOSTILE)
    def test_they_are_text_in_every_field_and_each_character_is_seen(self, logs, officer, hostile):
        fields = {
            "level": hostile, "logger": hostile, "message": hostile, "event_type": hostile, "correlation_id": hostile,
            "security": {"source_ip": hostile}, "extra": {hostile: hostile}, "event": {"id": hostile},
        }  # fmt: skip
        write(logs / "security.log", [event(1), event(2, **fields)])
        page = text_of(officer)
        assert "2 events from" in page
        seen = Markup(page)
        assert set(seen.scripts) == {"/static/admin/js/theme.js", "/static/admin/js/nav_sidebar.js"}
        assert seen.tags.isdisjoint({"img", "iframe", "object", "embed", "base", "style", "b"})
        assert [name for name in seen.attributes if name.startswith("on") or name == "style"] == []
        assert [link for link in seen.links if not link.startswith(("/", "?", "#"))] == []
        unseen = "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\U000e0041]"
        assert re.findall(unseen, page) == []
        if "\u202e" in hostile:
            assert r"\u{202e}moc.live\u{202c}" in page
        for link in re.findall(r'href="(\?[^"]*)"', page):
            assert officer.get(PAGE + link.replace("&amp;", "&")).status_code == 200

    def test_a_line_of_any_length_leaves_the_page_short(self, logs, officer):
        write(logs / "security.log", [event(n, message="x" * 200_000) for n in range(50)])
        assert len(text_of(officer)) < 2_000_000

    @pytest.mark.parametrize("odd", [None, 7, [], {"a": 1}, "", True])
    def test_fields_of_other_types(self, logs, officer, odd):
        names = ("message", "level", "event_type", "correlation_id", "security", "extra", "event", "logger")
        write(logs / "security.log", [event(n, **{name: odd}) for n, name in enumerate(names)])
        assert "8 events from" in text_of(officer)


class TestPolicy:
    def test_no_script_but_the_admins_two_files(self, officer):
        answer = officer.get(PAGE)
        policy = answer["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src http://testserver/static/admin/js/theme.js "
                                 "http://testserver/static/admin/js/nav_sidebar.js; style-src 'self'")  # fmt: skip
        assert "unsafe" not in policy
        assert answer["Referrer-Policy"] == "same-origin"
        assert "no-store" in answer["Cache-Control"]
        page = answer.content.decode()
        assert re.findall(r"<style|\sstyle=|<script>", page) == []

    def test_static_files_elsewhere(self, officer):
        with override_settings(STATIC_URL="https://cdn.example.org/s/"):
            policy = officer.get(PAGE)["Content-Security-Policy"]
        assert "script-src https://cdn.example.org/s/admin/js/theme.js" in policy
        assert "style-src 'self' https://cdn.example.org;" in policy
