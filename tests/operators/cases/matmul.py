"""Products of two computed matrices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.matmul import MatMul
from operators.cases import Cases, Layer, onnx_nodes, tflite_function
from operators.cases._frameworks import TF_IMAGE, indices, random
from operators.cases._layers import assert_multipliers, assert_rescaled, centred, lowered, span_of
from operators.cases._linear import channels, clips, small


@st.composite
def layers(draw: Callable) -> Layer:
    """Two stacks of matrices, either of them transposed, their leading axes broadcast."""
    rows, inner, columns = draw(small), draw(channels), draw(channels)
    turned = draw(st.booleans()), draw(st.booleans())
    low, high = draw(clips)
    operator = MatMul(*turned, draw(st.sampled_from([1.0, 0.125, -1.0])), low=low, high=high)
    leading = draw(st.sampled_from([((), ()), ((2,), (2,)), ((3, 2), (1, 2)), ((1, 2), (3, 1)), ((2,), ())]))
    first = (*leading[0], *((inner, rows) if turned[0] else (rows, inner)))
    second = (*leading[1], *((columns, inner) if turned[1] else (inner, columns)))
    return lowered(draw, operator, [first, second])


def check(layer: Layer, found: np.ndarray) -> None:
    """Each sample's matrices are multiplied, and the sums rounded."""
    operator, (a, b), (first, second) = layer.operator, centred(layer), layer.sources
    assert isinstance(operator, MatMul)
    m, shift = (int(np.ravel(layer.constants[key])[0]) for key in ("multiplier", "shift"))
    a, b = a.swapaxes(-1, -2) if operator.transpose_first else a, b.swapaxes(-1, -2) if operator.transpose_second else b
    span = span_of(first) * span_of(second) * a.shape[-1]
    ratio = first.step * second.step * operator.factor / layer.output.step
    assert_multipliers(m, shift, ratio, float(span), 61)
    assert_rescaled(layer, found, m * np.stack([np.matmul(a[i], b[i]) for i in range(len(a))]), shift)


TURNED = ("Transpose x -> t", {"perm": [0, 2, 1]})
CASES = Cases(
    layers=layers(),
    check=check,
    tflite=[
        tflite_function("product of two", TF_IMAGE, lambda tf, x: tf.matmul(x, tf.tanh(x), transpose_b=True)),
        tflite_function(
            "product of two, the first turned", TF_IMAGE, lambda tf, x: tf.matmul(tf.tanh(x), x, transpose_a=True)
        ),
        tflite_function("product with a matrix", TF_IMAGE, lambda tf, x: tf.matmul(x, random(1, 1, 4, 3))),
    ],
    onnx=[
        onnx_nodes("stacks of matrices", (2, 4, 5), [TURNED, "Tanh t -> u", "MatMul x u -> y"]),
        onnx_nodes(
            "a stack and a matrix",
            (2, 5, 5),
            [("ReduceMax x a -> m", {"keepdims": 0}), "MatMul x m -> y"],
            a=indices(0),
        ),
        onnx_nodes("two vectors", (6,), ["Tanh x -> t", "MatMul x t -> y"]),
        onnx_nodes("a constant and a stack", (2, 4, 5), ["MatMul m x -> y"], m=random(3, 4), moves=True),
        onnx_nodes("a constant and a vector", (4,), ["MatMul m x -> y"], m=random(3, 4)),
    ],
)
