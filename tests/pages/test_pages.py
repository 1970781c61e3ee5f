"""The pages on a real Prometheus: numbers without script, plots in Chromium, and "no data" where there is none."""

import html
import json
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from selenium.webdriver.common.keys import Keys

from tests.pages.samples import SLOW_ROUTE

ROOT = Path(__file__).resolve().parents[2]
PAGES = {page["page"]: page for page in yaml.safe_load((ROOT / "alertmanager/pages.yml").read_text())["pages"]}
PHOTOGRAPHS = ROOT / "build/pages"
# As in plots.js: the place of the lines, in the units of the drawing.
LEFT, RIGHT, TOP, BOTTOM = 70, 632, 10, 176


def rows(text: str, panel: str) -> dict[str, str]:
    """Return what the table of a panel says, by series."""
    section = re.search(rf'<section id="{panel}".*?</section>', text, re.DOTALL)[0]
    found = re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td>', section)
    return {html.unescape(re.sub(r"<[^>]*>", "", name)).strip(): value for name, value in found}


def lines(driver, panel: str) -> dict[str, list[list[tuple[float, float]]]]:
    """Return the points of the pieces of each line in a plot."""
    found: dict[str, list[list[tuple[float, float]]]] = {}
    for line in driver.find_elements("css selector", f"#{panel} .plot polyline"):
        points = [tuple(map(float, point.split(","))) for point in line.get_attribute("points").split()]
        found.setdefault(line.get_attribute("data-series"), []).append(points)
    return found


def photograph(driver, name: str) -> None:
    """Take the whole page, however long it is, as it is on a wide screen."""
    PHOTOGRAPHS.mkdir(parents=True, exist_ok=True)
    with screen(driver, 1200, 100):
        height = driver.execute_script("return document.documentElement.scrollHeight")
    with screen(driver, 1200, height):
        driver.save_screenshot(str(PHOTOGRAPHS / f"{name}.png"))


@contextmanager
def screen(driver, width: int, height: int):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("name", PAGES)
def test_page_has_its_panels_and_asks_what_pages_yml_says(server, opened, name):
    driver = opened(server, f"{name}.html")
    asked = {
        section.get_attribute("id"): section.get_attribute("data-query")
        for section in driver.find_elements("css selector", "section[data-query]")
    }
    assert asked == {panel["panel"]: panel["query"] for panel in PAGES[name]["panels"]}
    assert driver.find_element("css selector", "h1").text == PAGES[name]["question"]
    assert not driver.find_elements("xpath", "//*[starts-with(text(), 'Not drawn')]")
    photograph(driver, name)


def test_numbers_are_there_without_script(server):
    requests = server.page("requests.html").text
    assert rows(requests, "answered") == {
        "job=django status_class=2xx": "2 /s",
        "job=django status_class=5xx": "0.5 /s",
    }
    assert rows(requests, "failing") == {"job=django": "20%"}
    assert rows(requests, "errors") == {"job=django level=ERROR": "0.05 /s"}
    index = server.page("index.html").text
    assert rows(index, "targets") == {"job=alertmanager": "0%", "job=django": "100%"}
    assert rows(index, "waiting") == {"instance=app:8443 job=django": "6m 40s"}
    assert rows(server.page("security.html").text, "logins") == {"job=django": "12 /min"}
    assert rows(server.page("pipeline.html").text, "spool") == {
        "instance=app:8443 job=django place=disk": "3MiB",
        "instance=app:8443 job=django place=memory": "0B",
    }


def test_firing_alerts_are_listed_with_their_runbooks(server):
    text = server.page("index.html").text
    assert rows(text, "firing")["SecurityOrAuditEventsDropped django app:8443"] == "critical"
    assert "Watchdog" not in rows(text, "firing")
    runbook = server.page(re.search(r'href="(runbooks/SecurityOrAuditEventsDropped\.md)"', text)[1])
    assert runbook.text.startswith("# SecurityOrAuditEventsDropped\n")
    assert rows(text, "alerts") == {"all": "1"}


@pytest.mark.parametrize("name", PAGES)
def test_without_data_each_panel_says_so(empty_server, opened, name):
    text = empty_server.page(f"{name}.html").text
    assert re.findall(r"<tr\b", text) == []
    assert text.count("No data now.") == len(PAGES[name]["panels"])
    driver = opened(empty_server, f"{name}.html")
    said = [paragraph.text for paragraph in driver.find_elements("css selector", ".plot p")]
    assert said == ["Nothing to draw: no data in this time."] * len(PAGES[name]["panels"])
    assert not driver.find_elements("css selector", ".plot svg")


def test_silence_of_alerts_is_not_taken_for_health(empty_server):
    assert "No data: the Watchdog does not fire" in empty_server.page("index.html").text


def test_panel_without_data_says_so_beside_panels_with_data(server, opened):
    driver = opened(server, "security.html")
    panel = driver.find_element("id", "redaction")
    assert "No data now." in panel.text
    assert "Nothing to draw: no data in this time." in panel.text
    assert "no data" not in driver.find_element("id", "logins").text.lower()


def test_lines_are_where_the_samples_are(server, opened):
    driver = opened(server, "requests.html?hours=1")
    drawn = lines(driver, "answered")
    assert drawn.keys() == {"job=django status_class=2xx", "job=django status_class=5xx"}
    # The axis goes to 2: its line lies on the top, a quarter of it a quarter above the ground.
    for name, height in (("2xx", TOP), ("5xx", BOTTOM - (BOTTOM - TOP) / 4)):
        (points,) = drawn[f"job=django status_class={name}"]
        assert {y for _, y in points} == {height}
        assert len(points) >= 230
        assert points[0][0] == LEFT
        assert points[-1][0] <= RIGHT
    labels = [text.text for text in driver.find_elements("css selector", "#answered .plot text")]
    assert {"0 /s", "2 /s"} <= set(labels)


