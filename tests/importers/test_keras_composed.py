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


def attentions() -> dict[str, Case]:
    """Attention to the sequence itself, to another one, in groups; what else is written in products of tensors."""
    other = (5, 4)
    return {
        "self": ((SEQUENCE,), lambda k, x: k.MultiHeadAttention(2, 3)(x, x)),
        "cross": ((SEQUENCE, other), lambda k, x, y: k.MultiHeadAttention(2, 3, value_dim=2, use_bias=False)(x, y)),
        "named": ((SEQUENCE, other), lambda k, x, y: k.MultiHeadAttention(2, 3)(query=x, value=y, key=y)),
        "scores": ((SEQUENCE,), lambda k, x: k.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True)),
        "groups": ((SEQUENCE,), lambda k, x: k.GroupQueryAttention(3, 4, 2)(x, x)),
        "products": ((SEQUENCE, other), lambda k, x, y: k.Attention(use_scale=True)([x, y])),
        "sums": ((SEQUENCE, other), lambda k, x, y: k.AdditiveAttention()([x, y])),
        "dot": ((SEQUENCE, other), lambda k, x, y: k.Dot(2)([x, y])),
        "cosine": ((VECTOR, VECTOR), lambda k, x, y: k.Dot(1, normalize=True)([x, y])),
        "einsum": ((SEQUENCE,), lambda k, x: k.EinsumDense("abc,cde->aebd", (3, None, 2), bias_axes="e")(x)),
    }


def channels() -> dict[str, Case]:
    """Normalisation by other channels, and in groups."""
    return {
        "batch axis 1": ((IMAGE,), lambda k, x: k.BatchNormalization(axis=1)(x)),
        **{
            f"groups {groups}": ((IMAGE,), lambda k, x, groups=groups: k.GroupNormalization(groups)(x))
            for groups in (1, 2, -1)
        },
        "center crop": ((IMAGE,), lambda k, x: k.CenterCrop(3, 4)(x)),
    }


CASES: dict[str, Case] = {**normalizations(), **nothing(), **attentions(), **channels()}
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    **{
        name: lambda ops, x, name=name: getattr(ops, name)(x)
        for name in (
            "absolute",
            "ceil",
            "cos",
            "log",
            "rsqrt",
            "sign",
            "sqrt",
            "tan",
            "expm1",
            "celu",
            "hard_shrink",
            "soft_shrink",
            "squareplus",
            "tanh_shrink",
            "sparse_plus",
            "sparse_sigmoid",
            "logical_not",
            "round",
        )
    },
    **{
        f"{name} {axes}": lambda ops, x, name=name, axes=axes: getattr(ops, name)(x, axis=axes, keepdims=axes != -1)
        for name in ("mean", "sum", "max", "min", "var", "std", "all", "any", "logsumexp")
        for axes in (-1, (1, 2), (1, 3))
    },
    **{
        name: lambda ops, x, name=name: getattr(ops, name)(x[:, 1:], x[:, :-1])
        for name in (
            "divide",
            "power",
            "mod",
            "floor_divide",
            "equal",
            "greater",
            "less_equal",
            "logical_or",
            "logaddexp",
        )
    },
    **{
        f"{name} number": lambda ops, x, name=name: getattr(ops, name)(x, 0.75)
        for name in ("power", "mod", "floor_divide", "not_equal", "greater_equal", "less", "fmax", "fmin")
    },
    "number over": lambda ops, x: 2.0 / x,
    "where": lambda ops, x: ops.where(x > 0.5, x, -1.0),
    "moments": lambda ops, x: ops.moments(x, axes=[1, 2]),
    "norm": lambda ops, x: ops.norm(x, axis=1),
    "normalize": lambda ops, x: ops.normalize(x, axis=2),
    "swapaxes": lambda ops, x: ops.swapaxes(x, 1, 3),
    "moveaxis": lambda ops, x: ops.moveaxis(x, 1, 3),
    "stack": lambda ops, x: ops.stack([x, x + 1], 2),
    "split": lambda ops, x: ops.split(x, [1, 4], 1),
    "unstack": lambda ops, x: ops.unstack(x, axis=3),
    "tile": lambda ops, x: ops.tile(x, (1, 2, 1, 3)),
    "repeat": lambda ops, x: ops.repeat(x, 3, 2),
    "flip": lambda ops, x: ops.flip(x, 2),
    "roll": lambda ops, x: ops.roll(x, 2, 1),
    "take": lambda ops, x: ops.take(x, [3, 0, 1], axis=1),
    "depth to space": lambda ops, x: ops.depth_to_space(x, 2),
    "space to depth": lambda ops, x: ops.space_to_depth(x[:, :, :4], 2),
    "matmul": lambda ops, x: ops.matmul(x, ops.swapaxes(x, 2, 3)),
    "matmul of a constant": lambda ops, x: ops.matmul(x, np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)),
    "attention": lambda ops, x: ops.dot_product_attention(x, x, x),
}


@pytest.mark.parametrize("first", range(4))
def test_operations(keras: ModuleType, tmp_path: Path, first: int) -> None:
    """A fourth of the operations, each an output of one network, since files take longer than operations."""
    keras.utils.clear_session()
    x = keras.Input(IMAGE)
    check(keras, tmp_path, keras.Model(x, [make(keras.ops, x) for make in list(OPERATIONS.values())[first::4]]))


@pytest.mark.parametrize("case", CASES)
def test_layer(keras: ModuleType, tmp_path: Path, case: str) -> None:
    shapes, make = CASES[case]
    keras.utils.clear_session()
    x = [keras.Input(shape) for shape in shapes]
    check(keras, tmp_path, keras.Model(x, make(keras.layers, *x)))
