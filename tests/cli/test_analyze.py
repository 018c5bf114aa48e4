"""analyze shows what every choice is worth, to people, machines and eyes."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from ggdq_mcu.cli import main
from ggdq_mcu.pipeline.analyze import switches
from ggdq_mcu.quantization.schemes import DEFAULT, SCHEMES

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few of the example's samples, with labels."""
    arrays = np.load(EXAMPLES / "digits_test.npz")
    path = tmp_path_factory.mktemp("data") / "few.npz"
    np.savez(path, x=arrays["x"][:90], y=arrays["y"][:90])
    return path


@pytest.fixture(scope="module")
def result(few: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """What the command prints as JSON, and the folder of its plots."""
    plots, text = tmp_path_factory.mktemp("analysis") / "plots", io.StringIO()
    options = ("--calib-count", "60", "--bits", "4,8", "--plots", str(plots), "--json")
    with redirect_stdout(text), pytest.raises(SystemExit):
        main(["analyze", str(EXAMPLES / "digits.h5"), "--calib", str(few), *options])
    return json.loads(text.getvalue()), plots


def test_every_layer_has_its_fit_and_its_sqnr_by_bits_and_scheme(result: Any) -> None:
    analysis, _ = result
    assert analysis["layers"]
    for layer in analysis["layers"]:
        assert all(layer["fit"][name] > 0 for name in ("k", "c", "s"))
        assert list(layer["sqnr_db"]) == ["4", "8"]
        for by_scheme in layer["sqnr_db"].values():
            assert list(by_scheme) == list(SCHEMES)
            assert by_scheme[DEFAULT] >= max(by_scheme.values()) - 1e-9
        assert layer["sqnr_db"]["8"][DEFAULT] > layer["sqnr_db"]["4"][DEFAULT] + 12
        assert analysis["layers_sqnr_db"][layer["name"]] > 10
    for tensor in analysis["tensors"]:
        lost, saved = ({int(bits): value for bits, value in tensor[key].items()} for key in ("lost_db", "saved_bytes"))
        assert [lost[bits] for bits in sorted(lost)] == sorted(lost.values(), reverse=True)
        assert lost[16] <= 0 and all((value > 0) == (bits < 8) for bits, value in saved.items())
    assert {tensor["kind"] for tensor in analysis["tensors"]} == {"weights", "feature map"}


def test_whole_networks_are_compared_by_bits_scheme_and_improvement(result: Any) -> None:
    analysis, _ = result
    assert [variant["name"] for variant in analysis["bits"]] == ["4 bits", "8 bits"]
    assert [variant["name"] for variant in analysis["schemes"]] == list(SCHEMES)
    assert [variant["name"] for variant in analysis["without"]] == ["nothing", *switches()]
    assert analysis["bits"][1]["sqnr_db"] > analysis["bits"][0]["sqnr_db"] + 6
    by_scheme = {variant["name"]: variant for variant in analysis["schemes"]}
    assert by_scheme[DEFAULT] == {**analysis["without"][0], "name": DEFAULT}
    assert by_scheme[DEFAULT]["agreement"] >= 0.95


def test_samples_behind_those_calibrated_on_are_for_the_comparison(result: Any) -> None:
    analysis, _ = result
    assert (analysis["calibrated_on"], analysis["compared_on"]) == (60, 30)
    assert analysis["float_accuracy"] > 0.9


def test_there_is_a_picture_of_every_feature_map_and_one_of_all(result: Any) -> None:
    analysis, plots = result
    files = sorted(path.name for path in plots.iterdir())
    assert len(files) == len(analysis["layers"]) + 1
    assert "sqnr_by_layer.svg" in files
    for path in plots.iterdir():
        assert ElementTree.parse(path).getroot().tag.endswith("svg")


def test_people_get_tables(cli: Any, examples: Path, few: Path) -> None:
    text = cli("analyze", examples / "digits.h5", "--calib", few, "--bits", "8").out
    assert "SQNR in dB, 8 bits" in text
    assert "without" in text
    assert "channel-steps" in text
    assert "calibrated on 90 samples, compared on 90" in text


@pytest.mark.parametrize("bits", ["", "8,", "x", "1", "17", "8;4"])
def test_bit_lengths_that_are_none_are_refused(cli: Any, examples: Path, few: Path, bits: str) -> None:
    found = cli("analyze", examples / "digits.h5", "--calib", few, "--bits", bits)
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert "bits" in found.err
