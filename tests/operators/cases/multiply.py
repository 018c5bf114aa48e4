"""Products of tensors, element by element."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.multiply import Multiply
from operators.cases import Cases, Growth, Layer, keras_operation, onnx_node, onnx_nodes, tflite_function
from operators.cases._elementwise import keras_joins, onnx_pairs
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_VECTOR, TF_IMAGE, number, random
from operators.cases._growth import broadcasts, clip
from operators.cases._layers import BITS, assert_multipliers, assert_rescaled, centred, lowered, span_of
from operators.cases._linear import channels, clips, small
from operators.draws import aligned, channel_formats, formats


@st.composite
def layers(draw: Callable) -> Layer:
    """Two tensors, the second broadcast or not, the first with channel steps or without."""
    shape = (draw(small), draw(small), draw(channels))
    low, high = draw(clips)
    second = tuple(draw(st.sampled_from([1, size])) for size in shape)[draw(st.integers(0, 2)) :]
    first = draw(st.one_of(formats(BITS), channel_formats(shape[-1])))
    return lowered(draw, Multiply(low=low, high=high), [shape, second], sources=[first, draw(formats(BITS))])


def check(layer: Layer, found: np.ndarray) -> None:
    """One multiplier and shift, or one of each for each channel."""
    m, shift = layer.constants["multiplier"], layer.constants["shift"]
    first, second = layer.sources
    wide = max(first.bits, second.bits) > 8
    span = float(prod(map(span_of, layer.sources)))
    assert_multipliers(m, shift, np.atleast_1d(first.step * second.step / layer.output.step), span, 61 if wide else 30)
    a, b = aligned(centred(layer))
    assert np.abs(a * b * m).max() < 2 ** (62 if wide else 31)
    assert_rescaled(layer, found, a * b * m, shift)


ROW = random(4)
QUANTIZED = [
    onnx_node(ONNX_IMAGE, "QuantizeLinear", number(0.01), np.uint8(100)),
    onnx_node((3, 4, 5), "QuantizeLinear", number(0.02), np.int8(-3)),
    onnx_nodes(
        "quantized weights",
        ONNX_VECTOR,
        [("QuantizeLinear w s z -> q", {"axis": 0}), ("DequantizeLinear q s z -> r", {"axis": 0}), "MatMul x r -> y"],
        opset=21,
        w=random(7, 4),
        s=random(7, low=0.01, high=0.1),
        z=np.zeros(7, np.int8),
    ),
]
CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (Multiply(**clip(draw)), {}), joins=broadcasts),
    keras=[
        *keras_joins("Multiply"),
        keras_operation("square", IMAGE, lambda ops, x: ops.square(x)),
        keras_operation(
            "squeeze and excitation", IMAGE, lambda ops, x: x * ops.sigmoid(ops.mean(x, axis=(1, 2), keepdims=True))
        ),
    ],
    tflite=[
        tflite_function("product with a row", TF_IMAGE, lambda tf, x: x * ROW),
        tflite_function("product of two", TF_IMAGE, lambda tf, x: x * tf.tanh(x)[..., :1]),
        tflite_function("squared difference", TF_IMAGE, lambda tf, x: tf.math.squared_difference(x, tf.tanh(x))),
        tflite_function("squared difference of a row", TF_IMAGE, lambda tf, x: tf.math.squared_difference(x, ROW)),
        tflite_function("product with a plane", TF_IMAGE, lambda tf, x: x * random(7, 1, 4)),
        tflite_function("quotient of two", TF_IMAGE, lambda tf, x: x / (tf.tanh(x) + 3.0)),
        tflite_function("number over x", TF_IMAGE, lambda tf, x: 2.0 / (tf.tanh(x) + 3.0)),
        tflite_function("whole quotient", TF_IMAGE, lambda tf, x: tf.math.floordiv(x, tf.tanh(x) + 3.0)),
        tflite_function("remainder", TF_IMAGE, lambda tf, x: tf.math.floormod(x, tf.tanh(x) + 3.0)),
        tflite_function("remainder of a number", TF_IMAGE, lambda tf, x: tf.math.floormod(x, 0.7)),
        tflite_function("square", TF_IMAGE, lambda tf, x: tf.square(x)),
    ],
    onnx=[*onnx_pairs("Mul"), *(onnx_node(ONNX_IMAGE, "Pow", number(exponent)) for exponent in (2, 3)), *QUANTIZED],
)
