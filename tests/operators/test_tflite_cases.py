"""Every operator that is read from TFLite computes what TensorFlow's interpreter computes.

The converter makes one file of all cases, one output or several a case.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize
from importers.tflite_networks import Interpreter, convert
from operators.cases import tables

CASES = [(name, case) for name, cases in tables().items() for case in cases.tflite]
SHAPES = sorted({case.shapes for _, case in CASES})


@pytest.mark.parametrize("shapes", SHAPES)
def test_agrees_with_the_interpreter(keras: ModuleType, tmp_path: Path, shapes: tuple[tuple[int, ...], ...]) -> None:
    import tensorflow as tf

    titles: list[str] = []

    def network(*tensors: object) -> list[object]:
        titles.clear()
        found = []
        for name, case in CASES:
            if case.shapes == shapes:
                made = case.make(tf, *tensors)
                parts = made if isinstance(made, (list, tuple)) else [made]
                found += parts
                titles.extend([f"{name}: {case.name}"] * len(parts))
        return found

    path = convert(network, [(1, *shape) for shape in shapes], tmp_path / "cases.tflite")
    graph, interpreter = load(path), Interpreter(path, reference=False)
    random = np.random.default_rng(5)
    samples = [random.normal(0, 1, shape).astype(np.float32) for shape in shapes]
    expected = interpreter.run(*samples)
    batch = {name: sample[None] for name, sample in zip(graph.inputs, samples, strict=True)}
    for one in (graph, optimize(graph)):
        found = one.run(batch)
        for title, name, want in zip(titles, one.outputs, expected, strict=True):
            # Sums of float32 in another order: some units of 2^-24 of the largest term.
            tolerance = 1e-5 * np.abs(want).max()
            np.testing.assert_allclose(found[name].reshape(want.shape), want, 1e-5, tolerance, err_msg=title)
