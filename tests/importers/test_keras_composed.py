"""Layers and operations of Keras that are written out in several operators, or change nothing, compute what Keras does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from keras_networks import randomize, samples

from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
Shapes = tuple[tuple[int, ...], ...]
Case = tuple[Shapes, Callable[..., Any]]
IMAGE, SEQUENCE, VECTOR = (6, 5, 4), (7, 4), (6,)


def check(keras: ModuleType, folder: Path, model: Any) -> None:
    """The file's graph, as read and after the passes, agrees with the model: 1e-5 of the largest value, float32."""
    randomize(model, 5)
    model.save(folder / "model.keras")
    graph = load(folder / "model.keras")
    x = [np.abs(samples(graph.shapes[name])) + 0.1 for name in graph.inputs]
    wanted = [np.asarray(y) for y in keras.tree.flatten(model(x if len(x) > 1 else x[0], training=False))]
    for one in (graph, optimize(graph)):
        found = list(one.run(dict(zip(graph.inputs, x, strict=True))).values())
        for a, b in zip(wanted, found, strict=True):
            assert b.shape == a.shape
            np.testing.assert_allclose(b, a.astype(np.float32), rtol=0, atol=1e-5 * max(1.0, np.abs(a).max()))


def normalizations() -> dict[str, Case]:
    """Normalisation over all axes that Keras can compute."""
    cases: dict[str, Case] = {}
    for axis in (1, 2, [1, 2], [2, 3], [1, 2, 3]):
        cases[f"layer {axis}"] = ((IMAGE,), lambda k, x, axis=axis: k.LayerNormalization(axis=axis)(x))
        cases[f"unit {axis}"] = ((IMAGE,), lambda k, x, axis=axis: k.UnitNormalization(axis=axis)(x))
    for axis in (-1, [2, 3], [1, 2, 3]):
        cases[f"root mean square {axis}"] = ((IMAGE,), lambda k, x, axis=axis: k.RMSNormalization(axis=axis)(x))
    return cases


def nothing() -> dict[str, Case]:
    """Layers that change nothing at inference."""
    arguments = {"RandomFlip": (), "RandomRotation": (0.1,), "RandomContrast": (0.2,), "MixUp": (), "Identity": ()}
    return {
        kind: ((IMAGE,), lambda k, x, kind=kind, given=given: getattr(k, kind)(*given)(x))
        for kind, given in arguments.items()
    }


CASES: dict[str, Case] = {**normalizations(), **nothing()}


@pytest.mark.parametrize("case", CASES)
def test_layer(keras: ModuleType, tmp_path: Path, case: str) -> None:
    shapes, make = CASES[case]
    keras.utils.clear_session()
    x = [keras.Input(shape) for shape in shapes]
    check(keras, tmp_path, keras.Model(x, make(keras.layers, *x)))
