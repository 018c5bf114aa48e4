"""The same values under another shape."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.reshape import Reshape
from operators.cases import (
    Cases,
    Growth,
    Layer,
    Shape,
    Weights,
    keras_layer,
    keras_operation,
    onnx_node,
    tflite_function,
)
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, TF_ROWS, indices
from operators.cases._layers import lowered
from operators.cases._linear import channels, small


@st.composite
def layers(draw: Callable) -> Layer:
    """To a vector, or with two axes joined."""
    shape = (draw(small), draw(small), draw(channels))
    return lowered(draw, Reshape(draw(st.sampled_from([(prod(shape),), (shape[0] * shape[1], shape[2])]))), [shape])


def check(layer: Layer, found: np.ndarray) -> None:
    """Values stay in their order."""
    np.testing.assert_array_equal(found.ravel(), layer.samples[0].ravel())


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[Reshape, Weights]:
    """To an image of one row, a vector, or a sequence, which is drawn often, for the operators on sequences."""
    targets = [(1, prod(shape[:-1]), shape[-1])]
    if len(shape) == 3:
        targets += [(prod(shape),), *[(shape[0], shape[1] * shape[2])] * 3]
    return Reshape(draw(st.sampled_from(targets))), {}


SIZES = (
    (1, 90), (-1, 90), (0, -1), (1, 3, 30), (1, 18, 5), (1, 2, 45), (0, 0, 5, -1), (1, 3, 1, 6, 5), (1, 9, 2, 5),
)  # fmt: skip
CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(grown, often=2),
    keras=[
        keras_layer(IMAGE, "Flatten"),
        keras_layer(IMAGE, "Reshape", (-1, 10, 9)),
        keras_operation("reshape", IMAGE, lambda ops, x: ops.reshape(x, (-1, 10, 9))),
        keras_operation("expand and squeeze", IMAGE, lambda ops, x: ops.squeeze(ops.expand_dims(x, 1), 1)),
    ],
    tflite=[
        tflite_function("reshape", TF_ROWS, lambda tf, x: tf.reshape(x, (1, 10, 2))),
        tflite_function("expand_dims", TF_ROWS, lambda tf, x: tf.expand_dims(x, 2)),
        tflite_function("squeeze", TF_ROWS, lambda tf, x: tf.squeeze(x[:, :1], 1)),
    ],
    onnx=[
        *(onnx_node(ONNX_IMAGE, "Reshape", indices(*sizes), moves=True) for sizes in SIZES),
        *(onnx_node(ONNX_IMAGE, "Flatten", axis=axis, moves=True) for axis in (1, -3)),
        onnx_node(ONNX_IMAGE, "Unsqueeze", indices(1), moves=True),
        onnx_node(ONNX_IMAGE, "Unsqueeze", indices(2, -1), moves=True),
        onnx_node((1, 3, 1, 5), "Squeeze", indices(2)),
        onnx_node((1, 3, 1, 5), "Squeeze", moves=True),
        onnx_node((4, 1, 5), "Squeeze", indices(1)),
        onnx_node((4, 5), "Unsqueeze", indices(0, -1)),
        *(onnx_node((4, 1, 6), "Reshape", indices(*sizes)) for sizes in ((24,), (1, -1), (2, 2, 6), (0, 3, 2))),
        *(onnx_node((4, 5, 6), "Flatten", axis=axis) for axis in (0, 1, -1, 3)),
    ],
)
