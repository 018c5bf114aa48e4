"""The published networks on every core that can be emulated: no element of any layer differs from the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ggdq_mcu import boards

NETWORKS = {"kws": ("kws_ds_cnn.h5", "kws_features.npz"), "resnet8": ("resnet8_cifar10.h5", "cifar10.npz")}
BOARDS = {  # with room for both networks
    "cortex-m0plus": "nucleo_g0b1re",
    "cortex-m3": "mps2_an385",
    "cortex-m4": "mps2_an386",
    "cortex-m7": "mps2_an500",
    "cortex-m33": "mps2_an505",
    "cortex-m55": "mps3_an547",
    "rv32imc": "qemu_rv32",
}
ALL = [pytest.param(name, core, 20, marks=pytest.mark.nightly) for name in NETWORKS for core in BOARDS]
FEW = [("kws", core, 1) for core in ("cortex-m3", "cortex-m33", "cortex-m55", "rv32imc")]  # other tests have the others


@pytest.mark.parametrize(("name", "core", "count"), [*FEW, *ALL])
def test_no_element_differs(cli: Any, shared: Path, tmp_path: Path, name: str, core: str, count: int) -> None:
    model, data = NETWORKS[name]
    assert boards.load(BOARDS[core]).core.name == core
    calibration = ("--calib", shared / "data" / data, "--calib-count", 100)
    built = cli("build", shared / "models" / model, "--board", BOARDS[core], *calibration, "--out", tmp_path / "p")
    assert built.code == 0, built.err
    arguments = ("--on", "emulator", "--data", shared / "data" / data, "--count", count, "--json")
    outcome = cli("verify", tmp_path / "p", *arguments)
    assert outcome.code == 0, outcome.err
    result = outcome.json["backends"]["emulator"]
    assert (result["samples"], result["mismatches"]) == (count, 0)
    outputs = {"kws": 12, "resnet8": 10}[name]
    assert result["elements"] > 100 * count * outputs
