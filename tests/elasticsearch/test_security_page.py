"""The security log page in Chromium, of the example application whose events went into a real Elasticsearch: by keyboard alone, with hostile lines in it."""

import http.cookiejar
import json
import os
import re
import time
import urllib.parse

import pytest
from elasticsearch import Elasticsearch
from logbastion.pseudonyms import Pseudonymizer
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys

from lab import attack, stack, traffic
from tests.elasticsearch.browser import contrast, luminance, photograph, press, screen, shown, submit, tab_to, wait_for
from tests.elasticsearch.school import PAGE, School, running

QUIET_EVENTS = 130
HOSTILE = (
    "<script>window.hit='script'</script>",
    "<img src=x onerror=\"window.hit='img'\">",
    "javascript:window.hit='link'",
    '"><svg onload="window.hit=\'svg\'"><details open ontoggle="window.hit=\'toggle\'">',
    "\u202egnp.exe\u202c \u2066x\u2069 \u200b",
    "\x1b[2J\x1b]0;owned\x07\x1b[31mred\r\n2026-11-26 INFO forged line",
    "</title></textarea></style><!--",
    "';window.hit='quote';//",
)


@pytest.fixture(scope="module")
def school(node, tmp_path_factory):
    """Return the example after a run of its own traffic with an attack, all of it stored."""
    with running(tmp_path_factory.mktemp("school"), node, "securitypage") as started:
        credentials = started.directory / "credentials.json"
        arguments = ["--url", started.url, "--credentials", credentials, "--requests", "40"]
        summary = started.run("traffic.py", *arguments, "--as-proxy", "--attack", "--json").stdout
        started.attack.update(json.loads(summary)["attack"])

        def stored() -> bool:
            logged = sum(1 for _ in (started.directory / "logs/security.log").open("rb"))
            node.call("POST", f"/{started.stream}/_refresh")
            return node.call("GET", f"/{started.stream}/_count").json().get("count") == logged

        wait_for(stored, "every event in Elasticsearch")
        day = [line for number in range(QUIET_EVENTS) for line in quiet_event(started, number)]
        assert node.asked("POST", "/_bulk?refresh=true", day, user="log_writer")["errors"] is False
        hostile = [line for number, text in enumerate(HOSTILE) for line in hostile_event(started, number, text)]
        assert node.asked("POST", "/_bulk?refresh=true", hostile, user="log_writer")["errors"] is False
        yield started


def quiet_event(school: School, number: int) -> list[dict]:
    """Return one of the numbered log-ins of the day before, more of them by day than by night."""
    ago = 2 * 3600 + number * number * 80_000 // QUIET_EVENTS**2
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - ago)) + f".{number:06}Z"
    failed = number % 9 == 0
    event = {
        "@timestamp": moment, "event": {"id": f"quiet-{number}", "dataset": "django.security"},
        "level": "WARNING" if failed else "INFO", "logger": "accounts.auth", "event_type": "authentication_attempt",
        "message": f"Authentication attempt: {'failed' if failed else 'success'}", "correlation_id": f"quiet-{number}",
        "security": {"source_ip": f"198.51.100.{number % 200}"},
    }  # fmt: skip
    return [{"create": {"_index": school.stream, "_id": f"quiet-{number}"}}, event]


