"""The report before headless Chromium: nothing in the console, plots that are seen, no page wider than the screen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

import ggdq_mcu
from browser import browser, show, violations
from network.test_hostile_names import HOSTILE, build, network
from report.pages import QUICK, page_with_network

EXAMPLES = Path(__file__).parents[2] / "examples"
SEEN = """
const seen = selector => [...document.querySelectorAll(selector)].map(one => one.getBoundingClientRect());
return {
    width: document.documentElement.scrollWidth,
    plots: seen(".plots svg").filter(box => box.width > 200 && box.height > 40).length,
    bars: seen(".plots svg path").filter(box => box.width > 10 && box.height > 2).length,
    figures: seen(".plots figure").length,
    memory: seen(".memory rect").filter(box => box.width > 1).length,
    ink: getComputedStyle(document.body).color,
    paper: getComputedStyle(document.body).backgroundColor,
    text: getComputedStyle(document.querySelector(".plots text") ?? document.body).fill,
};
"""


COLUMN = """
const headings = [...document.querySelectorAll("th")].filter(one => one.textContent.startsWith(arguments[0]));
const column = [...headings[0].parentElement.children].indexOf(headings[0]);
return [...headings[0].closest("table").tBodies[0].rows].map(row => row.children[column].dataset.value);
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chrome]:
    with browser() as driver:
        yield driver


def asked_for(driver: Chrome) -> list[str]:
    """Addresses that the page made the browser ask for."""
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


def brightness(color: str) -> float:
    return sum(int(part) for part in color[color.index("(") + 1 : -1].split(",")[:3]) / 765


def test_it_is_seen_on_phone_and_desktop_by_day_and_night(chromium: Chrome, tmp_path: Path) -> None:
    model = ggdq_mcu.quantize(EXAMPLES / "digits.h5", EXAMPLES / "digits.npz")
    page = page_with_network(model, tmp_path)
    assert page.stat().st_size < 200_000
    for width in (390, 1200):
        for dark in (False, True):
            show(chromium, page, width, dark)
            seen = chromium.execute_script(SEEN)
            assert chromium.get_log("browser") == []
            assert asked_for(chromium) == [page.as_uri()]
            assert seen["width"] <= width
            lengths = sum("kernel" in model.network.by_name[name].constants for name in model.made.levels)
            assert (seen["figures"], seen["plots"]) == (len(model.made.levels), len(model.made.levels) + lengths)
            assert seen["bars"] >= 2 * seen["figures"]
            assert seen["memory"] > len(model.description.layers)
            assert (brightness(seen["ink"]) > 0.5, brightness(seen["paper"]) > 0.5) == (dark, not dark)
            assert (brightness(seen["text"]) > 0.45) == dark
            assert violations(chromium) == []


def test_a_heading_sorts_the_layers(chromium: Chrome, tmp_path: Path) -> None:
    model = ggdq_mcu.quantize(EXAMPLES / "digits.h5", EXAMPLES / "digits.npz", **QUICK)
    show(chromium, model.build("nucleo", tmp_path / "p", compile=False).folder / "report.html", 1200)
    asked_for(chromium)
    (button,) = [one for one in chromium.find_elements("css selector", "th button") if one.text.startswith("MACs")]
    macs = sorted(layer.macs for layer in model.description.layers)
    for order, expected in (("ascending", macs), ("descending", macs[::-1])):
        button.click()
        column = chromium.execute_script(COLUMN, "MACs")
        assert column == [str(count) for count in expected]
        assert button.find_element("xpath", "..").get_attribute("aria-sort") == order


def test_hostile_names_run_nothing_and_break_nothing(chromium: Chrome, tmp_path: Path) -> None:
    page = build(network(HOSTILE), tmp_path / "p") / "report.html"
    show(chromium, page, 390)
    assert chromium.get_log("browser") == []
    assert asked_for(chromium) == [page.as_uri()]
    assert chromium.execute_script("return document.scripts.length + document.images.length") == 1
    assert chromium.execute_script("return document.querySelectorAll('.plots figure').length") == len(HOSTILE)
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= 390
