"""Zeros around images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph.window import Padding
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D
from operators.cases import Cases, Growth, Layer, Shape, Weights, keras_layer, keras_operation, onnx_node
from operators.cases import tflite_function as function
from operators.cases._frameworks import (
    IMAGE,
    ONNX_IMAGE,
    ONNX_SEQUENCE,
    ONNX_VECTOR,
    SEQUENCE,
    TF_IMAGE,
    indices,
    number,
)
from operators.cases._layers import lowered
from operators.cases._linear import channels, small


@st.composite
def layers(draw: Callable) -> Layer:
    """Up to two rows and columns on each side, of zeros or another value."""
    value = draw(st.sampled_from([0.0, 0.0, 0.7, -1e9]))
    return lowered(draw, ZeroPadding2D(edges(draw), value), [(draw(small), draw(small), draw(channels))])


def edges(draw: Callable) -> Padding:
    """Rows and columns by side."""
    return Padding(*(draw(st.integers(0, 2)) for _ in range(4)))


def check(layer: Layer, found: np.ndarray) -> None:
    """The zero point stands for zero, the nearest integer for another value."""
    operator, (q,), (source,) = layer.operator, layer.samples, layer.sources
    assert isinstance(operator, ZeroPadding2D)
    assert found.dtype == source.dtype
    top, bottom, left, right = operator.padding
    padded = int(np.clip(np.floor(operator.value / source.step + 0.5) + source.zero_point, source.low, source.high))
    wanted = np.full((len(q), q.shape[1] + top + bottom, q.shape[2] + left + right, q.shape[3]), padded)
    wanted[:, top : top + q.shape[1], left : left + q.shape[2]] = q
    np.testing.assert_array_equal(found, wanted)


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[ZeroPadding2D, Weights]:
    return ZeroPadding2D(edges(draw)), {}


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(grown, ranks=(3,)),
    keras=[
        *(keras_layer(SEQUENCE, "ZeroPadding1D", sides) for sides in ((1, 3), 2)),
        keras_layer(IMAGE, "ZeroPadding2D", ((1, 0), (0, 2))),
        keras_operation("pad", IMAGE, lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)))),
    ],
    tflite=[
        function("pad", TF_IMAGE, lambda tf, x: tf.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)))),
        function(
            "pad with a number", TF_IMAGE, lambda tf, x: tf.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0)), "CONSTANT", 1.5)
        ),
        function("pad channels", TF_IMAGE, lambda tf, x: tf.pad(x, ((0, 0), (1, 0), (0, 0), (0, 2)), "CONSTANT", -9.0)),
    ],
    onnx=[
        *(
            onnx_node(ONNX_IMAGE, "Pad", indices(0, 1, 2, 0, 0, 1, 1, 3), mode=mode, moves=True)
            for mode in ("edge", "reflect", "wrap")
        ),
        onnx_node(ONNX_IMAGE, "Pad", indices(0, 0, 1, 0, 0, 0, 2, 1)),
        onnx_node(ONNX_IMAGE, "Pad", indices(1, 2), number(0), indices(3)),
        onnx_node(ONNX_SEQUENCE, "Pad", indices(0, 0, 2, 0, 0, 1), moves=True),
        onnx_node(ONNX_VECTOR, "Pad", indices(0, 0, 0, 0)),
        onnx_node(ONNX_VECTOR, "Pad", indices(0, 1, 0, 2)),
        onnx_node(ONNX_VECTOR, "Pad", indices(1, 1, 0, 2), number(-1.5)),
        onnx_node(ONNX_IMAGE, "Pad", indices(0, 2, 0, 1, 0, 1, 0, 1), number(0.5), moves=True),
        onnx_node(ONNX_IMAGE, "Pad", indices(1, 2, 1, 1, 2, 1, 0, 1), moves=True),
    ],
)
