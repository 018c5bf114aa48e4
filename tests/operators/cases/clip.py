"""Clips that stand alone, and layers that do nothing at inference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.clip import Clip
from operators.cases import Cases, Growth, Layer, keras_layer, keras_operation, onnx_node, tflite_function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, SEQUENCE, TF_IMAGE, number
from operators.cases._growth import clip
from operators.cases._layers import assert_multipliers, assert_rescaled, centred, lowered, span_of
from operators.cases._linear import channels, small

bounds = st.sampled_from([(-np.inf, np.inf), (0.0, np.inf), (0.0, 6.0), (-1.0, 0.5), (0.25, 3.0)])


@st.composite
def layers(draw: Callable) -> Layer:
    """Any bounds, with an output of another format."""
    low, high = draw(bounds)
    return lowered(draw, Clip(low=low, high=high), [(draw(small), draw(small), draw(channels))])


def check(layer: Layer, found: np.ndarray) -> None:
    """Values are rescaled and clipped."""
    (source,), (q,), m, shift = layer.sources, centred(layer), layer.constants["multiplier"], layer.constants["shift"]
    assert_multipliers(m, shift, source.step / layer.output.step, 2 * span_of(source))
    assert_rescaled(layer, found, int(m) * q, int(shift))


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (Clip(**clip(draw)), {})),
    keras=[
        *(
            keras_layer(IMAGE, kind, 0.5)
            for kind in ("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise")
        ),
        keras_layer(SEQUENCE, "SpatialDropout1D", 0.5),
        keras_layer(IMAGE, "SpatialDropout2D", 0.5),
        keras_operation("clip", IMAGE, lambda ops, x: ops.clip(x, -1, 1)),
    ],
    tflite=[
        tflite_function("relu", TF_IMAGE, lambda tf, x: tf.nn.relu(x)),
        tflite_function("relu6", TF_IMAGE, lambda tf, x: tf.nn.relu6(x)),
        tflite_function("clip by value", TF_IMAGE, lambda tf, x: tf.clip_by_value(x, -1.0, 1.0)),
        tflite_function("maximum of -0.5", TF_IMAGE, lambda tf, x: tf.maximum(x, -0.5)),
    ],
    onnx=[
        onnx_node(ONNX_IMAGE, "Relu"),
        onnx_node(ONNX_IMAGE, "Identity"),
        onnx_node(ONNX_IMAGE, "Clip", number(-0.5), number(1.25)),
        onnx_node(ONNX_IMAGE, "Clip", None, number(1)),
        onnx_node(ONNX_IMAGE, "Clip", number(-0.5)),
        onnx_node(ONNX_IMAGE, "Cast", to=1),
        onnx_node(ONNX_IMAGE, "Dropout"),
    ],
)
