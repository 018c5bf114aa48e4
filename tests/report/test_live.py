"""The network that runs in the report gives the integers of the reference, whatever its inputs, outputs and arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver import Chrome

import ggdq_mcu
from browser import browser, show
from ggdq_mcu import QuantizedModel
from ggdq_mcu.pipeline.inputs import input_samples
from importers.tflite_quantized import quantized_file
from report.pages import QUICK, page_with_network

EXAMPLES = Path(__file__).parents[2] / "examples"
SAMPLES = 50
RUN = """
const [samples, real, done] = arguments;
ggdqNetwork.then(network => done(samples.map(one => {
    const outputs = real ? network.runReal(one) : network.run(one);
    return outputs.map(integers => Array.from(integers));
})), error => done(String(error)));
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chrome]:
    with browser() as driver:
        yield driver


def compare_with_reference(
    driver: Chrome, page: Path, model: QuantizedModel, real: dict[str, Any] | None = None
) -> None:
    """50 samples: as real numbers where these are given, else integers from all over the range."""
    network = model.network
    integers = input_samples(network, None, SAMPLES) if real is None else network.quantize_inputs(real)
    given = integers if real is None else real
    show(driver, page, 1200)
    samples = [[given[name][i].ravel().tolist() for name in network.inputs] for i in range(SAMPLES)]
    found = driver.execute_async_script(RUN, samples, real is not None)
    expected = network.run(integers)
    assert isinstance(found, list), found
    for number, outputs in enumerate(found):
        assert outputs == [expected[name][number].ravel().tolist() for name in network.outputs], f"sample {number}"
    assert driver.get_log("browser") == []


@pytest.fixture(scope="module")
def digits() -> QuantizedModel:
    return ggdq_mcu.quantize(EXAMPLES / "digits.h5", EXAMPLES / "digits.npz", **QUICK)


def test_real_samples_and_what_a_user_puts_in(chromium: Chrome, digits: QuantizedModel, tmp_path: Path) -> None:
    page = page_with_network(digits, tmp_path)
    with np.load(EXAMPLES / "digits_test.npz") as data:
        x = data["x"][:SAMPLES].astype(np.float32)
    compare_with_reference(chromium, page, digits, {digits.network.inputs[0]: x})
    expected = digits.predict(x)
    assert isinstance(expected, np.ndarray)
    numbers = chromium.find_element("css selector", '[data-part="numbers"]')
    chromium.execute_script("arguments[0].value = arguments[1]", numbers, " ".join(map(str, x[7].ravel().tolist())))
    chromium.execute_script("document.querySelector('[data-part=run]').click()")
    row = chromium.find_element("css selector", '[data-part="result"] tr').text
    assert row.split()[:2] == ["class", str(int(expected[7].argmax()))]
    chromium.execute_script("arguments[0].value = '1, 2, three'", numbers)
    chromium.execute_script("document.querySelector('[data-part=run]').click()")
    assert '"three" is not a number' in chromium.find_element("css selector", '[data-part="told"]').text
    chromium.execute_script("document.querySelector('[data-sample]').click()")
    with np.load(EXAMPLES / "digits.npz") as data:
        told = f"sample 0, labelled {data['y'][0]}"
    assert told in chromium.find_element("css selector", '[data-part="told"]').text


def test_a_drawing_is_an_input(chromium: Chrome, digits: QuantizedModel, tmp_path: Path) -> None:
    """What is painted for a sample, read back from the canvas, is that sample up to the 256 shades of a screen."""
    show(chromium, page_with_network(digits, tmp_path), 390)
    rows = []
    for script in (
        "document.querySelector('[data-sample]').click()",
        "document.querySelector('[data-part=invert]').dispatchEvent(new Event('change'))",
    ):
        chromium.execute_script(script)
        rows.append(chromium.execute_script("return document.querySelector('[data-part=result]').textContent"))
    assert "the picture" in chromium.find_element("css selector", '[data-part="told"]').text
    assert rows[0] == rows[1]


def test_kept_arithmetic_with_several_inputs(chromium: Chrome, tmp_path: Path) -> None:
    model = ggdq_mcu.quantize(quantized_file(tmp_path / "model.tflite"), keep_quantization=True)
    assert len(model.network.inputs) > 1
    compare_with_reference(chromium, page_with_network(model, tmp_path), model)


def test_sixteen_bits_and_recurrent_layers(chromium: Chrome, tmp_path: Path) -> None:
    model = ggdq_mcu.quantize(EXAMPLES / "digits_gru.h5", EXAMPLES / "digits.npz", bits=16, weight_bits=8, **QUICK)
    compare_with_reference(chromium, page_with_network(model, tmp_path), model)