def hostile_event(school: School, number: int, text: str) -> list[dict]:
    """Return an event as somebody with the writer's credential could forge it: hostile in every text that the mapping takes."""
    identifier = f"hostile-{number}"
    event = {
        "@timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{number:06}Z",
        "event": {"id": identifier, "dataset": "django.security"},
        "level": text, "logger": text, "message": f"hostile {number} {text}", "event_type": f"hostile {text}",
        "correlation_id": text, "extra": {"email_pseudonym": text, "path": text}, "security": {"source_ip": "203.0.113.66"},
    }  # fmt: skip
    return [{"create": {"_index": school.stream, "_id": identifier}}, event]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    options = Options()
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    data = tmp_path_factory.mktemp("chromium")
    for argument in ("--headless=new", "--window-size=1280,900", "--disable-dev-shm-usage", f"--user-data-dir={data}"):
        options.add_argument(argument)
    if os.geteuid() == 0:  # Chromium's sandbox wants another user
        options.add_argument("--no-sandbox")
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def log_in(driver, school: School, name: str, way: str = "/admin/login/") -> None:
    """Come as nobody, be sent to the log-in of the admin, and log in by keyboard there or elsewhere."""
    driver.get(school.url)
    driver.delete_all_cookies()
    driver.get(school.url + PAGE)
    assert urllib.parse.urlsplit(driver.current_url).path == "/admin/login/"
    if urllib.parse.urlsplit(driver.current_url).path != way:
        driver.get(school.url + way)
    username, password = school.credentials(name)
    if driver.switch_to.active_element.get_attribute("name") != "username":
        tab_to(driver, "username")
    press(driver, username, Keys.TAB, password)
    submit(driver)


@pytest.fixture
def page(chromium, school):
    """Return the page as the officer sees it; at the end nothing hostile has run and nothing was complained about."""
    log_in(chromium, school, "officer")
    chromium.get_log("browser")
    chromium.get(school.url + PAGE)
    yield chromium
    assert chromium.execute_script("return window.hit ?? 'nothing'") == "nothing"
    assert chromium.get_log("browser") == []


def test_an_officer_reads_about_the_attack_in_elasticsearch(page, school):
    assert (
        "Read from Elasticsearch (logs-django.security-securitypage)."
        in page.find_element("css selector", ".lb-source").text
    )
    tab_to(page, "address")
    press(page, school.attack["address"])
    submit(page)
    types = shown(page, ".lb-events tbody tr td:nth-child(3)")
    assert {"brute_force_attack", "ip_blocked"} <= set(types)
    assert types.count("authentication_attempt") == school.attack["guesses"]
    assert set(shown(page, ".lb-events .lb-address")) == {school.attack["address"]}
    assert school.attack["address"] in shown(page, "section[aria-labelledby=lb-blocks] th[scope=row]")
    photograph(page, "security-page-attack")


def test_the_block_is_lifted_by_the_action_with_the_keyboard_alone(page, school):
    tab_to(page, "Lift blocks")
    submit(page)
    tab_to(page, "action")
    tab_to(page, school.attack["address"])
    press(page, Keys.SPACE)
    photograph(page, "security-page-blocks")
    submit(page)
    assert f"{school.attack['address']} is lifted." in page.page_source
    assert "No address is blocked now." in page.page_source
    page.get(f"{school.url}{PAGE}?event_type=ip_block_lifted")
    wait_for(lambda: page.refresh() or "user:" in page.page_source, "the event")


def test_hostile_lines_are_text(page, school):
    page.get(f"{school.url}{PAGE}?address=203.0.113.66")
    messages = shown(page, ".lb-events .lb-message > bdi")
    assert len(messages) == len(HOSTILE)
    assert [text.startswith(f"hostile {number} ") for number, text in enumerate(reversed(messages))] == [True] * len(
        HOSTILE
    )
    assert messages[-1] == f"hostile 0 {HOSTILE[0]}"
    assert r"\u{202e}gnp.exe\u{202c}" in messages[3]
    assert r"\u{1b}[2J" in messages[2]
    for summary in page.find_elements("css selector", ".lb-events summary"):
        summary.send_keys(Keys.ENTER)
    assert all(element.is_displayed() for element in page.find_elements("css selector", ".lb-events pre"))
    assert not page.find_elements(
        "css selector", "#content img, #content script, #content iframe, #content svg[onload]"
    )
    scripts = page.execute_script("return [...document.scripts].map((s) => new URL(s.src).pathname)")
    assert sorted(scripts) == ["/static/admin/js/nav_sidebar.js", "/static/admin/js/theme.js"]
    links = page.execute_script("return [...document.querySelectorAll('#content a')].map((a) => a.href)")
    assert {urllib.parse.urlsplit(link).scheme for link in links} == {"http"}
    assert {urllib.parse.urlsplit(link).netloc for link in links} == {urllib.parse.urlsplit(school.url).netloc}
    photograph(page, "security-page-hostile")


