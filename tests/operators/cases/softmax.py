"""Softmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.softmax import Softmax
from operators.cases import (
    Cases,
    Growth,
    Layer,
    keras_layer,
    keras_operation,
    onnx_node,
    tflite_function,
)
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_VECTOR, TF_IMAGE, TF_ROWS
from operators.cases._layers import lowered


@st.composite
def layers(draw: Callable) -> Layer:
    """Up to 20 classes, alone or by position; between layers the step may be any 1/n."""
    output = draw(st.sampled_from([None, None, Format(8, False, 1 / 777), Format(8, False, 2.0**-15)]))
    rows = draw(st.sampled_from([(), (3,), (2, 2)]))
    return lowered(draw, Softmax(), [(*rows, draw(st.integers(1, 20)))], output=output)


def check(layer: Layer, found: np.ndarray) -> None:
    """exp(-step * d) of the distances d from the largest, in tables of 16 bits, over their sum, rounded."""
    (q,), (source,), output = layer.samples, layer.sources, layer.output
    assert found.dtype == output.dtype
    step, d = float(source.step), q.max(axis=-1, keepdims=True).astype(np.int64) - q
    table = np.floor(np.exp(-step * np.arange(256)) * 65535 + 0.5).astype(np.int64)
    e = table[d % 256]
    if source.bits > 8:
        coarse = np.floor(np.exp(-step * 256 * np.arange(256)) * 65535 + 0.5).astype(np.int64)
        e = (coarse[d // 256] * e + (1 << 15)) >> 16
    total, one = e.sum(axis=-1, keepdims=True), round(1 / float(output.step))
    np.testing.assert_array_equal(found, np.minimum((2 * e * one + total) // (2 * total), output.high))
    # Each exponential is off by about 2^-16 of the largest.
    real = np.minimum(layer.operator.compute([source.dequantize(q)], {}), output.high * output.step)
    assert np.all(np.abs(output.dequantize(found) - real) <= output.step + 3 * (q.shape[-1] + 1) * 2.0**-16)


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (Softmax(), {})),
    keras=[
        *(keras_layer(IMAGE, "Softmax", axis=axis) for axis in (1, 2, 3, -2)),
        keras_operation("softmax", IMAGE, lambda ops, x: ops.softmax(x, axis=1)),
    ],
    tflite=[
        tflite_function("softmax of rows", TF_ROWS, lambda tf, x: tf.nn.softmax(x)),
        tflite_function("softmax of scaled values", TF_IMAGE, lambda tf, x: tf.nn.softmax(x * 2.0)),
    ],
    onnx=[
        *(onnx_node(ONNX_IMAGE, "Softmax", axis=axis, moves=True) for axis in (-1, 1, 2, 3)),
        onnx_node(ONNX_VECTOR, "Softmax"),
        *(onnx_node((3, 4, 5), "Softmax", axis=axis, moves=True) for axis in (0, 1, 2)),
        onnx_node((1, 4), "Softmax", axis=0),
    ],
)
