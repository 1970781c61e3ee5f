"""What the pages of Prometheus need before a Prometheus takes them."""

import base64
import hashlib
import re
from pathlib import Path

CONSOLES = Path(__file__).resolve().parents[2] / "alertmanager/consoles"


def test_policy_allows_the_style_of_the_pages_and_no_other():
    library = (CONSOLES / "pages.lib").read_text()
    (style,) = re.findall(r"<style>(.*?)</style>", library, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert re.findall(r"style-src ([^;]*);", library) == [f"'sha256-{digest}'"]


def test_policy_allows_no_inline_script_no_evaluation_and_no_other_host():
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', (CONSOLES / "pages.lib").read_text())
    directives = dict(directive.strip().split(" ", 1) for directive in policy.split(";"))
    assert directives.pop("style-src")
    assert directives == {
        "default-src": "'none'",
        "script-src": "'self'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_prometheus_serves_the_script_as_it_is():
    # It is taken for a template of HTML: this sign would come out as an entity, and two braces would begin an action.
    assert not re.search(r"<|\{\{", (CONSOLES / "plots.js").read_text())


def test_texts_have_contrast():
    # WCAG 2.2, success criteria 1.4.3 (text: 4.5) and 1.4.11 (lines: 3), on the white of the pages. Pale colours are lines of the grid and frames.
    library, script = (CONSOLES / "pages.lib").read_text(), (CONSOLES / "plots.js").read_text()
    texts = re.findall(r"[ {]color: (#\w{6})", library) + re.findall(r'TEXT = "(#\w{6})"', script)
    lines = re.findall(r'"(#\w{6})"', re.search(r"COLOURS = \[(.*?)\]", script)[1])
    assert len(texts) >= 4
    assert len(set(lines)) == 8
    assert all(contrast_to_white(colour) >= 4.5 for colour in [*texts, *lines])


def contrast_to_white(colour: str) -> float:
    """Return the contrast ratio (1 to 21) as WCAG 2.2 defines it."""

    def linear(part: str) -> float:
        share = int(part, 16) / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(colour[i : i + 2]) for i in (1, 3, 5))
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
