"""Headless Chromium, for pages that people look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from selenium import webdriver

# The last ones keep it from calling home; without a sandbox it also runs as root.
_FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-dev-shm-usage "
    "--disable-background-networking --disable-component-update --disable-sync"
)


_AXE = """
const done = arguments[0], told = (rule, node) => `${rule.id}: ${node.html.slice(0, 120)}: ${node.failureSummary}`;
axe.run().then(result => done(result.violations.flatMap(rule => rule.nodes.map(node => told(rule, node)))));
"""


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Debian's Chromium by its ChromeDriver; neither looks for anything to download."""
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in _FLAGS.split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def show(driver: webdriver.Chrome, page: Path, width: int, dark: bool = False) -> None:
    """Opens a page on a screen so many pixels wide."""
    mobile = width < 600
    metrics = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    driver.get(page.resolve().as_uri())


def violations(driver: webdriver.Chrome) -> list[str]:
    """What axe-core finds wrong with the accessibility of the page that is shown: rule, element, reason."""
    spec = find_spec("axe_playwright_python")  # the package that brings axe-core along; nothing else of it is used
    assert spec is not None and spec.origin is not None
    driver.execute_script((Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8"))
    found: list[str] = driver.execute_async_script(_AXE)
    return found


def screenshot(driver: webdriver.Chrome, path: Path) -> None:
    """The whole page as a picture."""
    import base64

    shot: dict[str, Any] = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
    path.write_bytes(base64.b64decode(shot["data"]))
