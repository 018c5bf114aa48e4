"""Values repeated along axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.broadcast import Broadcast
from operators.cases import Cases, Growth, Layer, Shape, Weights, keras_layer, onnx_node, tflite_function
from operators.cases._frameworks import TF_ROWS, indices
from operators.cases._layers import lowered
from operators.cases._linear import channels, small


@st.composite
def layers(draw: Callable) -> Layer:
    """Axes of size 1 are repeated."""
    shape = tuple(draw(st.sampled_from([1, draw(size)])) for size in (small, small, channels))
    return lowered(draw, Broadcast(tuple(3 if size == 1 else size for size in shape)), [shape])


def check(layer: Layer, found: np.ndarray) -> None:
    """Element by element."""
    (q,) = layer.samples
    for index in np.ndindex(*found.shape[1:]):
        source = [min(i, size - 1) for i, size in zip(index, q.shape[1:], strict=True)]
        np.testing.assert_array_equal(found[:, *index], q[:, *source])


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[Broadcast, Weights]:
    """Axes of size 1 are repeated; where there are few, there is a new first axis."""
    whole = tuple(draw(st.integers(1, 3)) if size == 1 else size for size in shape)
    return Broadcast((draw(st.integers(1, 3)), *whole) if len(shape) < 3 else whole), {}


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(grown),
    keras=[keras_layer((5,), "RepeatVector", 4)],
    tflite=[tflite_function("broadcast_to", TF_ROWS, lambda tf, x: tf.broadcast_to(x[:, :1, :1], (1, 3, 6)))],
    onnx=[
        onnx_node((1, 3, 1, 1), "Expand", indices(1, 3, 6, 5)),
        onnx_node((1, 7), "Expand", indices(1, 4, 7)),
        onnx_node((1, 7), "Expand", indices(4, 1)),
        onnx_node((5, 1), "Expand", indices(2, 1, 6)),
    ],
)
