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
