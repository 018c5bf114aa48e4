"""Parts of tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.slice import Slice
from operators.cases import Cases, Growth, Layer, Shape, Weights, keras_layer, keras_operation, onnx_node, onnx_nodes
from operators.cases import tflite_function as function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, SEQUENCE, TF_IMAGE, indices
from operators.cases._layers import lowered
from operators.cases._linear import channels, small


@st.composite
def layers(draw: Callable) -> Layer:
    """Any start and step."""
    shape = (draw(small), draw(small), draw(channels))
    return lowered(draw, part_of(draw, shape), [shape])


def part_of(draw: Callable, shape: Shape) -> Slice:
    """Any part that has at least one element."""
    starts = tuple(draw(st.integers(0, min(size - 1, 2))) for size in shape)
    steps = tuple(draw(st.sampled_from([1, 1, 2])) for _ in shape)
    rest = zip(shape, starts, steps, strict=True)
    return Slice(starts, tuple(draw(st.integers(1, -(-(size - start) // step))) for size, start, step in rest), steps)


def check(layer: Layer, found: np.ndarray) -> None:
    """Element by element."""
    operator, (q,) = layer.operator, layer.samples
    assert isinstance(operator, Slice)
    assert found.shape[1:] == operator.sizes
    for index in np.ndindex(*operator.sizes):
        source = [
            a + b * c for a, b, c in zip(operator.starts, index, operator.steps or (1,) * len(index), strict=True)
        ]
        np.testing.assert_array_equal(found[:, *index], q[:, *source])


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[Slice, Weights]:
    return part_of(draw, shape), {}


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(grown),
    keras=[
        *(keras_layer(SEQUENCE, "Cropping1D", edges) for edges in ((1, 3), 2)),
        keras_layer(IMAGE, "Cropping2D", ((1, 0), (2, 1))),
        keras_operation("slice", IMAGE, lambda ops, x: x[:, 1:3, :, ::2]),
        keras_operation("last index", IMAGE, lambda ops, x: x[..., 0]),
        keras_operation("index", IMAGE, lambda ops, x: x[:, -1, 1:-1]),
        keras_operation("new axis", IMAGE, lambda ops, x: x[:, None, ..., 1:]),
    ],
    tflite=[
        function("strided slice", TF_IMAGE, lambda tf, x: x[:, 1:6:2, -3:, 1]),
        function("slice", TF_IMAGE, lambda tf, x: tf.slice(x, (0, 2, 0, 1), (1, 4, -1, 1))),
        function("split", TF_IMAGE, lambda tf, x: tf.split(x, 2, 3)),
        function("split into sizes", TF_IMAGE, lambda tf, x: tf.split(x, (2, 5), 1)),
        function("unstack", TF_IMAGE, lambda tf, x: tf.unstack(x, axis=3)[:1]),
    ],
    onnx=[
        onnx_node(ONNX_IMAGE, "Slice", indices(1), indices(3), indices(2)),
        onnx_node(ONNX_IMAGE, "Slice", indices(0, -4, 1), indices(1, 2**62, -1), indices(0, 2, 3), indices(1, 2, 1)),
        onnx_node(ONNX_IMAGE, "Gather", np.array(1), axis=1),
        onnx_node((5, 4, 3), "Gather", np.array(-2), axis=0),
        onnx_node((5, 4, 3), "Slice", indices(1), indices(4), indices(0), indices(2)),
        onnx_node(ONNX_IMAGE, "Gather", indices(0, 2, 4), axis=2),
        onnx_nodes(
            "Split into sizes",
            ONNX_IMAGE,
            [("Split x s -> a b", {"axis": 1}), ("Concat b a -> y", {"axis": 1})],
            s=indices(1, 2),
        ),
        onnx_nodes(
            "Split into equal parts",
            ONNX_IMAGE,
            [("Split x -> a b c", {"axis": 2, "num_outputs": 3}), "Sum a b c -> y"],
        ),
    ],
)
