"""Forms of ONNX beside single operators with constants: old opsets, functions, products of tensors, whole constants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, NodeProto, TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_networks import loaded, model, node, samples_for

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.storage import load_float, save_float

SHAPE = (1, 3, 4, 5)
ONE = np.float32(1)


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def check(folder: Path, made: ModelProto, shape: tuple[int, ...] = SHAPE) -> None:
    """The graph computes what ONNX's reference implementation does."""
    graph = loaded(folder, made)
    x = {"x": np.random.default_rng(7).normal(size=shape).astype(np.float32)}
    (found,) = graph.run(samples_for(graph, x)).values()
    (expected,) = ReferenceEvaluator(made).run(None, x)
    orders = [expected, np.moveaxis(expected, 1, -1)] if expected.ndim > 2 else [expected]
    assert any(one.shape == found.shape and np.allclose(one, found, rtol=1e-4, atol=1e-5) for one in orders)


ATTENTION = [
    node("Transpose", "x", "keys", perm=[0, 1, 3, 2]),
    node("MatMul", "x keys", "scores"),
    node("Softmax", "scores", "weights", axis=-1),
    node("MatMul", "weights x", "y"),
]
HEADS = [
    node("Reshape", "x apart", "split"),
    node("Transpose", "split", "heads", perm=[0, 2, 1, 3]),
    node("Transpose", "split", "keys", perm=[0, 2, 3, 1]),
    node("MatMul", "heads keys", "scores"),
    node("MatMul", "scores heads", "mixed"),
    node("Transpose", "mixed", "back", perm=[0, 2, 1, 3]),
    node("Reshape", "back whole", "y"),
]


def test_attention_multiplies_computed_matrices(tmp_path: Path) -> None:
    check(tmp_path, model(ATTENTION, {"x": SHAPE}))


def test_attention_of_several_heads(tmp_path: Path) -> None:
    shapes = {"apart": np.array([1, 6, 2, 4]), "whole": np.array([1, 6, 8])}
    check(tmp_path, model(HEADS, {"x": (1, 6, 8)}, shapes), (1, 6, 8))


def test_constant_matrix_times_tensor(tmp_path: Path) -> None:
    check(tmp_path, model([node("MatMul", "m x", "y")], {"x": SHAPE}, {"m": random(2, 4)}))


@pytest.mark.parametrize("kind", ["Add", "Mul", "Sub", "Div"])
@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (1, 3, 1, 5), (3, 4, 1)])
def test_constants_of_several_axes(kind: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    made = model([node(kind, "x c", "y")], {"x": SHAPE}, {"c": np.abs(random(*shape)) + ONE})
    check(tmp_path, made)


def test_a_constant_may_broadcast_the_tensor(tmp_path: Path) -> None:
    check(tmp_path, model([node("Add", "x c", "y")], {"x": (1, 1, 5)}, {"c": random(4, 5)}), (1, 1, 5))


OLD: dict[str, list[NodeProto]] = {
    "clip": [helper.make_node("Clip", ["x"], ["y"], min=-0.5, max=0.5)],
    "squeeze": [
        helper.make_node("Unsqueeze", ["x"], ["a"], axes=[2]),
        helper.make_node("Squeeze", ["a"], ["y"], axes=[2]),
    ],
    "softmax": [helper.make_node("Flatten", ["x"], ["a"]), helper.make_node("Softmax", ["a"], ["y"])],
    "pad": [helper.make_node("Pad", ["x"], ["y"], pads=[0, 0, 1, 2, 0, 0, 2, 1])],
}


@pytest.mark.parametrize("opset", [7, 9])
@pytest.mark.parametrize("kind", OLD)
def test_old_opsets_are_converted(kind: str, opset: int, tmp_path: Path) -> None:
    made = model(OLD[kind], {"x": SHAPE}, opset=opset)
    made.graph.output[0].type.tensor_type.shape.SetInParent()
    made.graph.output[0].type.tensor_type.ClearField("shape")
    check(tmp_path, made)


@pytest.mark.parametrize("kind", ["ReduceL1", "ReduceSumSquare"])
def test_operators_that_onnx_defines_by_others_are_written_out(kind: str, tmp_path: Path) -> None:
    check(tmp_path, model([node(kind, "x axes", "y")], {"x": SHAPE}, {"axes": np.array([2, 3])}))


def test_quotients_of_integers_are_refused(tmp_path: Path) -> None:
    made = model([node("Div", "x c", "y")], {"x": SHAPE}, {"c": np.array(3, np.int32)})
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32
    made.graph.output[0].type.tensor_type.elem_type = TensorProto.INT32
    with pytest.raises(GgdqError, match="computes with integers"):
        loaded(tmp_path, made)


def test_a_mode_that_is_not_known_is_refused(tmp_path: Path) -> None:
    made = model([node("SpaceToDepth", "x", "y", blocksize=2, mode="CRD")], {"x": (1, 2, 4, 4)})
    with pytest.raises(GgdqError, match="attribute mode = CRD is not supported"):
        loaded(tmp_path, made)


@pytest.mark.parametrize("dilation", [1, 2])
def test_groups_of_transposed_convolutions_are_convolutions_of_their_own(dilation: int, tmp_path: Path) -> None:
    """Against a run for each group, as ONNX's reference implementation fails on groups of several channels."""
    x, kernel = random(1, 4, 5, 4), random(4, 2, 3, 3)
    options = {"strides": [2, 2], "dilations": [dilation, dilation]}
    graph = loaded(
        tmp_path, model([node("ConvTranspose", "x w", "y", group=2, **options)], {"x": x.shape}, {"w": kernel})
    )
    (found,) = graph.run(samples_for(graph, {"x": x})).values()
    parts = []
    for first in (0, 2):
        half = {"w": kernel[first : first + 2]}
        alone = model([node("ConvTranspose", "x w", "y", **options)], {"x": (1, 2, 5, 4)}, half)
        parts += ReferenceEvaluator(alone).run(None, {"x": x[:, first : first + 2]})
    np.testing.assert_allclose(np.moveaxis(found, -1, 1), np.concatenate(parts, axis=1), atol=1e-5)


def test_pads_that_cut_off(tmp_path: Path) -> None:
    """Which ONNX's reference implementation does not compute."""
    pads = np.array([0, -1, 0, -2, 0, 0, -1, 1])
    graph = loaded(tmp_path, model([node("Pad", "x p", "y")], {"x": (1, 3, 6, 5)}, {"p": pads}))
    x = random(1, 6, 5, 3)
    (found,) = graph.run({"x": x}).values()
    np.testing.assert_array_equal(found, np.pad(x[:, :5, 2:, 1:], [(0, 0), (0, 0), (0, 1), (0, 0)]))


def test_a_network_with_lstm_comes_back_from_its_file(tmp_path: Path) -> None:
    """Its limit of the cell state is infinite, which JSON does not have."""
    weights = {"w": random(1, 16, 3), "r": random(1, 16, 4)}
    made = model([node("LSTM", "x w r", "- h", hidden_size=4), node("Squeeze", "h", "y")], {"x": (5, 1, 3)}, weights)
    graph = loaded(tmp_path, made)
    save_float(graph, tmp_path / "net.ggdq")
    assert load_float(tmp_path / "net.ggdq") == graph
