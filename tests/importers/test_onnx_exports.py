"""Networks as PyTorch exports them: read, built, and the same to the bit where they run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from onnx_networks import assert_agrees, moves, random

import ggdq_mcu
from ggdq_mcu.data import load_data
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize
from ggdq_mcu.pipeline.build import Request, build
from ggdq_mcu.pipeline.evaluate import evaluate
from ggdq_mcu.pipeline.verify import verify

FOLDER = Path(__file__).parent / "onnx"
NAMES = ("separable", "residual", "inverted", "inverted_opset13")


class Notes:
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def step(self, text: str, done: int = 0, total: int | None = None) -> None:
        pass


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_reference_and_moves_no_value(name: str, tmp_path: Path) -> None:
    assert moves(assert_agrees(tmp_path, onnx.load(FOLDER / f"{name}.onnx"))) == 0


@pytest.mark.parametrize("name", NAMES[2:])
def test_functions_that_are_written_out_are_recognized(name: str) -> None:
    graph = optimize(load(FOLDER / f"{name}.onnx"))
    found = [one.operator.function for one in graph.nodes if one.operator.name == "activation"]
    assert found == ["hard_silu", "hard_silu", "silu", "gelu"]


def test_layers_are_named_after_their_weights() -> None:
    graph = optimize(load(FOLDER / "separable.onnx"))
    assert {"features.0.0", "features.4.0", "classifier.1"} <= graph.by_name.keys()


def test_samples_with_channels_first_are_taken_as_they_are(tmp_path: Path) -> None:
    graph, x = load(FOLDER / "separable.onnx"), random(4, 3, 16, 16)
    np.savez(tmp_path / "first.npz", x=x)
    np.savez(tmp_path / "last.npz", image=np.moveaxis(x, 1, -1))
    first, last = load_data(tmp_path / "first.npz", graph), load_data(tmp_path / "last.npz", graph)
    np.testing.assert_array_equal(first.samples["image"], last.samples["image"])
    assert "channels first" in first.note
    assert not last.note
    np.savez(tmp_path / "wrong.npz", x=x[:, :2])
    with pytest.raises(GgdqError, match="the network takes"):
        load_data(tmp_path / "wrong.npz", graph)


@pytest.mark.parametrize(("board", "places"), [("host", ("host",)), ("nucleo", ("host", "emulator"))])
def test_built_and_the_same_to_the_bit(board: str, places: tuple[str, ...], tmp_path: Path) -> None:
    model, x = FOLDER / "inverted.onnx", random(40, 3, 12, 12, low=-2, high=2)
    scores = ReferenceEvaluator(onnx.load(model)).run(None, {"image": x[:1]})[0]
    np.savez(tmp_path / "data.npz", x=x, y=np.zeros(40, int))
    notes = Notes()
    project = build(Request(model, board, tmp_path / "project", tmp_path / "data.npz"), notes).folder
    assert sum("channels first" in note for note in notes.notes) == 1
    assert verify(project, places, tmp_path / "data.npz", count=4).equal
    assert evaluate(project, tmp_path / "data.npz", count=20).agreement > 0.8
    kept = ggdq_mcu.load(project)
    np.testing.assert_array_equal(kept.made.samples.samples["image"], np.moveaxis(x[:10], 1, -1))
    assert np.abs(kept.predict(x[:1]) - scores).max() < 0.2 * np.abs(scores).max()
