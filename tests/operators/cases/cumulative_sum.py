"""Sums along an axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.cumulative_sum import CumulativeSum
from operators.cases import Cases, Growth, Layer, keras_operation, onnx_node, tflite_function
from operators.cases._frameworks import IMAGE, TF_IMAGE
from operators.cases._layers import assert_multipliers, assert_rescaled, centred, lowered, span_of
from operators.cases._linear import channels, clips, small

FLAGS = [(False, False), (True, False), (False, True), (True, True)]


@st.composite
def layers(draw: Callable) -> Layer:
    """Rows of values, in both directions."""
    low, high = draw(clips)
    operator = CumulativeSum(*draw(st.sampled_from(FLAGS)), low=low, high=high)
    return lowered(draw, operator, [(draw(small), draw(st.sampled_from([1, 2, 9, 100])), draw(channels))])


def check(layer: Layer, found: np.ndarray) -> None:
    """Each sum is rounded."""
    (q,), (source,), operator = centred(layer), layer.sources, layer.operator
    assert isinstance(operator, CumulativeSum)
    m, shift = int(layer.constants["multiplier"]), int(layer.constants["shift"])
    bits = 30 if source.bits <= 8 else 61
    assert_multipliers(m, shift, source.step / layer.output.step, 2.0 * q.shape[2] * span_of(source), bits)
    total = np.zeros_like(q)
    for i in range(q.shape[2]):
        first, last = (i + operator.exclusive, None) if operator.reverse else (0, i + (not operator.exclusive))
        total[:, :, i] = q[:, :, first:last].sum(axis=2)
    assert_rescaled(layer, found, m * total, shift)


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (CumulativeSum(*draw(st.sampled_from(FLAGS))), {}), ranks=(3,)),
    keras=[keras_operation("cumsum", IMAGE, lambda ops, x: ops.cumsum(x, axis=2))],
    tflite=[
        tflite_function(
            f"cumsum {flags}", TF_IMAGE, lambda tf, x, f=flags: tf.cumsum(x, 2, exclusive=f[0], reverse=f[1])
        )
        for flags in FLAGS
    ],
    onnx=[
        onnx_node((3, 4, 5), "CumSum", np.array(1), moves=True),
        onnx_node((3, 4, 5), "CumSum", np.array(-1), exclusive=1, reverse=1, moves=True),
        onnx_node((1, 4), "CumSum", np.array(0)),
    ],
)
