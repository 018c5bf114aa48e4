"""Operators of TFLite files that mean one operator together: convolutions with dilation, padding, and their integers."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ggdq_mcu.importers import load, load_kept
from importers.tflite_networks import Interpreter, convert_keras

LAYERS = {
    "causal": lambda layers: layers.Conv1D(5, 3, padding="causal", dilation_rate=2),
    "dilated": lambda layers: layers.Conv1D(4, 3, dilation_rate=3),
    "padded": lambda layers: layers.ZeroPadding1D((2, 1)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_over_time_are_equal_to_the_interpreter(keras: ModuleType, tmp_path: Path, name: str) -> None:
    model = keras.Sequential([keras.Input((20, 3)), LAYERS[name](keras.layers)])
    samples = np.random.default_rng(1).normal(0, 1, (8, 20, 3)).astype(np.float32)
    path = convert_keras(model, tmp_path / "float.tflite")
    graph = load(path)
    (found,) = graph.run({graph.inputs[0]: samples[:1]}).values()
    (wanted,) = Interpreter(path).run(samples[0])
    np.testing.assert_allclose(found.ravel(), wanted.ravel(), atol=1e-5)  # sums in another order
    path = convert_keras(model, tmp_path / "int8.tflite", samples)
    _, network = load_kept(path, micro=False)
    q = network.quantize_inputs({network.inputs[0]: samples[:1]})
    (found,) = network.run(q).values()
    (wanted,) = Interpreter(path).run(q[network.inputs[0]][0])
    np.testing.assert_array_equal(found.ravel(), wanted.ravel())
