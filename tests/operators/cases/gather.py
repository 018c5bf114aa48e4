"""Positions of an axis, in any order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.gather import Gather
from operators.cases import Cases, Growth, Layer, Shape, Weights, onnx_node
from operators.cases import tflite_function as function
from operators.cases._frameworks import ONNX_IMAGE, TF_IMAGE, indices
from operators.cases._layers import lowered
from operators.cases._linear import channels, small


@st.composite
def layers(draw: Callable) -> Layer:
    """Any positions of any axis."""
    shape = (draw(small), draw(small), draw(channels))
    return lowered(draw, positions_of(draw, shape), [shape])


def positions_of(draw: Callable, shape: Shape) -> Gather:
    """Up to six positions, some of them more than once."""
    axis = draw(st.integers(-len(shape), -1))
    return Gather(axis, tuple(draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=6))))


def check(layer: Layer, found: np.ndarray) -> None:
    """Element by element."""
    operator, (q,) = layer.operator, layer.samples
    assert isinstance(operator, Gather)
    for index in np.ndindex(*found.shape[1:]):
        source = list(index)
        source[operator.axis] = operator.places[index[operator.axis]]
        np.testing.assert_array_equal(found[:, *index], q[:, *source])


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[Gather, Weights]:
    return positions_of(draw, shape), {}


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(grown),
    tflite=[
        function("gather", TF_IMAGE, lambda tf, x: tf.gather(x, [3, 0, 0, 2], axis=2)),
        function("gather one", TF_IMAGE, lambda tf, x: tf.gather(x, 3, axis=1)),
        function("gather a matrix", TF_IMAGE, lambda tf, x: tf.gather(x, [[3, 0], [1, 2]], axis=3)),
        function("gather points", TF_IMAGE, lambda tf, x: tf.gather_nd(x, [[[0, 1, 2], [0, 6, 0]]])),
        function("reverse", TF_IMAGE, lambda tf, x: tf.reverse(x, [2, 3])),
        function("reflect", TF_IMAGE, lambda tf, x: tf.pad(x, ((0, 0), (1, 2), (0, 3), (3, 0)), "REFLECT")),
        function("symmetric", TF_IMAGE, lambda tf, x: tf.pad(x, ((0, 0), (1, 2), (0, 6), (0, 0)), "SYMMETRIC")),
    ],
    onnx=[
        onnx_node(ONNX_IMAGE, "Gather", indices(3, -1, 3, 0), axis=2, moves=True),
        onnx_node((5, 4, 3), "Gather", np.array([[2, 0], [1, -1]]), axis=0, moves=True),
        onnx_node((2, 3), "Tile", indices(2, 1)),
        onnx_node(ONNX_IMAGE, "Tile", indices(2, 1, 1, 3), moves=True),
    ],
)
