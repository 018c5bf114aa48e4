"""build --budget finds bit lengths that keep what is wanted, says what they reach, and makes C that computes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import ggdq_mcu
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.pipeline.mixed_bits import Wanted, parse_budget


def built(cli: Any, examples: Path, out: Path, budget: str, *more: str) -> Any:
    return cli(
        "build",
        examples / "digits.h5",
        "--board",
        "nucleo",
        "--budget",
        budget,
        "--out",
        out,
        "--no-compile",
        "--json",
        *more,
    )


def test_the_least_memory_that_keeps_an_sqnr(cli: Any, examples: Path, tmp_path: Path) -> None:
    found = built(cli, examples, tmp_path / "a", "sqnr=24").json
    plain = cli(
        "build", examples / "digits.h5", "--board", "nucleo", "--out", tmp_path / "b", "--no-compile", "--json"
    ).json
    assert found["weights_bytes"] < 0.85 * plain["weights_bytes"]
    assert len({layer["weight_bits"] for layer in found["layers"] if layer["weight_bits"]}) > 1
    told = found["source"]["bit_lengths"]
    assert told.startswith("found for sqnr=24: SQNR ")
    assert f"constants {found['weights_bytes']} bytes, arena {found['arena_bytes']} bytes" in told
    shown = cli("inspect", tmp_path / "a").out
    assert told in shown
    quality = cli("evaluate", tmp_path / "a", "--data", examples / "digits_test.npz", "--json").json
    # Measured on other samples than those that the lengths were found on: 1 dB is for what these have of their own.
    assert quality["outputs"][0]["sqnr_db"] > 23
    again = built(cli, examples, tmp_path / "c", "sqnr=24").json
    assert again == found
    assert cli("verify", tmp_path / "a", "--on", "host").code == 0


def test_the_best_within_a_memory_and_what_cannot_be_had(cli: Any, examples: Path, tmp_path: Path) -> None:
    found = built(cli, examples, tmp_path / "a", "flash=2300").json
    assert 1900 < found["weights_bytes"] <= 2300
    failed = built(cli, examples, tmp_path / "b", "flash=2300,sqnr=60")
    assert failed.code == 2
    assert "misses what is wanted by" in failed.err
    assert "what limits it is the flash of 2300 bytes, of which constants take" in failed.err
    assert not (tmp_path / "b").exists()
    failed = built(cli, examples, tmp_path / "b", "flash=300")
    assert failed.code == 2
    assert "too many" in failed.err


def test_accuracy_is_kept_from_python(examples: Path) -> None:
    calib = examples / "digits.npz"
    model = ggdq_mcu.quantize(examples / "digits.h5", calib, budget="accuracy=2,bits=8", board="nucleo")
    assert "accuracy" in model.description.source["bit_lengths"]
    quality = model.evaluate(examples / "digits_test.npz")
    assert quality.accuracy is not None
    assert quality.float_accuracy is not None
    assert quality.accuracy > quality.float_accuracy - 0.04
    bits = [layer.weight_bits for layer in model.description.layers if layer.weight_bits]
    assert min(bits) <= 4
    with pytest.raises(GgdqError, match="say which, like board='nucleo'"):
        ggdq_mcu.quantize(examples / "digits.h5", calib, budget="sqnr=20")
    with pytest.raises(GgdqError, match="0 calibration samples"):
        ggdq_mcu.quantize(examples / "digits.h5", budget="sqnr=20", board="nucleo")


def test_a_firmware_keeps_within_its_flash_code_included(cli: Any, examples: Path, tmp_path: Path) -> None:
    limit = 10 * 1024
    made = cli(
        "build", examples / "digits.h5", "--board", "nucleo", "--budget", "flash=10k", "--out", tmp_path / "a", "--json"
    )
    assert made.code == 0, made.err
    assert 0.85 * limit < made.json["flash_bytes"] <= limit


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("flash=64k,ram=20k,sqnr=25", Wanted("flash=64k,ram=20k,sqnr=25", 65536, 20480, 25.0)),
        ("accuracy=0.5, bits=8", Wanted("accuracy=0.5, bits=8", accuracy=0.5, bits=8)),
    ],
)
def test_budgets_are_read(text: str, wanted: Wanted) -> None:
    assert parse_budget(text) == wanted


@pytest.mark.parametrize("text", ["", "flash", "flash=", "rom=4k", "flash=1k,flash=2k", "sqnr=x", "sqnr=nan", "bits=5"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    for wrong in (text, f"ram=4k,{text}"):
        with pytest.raises(GgdqError):
            parse_budget(wrong)


def test_negative_losses_and_two_qualities_are_refused() -> None:
    for wrong in ("accuracy=-1", "sqnr=9,accuracy=1"):
        with pytest.raises(GgdqError):
            parse_budget(wrong)


def test_limits_are_given_once(cli: Any, examples: Path, tmp_path: Path) -> None:
    failed = built(cli, examples, tmp_path / "a", "flash=2300", "--flash", "3k")
    assert failed.code == 2
    assert "given twice" in failed.err
