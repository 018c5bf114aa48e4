"""An operator is its three files: without them models that need it are refused, with them they run on the emulated board.

The operator is one that Keras, TFLite and ONNX have. The tree is a copy, in which its files are taken away and given back.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from checkout import ROOT, check_out
from ggdq_mcu import operators
from ggdq_mcu.operators.add import Add
from importers.onnx_networks import model
from importers.tflite_networks import convert
from operators.cases import tables
from operators.test_keras_cases import model_of

NAME = "cumulative_sum"
FILES = (
    f"toolchain/ggdq_mcu/operators/{NAME}.py",
    f"templates/operators/{NAME}.c.j2",
    f"tests/operators/cases/{NAME}.py",
)
BOARD = "mps2_an385"
SCRIPT = f"""
import sys
import ggdq_mcu
for path in sys.argv[1:]:
    try:
        made = ggdq_mcu.quantize(path, path + ".npz")
    except ggdq_mcu.GgdqError as error:
        print("refused", error)
        continue
    made.build({BOARD!r}, path + "-project")
    found = ggdq_mcu.verify(path + "-project", ["host", "emulator"], count=3)
    print("equal" if found.equal else "differs", *(one.elements > 0 for one in found.backends.values()))
"""


@pytest.fixture(scope="module")
def models(keras: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One model of each format, with its samples beside it."""
    from onnx import save_model

    folder, cases = tmp_path_factory.mktemp("models"), tables()[NAME]
    of_keras, of_tflite, of_onnx = cases.keras[0], cases.tflite[0], cases.onnx[0]
    model_of(keras, of_keras).save(folder / "model.keras")
    shapes = [(1, *shape) for shape in of_tflite.shapes]
    convert(lambda *x: of_tflite.make(__import__("tensorflow"), *x), shapes, folder / "model.tflite")
    save_model(
        model(of_onnx.nodes, {"x": of_onnx.shape}, of_onnx.constants, opset=of_onnx.opset), folder / "model.onnx"
    )
    sizes = {"keras": of_keras.shapes[0], "tflite": of_tflite.shapes[0], "onnx": of_onnx.shape}
    for kind, shape in sizes.items():
        x = np.random.default_rng(1).normal(size=(12, *shape)).astype(np.float32)
        np.savez(folder / f"model.{kind}.npz", x=x)
    return [folder / f"model.{kind}" for kind in sizes]


def run(tree: Path, models: list[Path]) -> list[str]:
    """What the tree's own toolchain says of each model."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "toolchain")}
    line = [sys.executable, "-c", SCRIPT, *map(str, models)]
    done = subprocess.run(line, check=False, cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_three_files_bring_an_operator_from_every_format_to_the_board(models: list[Path], tmp_path: Path) -> None:
    check_out(tmp_path)
    for path in FILES:
        (tmp_path / path).unlink()
    assert not [path for path in tmp_path.rglob(f"*{NAME}*") if "__pycache__" not in path.parts]
    refused = run(tmp_path, models)
    assert [line.split()[0] for line in refused] == ["refused"] * 3, refused
    for path in FILES:
        (tmp_path / path).write_bytes((ROOT / path).read_bytes())
    assert run(tmp_path, models) == ["equal True True"] * 3


def test_a_name_that_two_operators_claim_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Add, "onnx_operators", {**Add.onnx_operators, "CumSum": print})
    with pytest.raises(ValueError, match=r"'CumSum' of .* is another operator's, too"):
        operators._of_all("onnx_operators")
