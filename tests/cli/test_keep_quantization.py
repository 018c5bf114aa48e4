"""build --keep-quantization: TFLite's own formats and arithmetic in a project, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ggdq_mcu
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load_kept
from importers.tflite_quantized import quantized_file


def test_project_computes_what_the_file_says(cli: Any, tmp_path: Path) -> None:
    model = quantized_file(tmp_path / "model.tflite")
    out = tmp_path / "project"
    built = cli("build", model, "--board", "nucleo", "--keep-quantization", "--out", out, "--no-compile", "--json")
    assert built.code == 0, built.err
    description = json.loads(built.out)
    _, network = load_kept(model)
    formats = [network.by_name[name].format for name in network.inputs]
    assert [(one["type"], one["step"], one["zero_point"]) for one in description["inputs"]] == [
        (form.short, form.step, form.zero_point) for form in formats
    ]
    verified = cli("verify", out, "--on", "host", "--json")
    assert verified.code == 0, verified.err
    assert ggdq_mcu.quantize(model, keep_quantization=True).network == network


@pytest.mark.parametrize("options", [("--bits", "6"), ("--scheme", "kl"), ("--input-format", "u8:1:0")])
def test_nothing_is_left_to_choose(cli: Any, tmp_path: Path, options: tuple[str, ...]) -> None:
    model = quantized_file(tmp_path / "model.tflite")
    out = tmp_path / "project"
    refused = cli("build", model, "--board", "nucleo", "--keep-quantization", "--out", out, "--no-compile", *options)
    assert refused.code == 2
    assert "leaves nothing to choose" in refused.err
    assert not out.exists()
    with pytest.raises(GgdqError, match="nothing to choose"):
        ggdq_mcu.quantize(model, keep_quantization=True, bits=6)


def test_other_files_have_no_quantization_to_keep(cli: Any, examples: Path, tmp_path: Path) -> None:
    model = examples / "digits.h5"
    refused = cli("build", model, "--board", "nucleo", "--keep-quantization", "--out", tmp_path / "out", "--no-compile")
    assert refused.code == 2
    assert "no TFLite file" in refused.err


def test_without_samples_the_files_quantization_is_kept(cli: Any, tmp_path: Path) -> None:
    model = quantized_file(tmp_path / "model.tflite")
    built = cli("build", model, "--board", "nucleo", "--out", tmp_path / "project", "--no-compile")
    assert built.code == 0, built.err
    assert "kept, as there are no samples; with --calib it would be quantized anew" in built.err


@pytest.mark.parametrize("option", ["--keep-quantization", "--keep-quantization=reference"])
def test_the_runtime_can_be_chosen(cli: Any, tmp_path: Path, option: str) -> None:
    model = quantized_file(tmp_path / "model.tflite")
    out = tmp_path / "project"
    built = cli("build", option, model, "--board", "nucleo", "--out", out, "--no-compile")
    assert built.code == 0, built.err
    _, network = load_kept(model, "network", micro="reference" not in option)
    assert (
        ggdq_mcu.quantize(model, keep_quantization="reference" if "=" in option else True).network.nodes
        == network.nodes
    )
    verified = cli("verify", out, "--on", "host", "--json")
    assert verified.code == 0, verified.err
    with pytest.raises(GgdqError, match="neither True nor 'reference'"):
        ggdq_mcu.quantize(model, keep_quantization="desktop")


@pytest.mark.parametrize("option", [("--bits", "6"), ("--budget", "sqnr=20")])
def test_an_error_for_want_of_samples_names_the_way_out(cli: Any, tmp_path: Path, option: tuple[str, ...]) -> None:
    model = quantized_file(tmp_path / "model.tflite")
    refused = cli("build", model, "--board", "nucleo", "--out", tmp_path / "p", "--no-compile", *option)
    assert refused.code == 2
    assert "--keep-quantization" in refused.err
    with pytest.raises(GgdqError, match="--keep-quantization"):
        ggdq_mcu.quantize(model)
