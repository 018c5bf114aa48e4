"""Sums over windows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.sum_pool2d import SumPool2D
from operators.cases import Cases, Growth, Layer, onnx_node, tflite_function
from operators.cases._frameworks import ONNX_IMAGE, TF_IMAGE
from operators.cases._layers import assert_multipliers, assert_rescaled, centred, lowered, span_of
from operators.cases._linear import channels, small
from operators.cases._pools import onnx_reductions


@st.composite
def layers(draw: Callable) -> Layer:
    """Rows of values."""
    size = Size(1, draw(st.sampled_from([1, 2, 9, 100])))
    return lowered(draw, SumPool2D(size, size), [(draw(small), size.width, draw(channels))])


def check(layer: Layer, found: np.ndarray) -> None:
    """The sum of each row's values is rounded."""
    (q,), (source,) = centred(layer), layer.sources
    m, shift = int(layer.constants["multiplier"].flat[0]), int(layer.constants["shift"])
    count = q.shape[2]
    bits = 30 if source.bits <= 8 else 61
    assert_multipliers(m, shift, source.step / layer.output.step, 2.0 * count * span_of(source), bits)
    assert_rescaled(layer, found, m * q.sum(axis=2, keepdims=True), shift)


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (SumPool2D(Size(*shape[:2]), Size(*shape[:2])), {}), ranks=(3,)),
    tflite=[
        tflite_function("sum", TF_IMAGE, lambda tf, x: tf.reduce_sum(x, (1, 2))),
        tflite_function("sum of axes apart", TF_IMAGE, lambda tf, x: tf.reduce_sum(x, (1, 3), keepdims=True)),
    ],
    onnx=[*onnx_reductions("ReduceSum"), onnx_node(ONNX_IMAGE, "ReduceSum", axes=[1], opset=11, moves=True)],
)
