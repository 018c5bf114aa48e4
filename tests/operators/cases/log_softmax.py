"""The logarithm of softmax."""

from __future__ import annotations

from collections.abc import Callable
from math import log, log2

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.log_softmax import LogSoftmax
from operators.cases import Cases, Growth, Layer, keras_operation, onnx_node, tflite_function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_VECTOR, TF_ROWS
from operators.cases._layers import lowered
from operators.draws import formats


@st.composite
def layers(draw: Callable) -> Layer:
    """Up to 20 classes, alone or by position, in the usual format or any other."""
    shape = (*draw(st.sampled_from([(), (3,), (2, 2)])), draw(st.integers(1, 20)))
    output = draw(st.one_of(st.none(), formats()))
    return lowered(draw, LogSoftmax(), [shape], output=output)


def check(layer: Layer, found: np.ndarray) -> None:
    """-step * d - ln S, where S is the sum of exponentials of 16 bits and its logarithm has 16 bits behind the point."""
    (q,), (source,), output = layer.samples, layer.sources, layer.output
    assert found.dtype == output.dtype
    step, d = float(source.step), q.max(axis=-1, keepdims=True).astype(np.int64) - q
    e = np.floor(np.exp(-step * np.arange(256)) * 65535 + 0.5).astype(np.int64)[d % 256]
    if source.bits > 8:
        coarse = np.floor(np.exp(-step * 256 * np.arange(256)) * 65535 + 0.5).astype(np.int64)
        e = (coarse[d // 256] * e + (1 << 15)) >> 16
    largest = 65535 * 65535 / 65536 if source.bits > 8 else 65535
    below = np.vectorize(lambda total: log(2) * (log2(total) - log2(largest)))(e.sum(axis=-1, keepdims=True))
    real = np.clip((-step * d - below) / float(output.step) + output.zero_point, output.low, output.high)
    # The logarithm is rounded down to 2^-16 and centred; the multipliers have 15 bits or more of the largest value.
    bound = 0.5 + (2.0**-16 + np.abs(real) * 2.0**-15 * float(output.step)) / float(output.step)
    assert np.all(np.abs(found - real) <= bound + 1e-3), (found, real)


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (LogSoftmax(), {})),
    keras=[
        keras_operation("log softmax", IMAGE, lambda ops, x: ops.log_softmax(x)),
        keras_operation("log softmax of an axis", IMAGE, lambda ops, x: ops.log_softmax(x, axis=1)),
    ],
    tflite=[tflite_function("log_softmax", TF_ROWS, lambda tf, x: tf.nn.log_softmax(x))],
    onnx=[
        *(onnx_node(ONNX_IMAGE, "LogSoftmax", axis=axis, moves=True) for axis in (-1, 1, 2, 3)),
        onnx_node(ONNX_VECTOR, "LogSoftmax", axis=1),
    ],
)