def test_the_policy_lets_no_other_script_run(page):
    inline = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s); return window.ran ?? 'no'"
    assert page.execute_script(inline) == "no"
    styled = "document.body.setAttribute('style', 'color: red'); return document.body.style.color || 'no'"
    page.execute_script(styled)
    other = (
        "const done = arguments[0]; document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));"
        "const s = document.createElement('script'); s.src = '/static/admin/js/actions.js'; s.onload = () => done('ran'); document.body.append(s)"
    )
    assert page.execute_async_script(other) == "script-src-elem"
    assert any("Content Security Policy" in entry["message"] for entry in page.get_log("browser"))


def test_the_keyboard_reaches_everything_in_order(page):
    press(page, Keys.TAB)
    assert page.switch_to.active_element.get_attribute("class") == "skip-to-content-link"
    press(page, Keys.ENTER)
    reached = []
    for _ in range(40):
        press(page, Keys.TAB)
        element = page.switch_to.active_element
        name = (
            element.get_attribute("name")
            or element.get_attribute("value")
            or element.text
            or element.get_attribute("aria-label")
        )
        if name and (not reached or reached[-1] != name):  # a field for a time has several stops
            reached.append(name)
    order = [
        "span",
        "since",
        "until",
        "event_type",
        "address",
        "user",
        "correlation_id",
        "Show",
        "Reset the filter",
        "The counts as a table",
    ]
    assert [name for name in reached if name in order] == order
    assert reached.index("Show") < reached.index("The counts as a table")


def test_fields_have_labels_and_the_picture_has_words_and_a_table(page):
    unlabelled = "return [...document.querySelectorAll('#content input:not([type=hidden]), #content select')].filter((e) => !e.labels.length && e.type !== 'submit').map((e) => e.name)"
    assert page.execute_script(unlabelled) == []
    picture = page.find_element("css selector", "svg.lb-picture")
    assert picture.get_attribute("role") == "img"
    names = picture.get_attribute("aria-labelledby").split()
    words = [page.find_element("id", name).get_attribute("textContent") for name in names]
    assert words[0] == "Events over time"
    total = int(re.match(r"\d+", page.find_element("id", "lb-counts").text)[0])
    assert words[1].startswith(f"{total} events")
    tab_to(page, "The counts as a table")
    press(page, Keys.ENTER)
    counts = shown(page, "section[aria-labelledby=lb-counts] tbody tr td:nth-child(2)")
    assert sum(map(int, counts)) == total
    heights = [
        float(bar.get_attribute("height")) for bar in page.find_elements("css selector", ".lb-picture g .lb-bar")
    ]
    assert len(heights) == len(counts)


def test_a_typed_address_is_nowhere_but_its_pseudonyms_are(page, school):
    teacher, _ = school.credentials("teacher")
    tab_to(page, "user")
    press(page, teacher.upper())
    submit(page)
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(page.current_url).query)
    names = Pseudonymizer.from_file(school.keys).all_pseudonyms("email", teacher)
    assert asked["user"] == [",".join(names)]
    assert "TEACHER" not in page.current_url
    messages = shown(page, ".lb-events .lb-message > bdi")
    assert "Authentication attempt: failed" in messages
    people = {link.text for link in page.find_elements("css selector", ".lb-events .lb-person")}
    assert people == {f"…{names[0][-8:]}"}