def test_gap_in_the_samples_is_a_gap_in_the_line(server, opened):
    first, second = lines(opened(server, "requests.html?hours=6"), "errors")["job=django level=ERROR"]
    width = RIGHT - LEFT
    # From four to three hours ago of six; a rate over five minutes ends later and begins later.
    assert first[-1][0] == pytest.approx(LEFT + width * 2 / 6, abs=width / 60)
    assert second[0][0] == pytest.approx(LEFT + width * 3 / 6, abs=width / 60)


def test_series_that_has_changed_is_drawn_so_and_its_threshold_too(server, opened):
    driver = opened(server, "index.html?hours=6")
    (points,) = lines(driver, "waiting")["instance=app:8443 job=django"]
    assert len({y for _, y in points}) == 2
    low = [x for x, y in points if y == max(y for _, y in points)]
    assert max(low) == pytest.approx(LEFT + (RIGHT - LEFT) * 5 / 6, abs=6)
    threshold = driver.find_element("css selector", "#waiting .threshold")
    assert points[-1][1] < float(threshold.get_attribute("y1")) < points[0][1]
    assert "Threshold of the alert: 5 min (dashed red line)." in driver.find_element("id", "waiting").text


def test_threshold_far_above_is_told_and_not_drawn(server, opened):
    panel = opened(server, "pipeline.html").find_element("id", "spool")
    assert "Threshold of the alert: 256 MiB, outside of this plot." in panel.text
    assert not panel.find_elements("css selector", ".threshold")


def test_labels_are_text(server, opened):
    driver = opened(server, "requests.html")
    names = [row.text for row in driver.find_elements("css selector", "#routes th")]
    assert f"job=django route={SLOW_ROUTE}" in names
    assert f"job=django route={SLOW_ROUTE}" in lines(driver, "routes")
    assert not driver.find_elements("css selector", "#routes b")


@pytest.mark.parametrize("name", PAGES)
def test_page_fits_on_a_phone(server, opened, name):
    # 320 CSS pixels: WCAG 2.2, success criterion 1.4.10.
    driver = opened(server, f"{name}.html")
    with screen(driver, 320, 640):
        wide, place = driver.execute_script("const d = document.documentElement; return [d.scrollWidth, d.clientWidth]")
        assert wide == place <= 320


def test_rows_are_the_legend(server, opened):
    driver = opened(server, "requests.html")
    for row in driver.find_elements("css selector", "#answered tr"):
        name = row.get_attribute("data-series").strip()
        line = driver.find_element("css selector", f'#answered polyline[data-series="{name}"]')
        assert row.find_element("css selector", "line").get_attribute("stroke") == line.get_attribute("stroke")
    strokes = [line.get_attribute("stroke") for line in driver.find_elements("css selector", "#answered polyline")]
    assert len(set(strokes)) == 2


def test_policy_lets_nothing_in_and_the_style_is_in_force(server, opened):
    driver = opened(server, "index.html")
    assert driver.find_element("css selector", "main").value_of_css_property("display") == "grid"
    inline = "const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s); return window.ran ?? 'no'"
    assert driver.execute_script(inline) == "no"
    # In a task of the page: what the driver itself runs is not bound by the policy.
    evaluated = "const done = arguments[0]; setTimeout(() => { try { (0, eval)('1'); done('ran') } catch (error) { done(error.name) } })"
    assert driver.execute_async_script(evaluated) == "EvalError"
    outside = (
        "const done = arguments[0]; document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));"
        "fetch('http://127.0.0.2:9/').then(() => done('sent'), () => 0)"
    )
    assert driver.execute_async_script(outside) == "connect-src"
    addresses = re.findall(r"https?://[^\s\"'<]+", server.page("index.html").text + server.page("plots.js").text)
    assert addresses == ["http://www.w3.org/2000/svg"]


def test_script_is_served_as_it_is(server):
    answer = server.page("plots.js")
    assert answer.text == (ROOT / "alertmanager/consoles/plots.js").read_text()
    # Prometheus guesses the type; a browser takes this one for a script unless it is told not to guess.
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert "X-Content-Type-Options" not in answer.headers


def test_queries_are_valid_for_promtool(tmp_path, promtool):
    panels = json.loads((ROOT / "alertmanager/grafana/logbastion.json").read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert queries == [panel["query"] for page in PAGES.values() for panel in page["panels"]]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    checked = subprocess.run(
        [promtool, "check", "rules", tmp_path / "queries.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert f"{len(queries)} rules found" in checked.stdout


def test_keyboard_reaches_pages_and_ranges_and_shows_where_it_is(server, opened):
    driver = opened(server, "index.html")
    reached = []
    for _ in range(10):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        focused = driver.switch_to.active_element
        reached.append(focused.text)
        assert focused.value_of_css_property("outline-style") == "solid"
    assert reached == [
        "Overview", "Requests", "Security", "Pipeline", "Alerts and rules", "Runbooks", "1 hour", "6 hours", "1 day", "7 days",
    ]  # fmt: skip
    driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert driver.current_url.endswith("?hours=168")


def test_plots_have_words_for_those_who_do_not_see_them(server, opened):
    driver = opened(server, "requests.html?hours=1")
    plot = driver.find_element("css selector", "#answered .plot svg")
    assert plot.get_attribute("role") == "img"
    assert plot.get_attribute("aria-label").startswith(
        "How many requests are answered, and how do they end? Plot from 0.5 /s to 2 /s"
    )
