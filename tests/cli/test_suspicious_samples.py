"""A build says how exact it is, and warns where the samples' labels speak against their scaling."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ggdq_mcu
from ggdq_mcu.errors import GgdqError

QUICK = {"scheme": "minmax", "adaptive_rounding": False, "channel_steps": False, "headroom": False}
EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_build_warns_or_with_strict_refuses(cli: Any, tmp_path: Path) -> None:
    with np.load(EXAMPLES / "digits.npz") as data:
        np.savez(tmp_path / "bytes.npz", x=data["x"][:60] * 255, y=data["y"][:60])
    line = ("build", EXAMPLES / "digits.h5", "--board", "host", "--calib", tmp_path / "bytes.npz", "--no-compile")
    line += ("--scheme", "minmax", "--without", "adaptive-rounding", "--without", "channel-steps")
    built = cli(*line, "--out", tmp_path / "p", "--json")
    assert built.code == 0
    assert "warning: the float network is right on" in built.err
    (warning,) = built.json["warnings"]
    assert "divide the samples by 255" in warning
    assert built.json["quality"]["float_accuracy"] < 0.95
    assert warning in (tmp_path / "p/report.html").read_text()
    assert cli("inspect", tmp_path / "p", "--json").json["warnings"] == [warning]
    refused = cli(*line, "--out", tmp_path / "q", "--strict")
    assert (refused.code, refused.err.count("\n")) == (2, 2)  # a note on the calibration comes first
    assert "divide the samples by 255" in refused.err
    assert not (tmp_path / "q").exists()
    with pytest.warns(UserWarning, match="divide the samples by 255"):
        ggdq_mcu.quantize(EXAMPLES / "digits.h5", tmp_path / "bytes.npz", **QUICK)
    with pytest.raises(GgdqError, match="divide the samples by 255"):
        ggdq_mcu.quantize(EXAMPLES / "digits.h5", tmp_path / "bytes.npz", **QUICK, strict=True)


def test_a_build_tells_accuracy_and_sqnr(cli: Any, tmp_path: Path) -> None:
    out = cli("build", EXAMPLES / "digits.h5", "--board", "host", "--out", tmp_path / "p", "--no-compile").out
    assert "accuracy: 100.00% (float: 100.00%), on 50 calibration samples" in out
    assert "SQNR of output probabilities: " in out
    assert f"report: {tmp_path / 'p' / 'report.html'}" in out