def test_pages_go_on_by_keyboard_without_a_gap(page, school):
    seen = []
    page.get(f"{school.url}{PAGE}?span=24h")
    total = int(re.match(r"\d+", page.find_element("id", "lb-counts").text)[0])
    for _ in range(20):
        seen.append(shown(page, ".lb-events tbody th"))
        if not page.find_elements("link text", "Older"):
            break
        tab_to(page, "Older")
        submit(page)
    times = [each for times in seen for each in times]
    assert times == sorted(times, reverse=True)
    assert total <= len(times) <= total + 5  # each page that is asked for is an event that may have come meanwhile
    assert len(seen) > 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_have_contrast(page, scheme):
    with screen(page, 1280, 900, scheme):
        colours = page.execute_script(
            """
            const of = (css, name) => getComputedStyle(document.querySelector(css))[name];
            return {
              text: [of('.lb-message', 'color'), of('.lb-events tbody tr', 'backgroundColor')],
              source: [of('.lb-source', 'color'), of('body', 'backgroundColor')],
              label: [of('.lb-fields label', 'color'), of('.lb-filter', 'backgroundColor')],
              axis: [of('.lb-text', 'fill'), of('body', 'backgroundColor')],
              bar: [of('.lb-bar', 'fill'), of('body', 'backgroundColor')],
              severe: [of('.lb-severe', 'stroke'), of('body', 'backgroundColor')],
            }"""
        )
    # WCAG 2.2: 1.4.3 (4.5 to 1 for text), 1.4.11 (3 to 1 for drawings).
    found = {name: contrast(*pair) for name, pair in colours.items()}
    assert {name: ratio for name, ratio in found.items() if ratio < (3 if name in ("bar", "severe") else 4.5)} == {}
    dark = luminance(colours["source"][1]) < 0.1
    assert dark == (scheme == "dark")
    photograph(page, f"security-page-{scheme}", scheme, 1100)


def test_it_fits_on_a_phone(page):
    # 320 CSS pixels: WCAG 2.2, success criterion 1.4.10; tables scroll within themselves.
    with screen(page, 320, 640):
        wide, place = page.execute_script("const d = document.documentElement; return [d.scrollWidth, d.clientWidth]")
        assert wide == place <= 320


def test_who_may_not_see_it_is_refused_and_both_are_on_record(chromium, school, node):
    log_in(chromium, school, "inspector", "/login/")  # the admin's own lets nobody in who is no staff
    chromium.get(school.url + PAGE)
    assert "403 Forbidden" in chromium.page_source
    assert "brute_force_attack" not in chromium.page_source

    def reasons() -> set[str]:
        node.call("POST", f"/{school.stream}/_refresh")
        query = {"size": 500, "query": {"term": {"event_type": "security_log_access"}}}
        hits = node.asked("POST", f"/{school.stream}/_search", query)["hits"]["hits"]
        return {hit["_source"]["extra"].get("reason", "granted") for hit in hits}

    wait_for(lambda: reasons() >= {"anonymous", "not_staff", "granted"}, "the record of who looked")


def test_make_up_finds_the_attack_everywhere_but_at_the_receiver_that_is_not_here(school, node, monkeypatch):
    client = Elasticsearch(
        node.url, ca_certs=str(node.ca_file), basic_auth=("security_log_reader", node.passwords["security_log_reader"])
    )
    monkeypatch.setattr(stack, "elasticsearch", lambda user: client)
    monkeypatch.setattr(stack, "index", lambda stream: f"logs-django.{stream}-{school.environment}")
    monkeypatch.setattr(stack, "url", lambda host, port: school.url)
    monkeypatch.setattr(stack, "received_alerts", list)
    # Browsers send cookies that are for HTTPS only to this machine too; requests does not.
    monkeypatch.setattr(http.cookiejar.DefaultCookiePolicy, "return_ok_secure", lambda *_: True)
    monkeypatch.setattr(stack, "AUTHORITY", node.ca_file)
    monkeypatch.setattr(traffic, "credentials", lambda: school.directory / "credentials.json")
    found = attack.signs(school.attack, attack.officer())
    assert [(sign.what, sign.seen) for sign in found if not sign.there] == [("alert AttackDetected received", "no")]
    assert len(found) == 8
