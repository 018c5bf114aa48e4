"""The report: well-formed, self-contained, whole, whatever the names; what it says is what the other commands say."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

import ggdq_mcu
from ggdq_mcu import QuantizedModel, boards
from ggdq_mcu.boards import Memory
from ggdq_mcu.data import load_data
from ggdq_mcu.pipeline.build import JUDGED_SAMPLES
from ggdq_mcu.pipeline.project import open_project
from ggdq_mcu.report.html import _rows, advice, number, report
from network.test_hostile_names import HOSTILE, build, network

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def digits() -> QuantizedModel:
    return ggdq_mcu.quantize(EXAMPLES / "digits.h5", EXAMPLES / "digits.npz")


@pytest.fixture(scope="module")
def page(digits: QuantizedModel, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = digits.build("nucleo", tmp_path_factory.mktemp("digits") / "p", compile=False).folder
    return (folder / "report.html").read_text(encoding="utf-8")


def parsed(page: str) -> ElementTree.Element:
    return ElementTree.fromstring(page.removeprefix("<!DOCTYPE html>"))


def assert_alone(page: str) -> None:
    """It is well-formed, runs its own script alone, and asks nobody for anything."""
    root = parsed(page)
    scripts = [one for one in root.iter("script") if one.get("type") != "application/json"]
    (script,) = scripts
    assert set(script.attrib) == set()
    text = page[page.rindex("<script>") + len("<script>") : page.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' 'wasm-unsafe-eval'" in page
    for element in root.iter():
        assert element.tag.split("}")[-1] not in ("link", "img", "iframe", "object", "embed", "a", "base", "form")
        assert not [key for key in element.attrib if key.startswith("on") or key in ("src", "href", "srcset", "action")]
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg\")", page.replace("&#", ""))
    assert not re.search(r"fetch\(|XMLHttpRequest|sendBeacon|WebSocket|import\(", text)


def test_it_stands_alone(page: str) -> None:
    assert_alone(page)
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_every_layer_has_its_row_and_its_box(digits: QuantizedModel, page: str) -> None:
    names = [layer.name for layer in digits.description.layers]
    root = parsed(page)
    cells = [cell.text for cell in root.iter("td") if cell.get("class") == "name"]
    assert cells[2:] == names
    shifts = digits.network.by_name["conv_1"].constants["shift"]
    assert f"{shifts.min()} … {shifts.max()}" in page
    titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    for node in digits.network.nodes:
        assert any(title.startswith(f"{node.name}: {node.operator.describe()}") for title in titles)
    diagram = next(svg for svg in root.iter("{http://www.w3.org/2000/svg}svg") if svg.get("class") == "diagram")
    paths = list(diagram.iter("{http://www.w3.org/2000/svg}path"))
    assert len(paths) == sum(len(node.inputs) for node in digits.network.nodes)


def test_every_calibrated_map_has_its_plot_and_every_kernel_its_fraction_lengths(
    digits: QuantizedModel, page: str
) -> None:
    figures = list(parsed(page).iter("figure"))
    assert [next(figure.iter("b")).text for figure in figures] == list(digits.made.levels)
    for figure, (name, levels) in zip(figures, digits.made.levels.items(), strict=True):
        plots = list(figure.iter("{http://www.w3.org/2000/svg}svg"))
        assert len(plots) == 1 + ("kernel" in digits.network.by_name[name].constants)
        texts = list(plots[0].iter("{http://www.w3.org/2000/svg}text"))
        numbers = {int(text.text or "") for text in texts if text.get("class") == "number"}
        assert {levels.low, levels.high} <= numbers <= {levels.low, 0, levels.high}
        assert {text.text for text in texts} >= {"value / step", "log density"}
        assert all(plot.get("role") == "img" and name in (plot.get("aria-label") or "") for plot in plots)
        assert f"k {levels.k:.3g}, c {levels.c:.3g}" in "".join(figure.itertext())


def test_a_saved_model_and_a_project_make_the_same_plots(digits: QuantizedModel, tmp_path: Path) -> None:
    digits.save(tmp_path / "m.ggdq")
    folder = digits.build("host", tmp_path / "p", compile=False).folder
    for again in (ggdq_mcu.load(tmp_path / "m.ggdq"), ggdq_mcu.load(folder)):
        assert again.made.levels == digits.made.levels


def test_its_figures_are_those_of_the_commands(digits: QuantizedModel, page: str, tmp_path: Path) -> None:
    project = open_project(digits.build("nucleo", tmp_path / "p", compile=False).folder)
    text = "".join(parsed(page).itertext())
    for value in (project.description.arena_bytes, project.description.weights_bytes, project.description.macs):
        assert number(value) in text
    counts = [layer.instructions for layer in project.description.layers if layer.macs]
    assert all(count and number(count) in text for count in counts)
    assert "instructions, estimated" in text
    samples = load_data(EXAMPLES / "digits.npz", digits.float_network).first(JUDGED_SAMPLES)
    quality = digits.evaluate(samples.samples, samples.labels)
    assert f"{quality.outputs[0].sqnr_db:.1f} dB" in text
    assert f"{len(samples)} calibration samples" in text
    assert all(f"{layer.sqnr_db:.1f}" in text for layer in quality.layers)


def test_advice_is_given_where_it_matters(digits: QuantizedModel, tmp_path: Path) -> None:
    description = digits.build("nucleo", tmp_path / "p", compile=False).description
    quality = digits.evaluate(EXAMPLES / "digits_test.npz")
    rows = _rows(description, digits.network, quality)
    assert advice(description, rows, digits.network, quality, boards.load("nucleo")) == []  # all is well
    inexact = replace(quality, accuracy=(quality.float_accuracy or 0) - 0.02)
    (line,) = advice(description, rows, digits.network, inexact, boards.load("nucleo"))
    exact = {layer.name: layer.sqnr_db for layer in quality.layers}
    falls = {
        node.name: min(exact[source] for source in node.inputs) - exact[node.name]
        for node in digits.network.nodes
        if node.name in exact and all(source in exact for source in node.inputs) and not node.operator.reads_wide
    }
    assert f"falls most at {max(falls, key=lambda name: falls[name])}: " in line
    small = replace(boards.load("nucleo"), flash=Memory(0, 4096), ram=Memory(0, 4096))
    lines = advice(description, rows, digits.network, quality, small)
    assert [line.split(":")[0] for line in lines] == ["Most flash", "Most memory"]
    blind = advice(replace(description, calibration="calibrated without data"), rows, digits.network)
    assert "--calib" in blind[0]


def test_without_samples_there_is_no_figure_of_quality(tmp_path: Path) -> None:
    folder = ggdq_mcu.quantize(EXAMPLES / "digits.h5").build("host", tmp_path / "p", compile=False).folder
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert_alone(page)
    assert "same class as float" not in page


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = [name for name in HOSTILE if "\x00" not in name]  # no XML parser takes that one, escaped or not
    folder = build(network(names), tmp_path / "p")
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert_alone(page)
    assert "<script>alert" not in page
    model = network(HOSTILE)
    assert "<script>alert" not in report(
        open_project(build(model, tmp_path / "q")).description, model.network, None, model.made.levels
    )


def test_numbers_for_people() -> None:
    assert (number(None), number(float("nan")), number(float("inf")), number(1234.5, 1)) == (
        "–",
        "–",
        "∞",
        "1\u202f234.5",
    )
