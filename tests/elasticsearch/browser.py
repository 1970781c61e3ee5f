"""A browser that is driven by its keyboard alone, and what is measured and photographed in it."""

import re
import time
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver.common.keys import Keys

PHOTOGRAPHS = Path(__file__).resolve().parents[2] / "build/pages"
PATIENCE = 60


def wait_for(condition, what: str):
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {PATIENCE} s"
        time.sleep(0.2)
    return value


def press(driver, *keys: str) -> None:
    """Press keys where the focus is; there is no mouse in these tests."""
    for key in keys:
        driver.switch_to.active_element.send_keys(key)


def tab_to(driver, name: str) -> None:
    """Press Tab until the element with this name has the focus."""
    for _ in range(60):
        press(driver, Keys.TAB)
        element = driver.switch_to.active_element
        if name in (
            element.get_attribute("name"),
            element.get_attribute("id"),
            element.text,
            element.get_attribute("value"),
        ):
            assert element.value_of_css_property("outline-style") != "none" or element.get_attribute("name") in (
                "username",
                "password",
            ), name
            return
    raise AssertionError(f"the keyboard does not reach {name}")


def arrived(driver, before) -> None:
    """Wait until another document than the one of `before` is there."""

    def there() -> bool:
        try:
            before.is_enabled()
        except Exception as error:
            return "tale" in type(error).__name__ and driver.execute_script("return document.readyState") == "complete"
        return False

    wait_for(there, "the next page")


def submit(driver, key: str = Keys.ENTER) -> None:
    before = driver.find_element("css selector", "html")
    press(driver, key)
    arrived(driver, before)


@contextmanager
def screen(driver, width: int, height: int, scheme: str = "light"):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    yield
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def photograph(driver, name: str, scheme: str = "light", most: int = 1600) -> None:
    PHOTOGRAPHS.mkdir(parents=True, exist_ok=True)
    with screen(driver, 1280, 900, scheme):
        height = driver.execute_script("return document.documentElement.scrollHeight")
    with screen(driver, 1280, min(height, most), scheme):
        driver.save_screenshot(str(PHOTOGRAPHS / f"{name}.png"))


def shown(driver, css: str) -> list[str]:
    return [element.text for element in driver.find_elements("css selector", css)]


def luminance(colour: str) -> float:
    parts = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
