"""The largest or smallest of several tensors, element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.extremum import Extremum
from operators.cases import Cases, Growth, Layer, keras_operation, onnx_node, onnx_nodes, tflite_function
from operators.cases._elementwise import keras_joins
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, TF_IMAGE, number
from operators.cases._growth import broadcasts, clip
from operators.cases._layers import assert_multipliers, assert_rescaled, centred, lowered, span_of
from operators.cases._linear import channels, clips, small
from operators.draws import aligned


@st.composite
def layers(draw: Callable) -> Layer:
    """Two or three tensors, the later ones broadcast or not."""
    shape = (draw(small), draw(small), draw(channels))
    low, high = draw(clips)
    second = tuple(draw(st.sampled_from([1, size])) for size in shape)
    shapes = [shape, second, shape][: draw(st.integers(2, 3))]
    return lowered(draw, Extremum(draw(st.booleans()), low=low, high=high), shapes)


def check(layer: Layer, found: np.ndarray) -> None:
    """One shift; the extremum of the products is rounded."""
    operator, m, shift = layer.operator, layer.constants["multiplier"], int(layer.constants["shift"])
    assert isinstance(operator, Extremum)
    ratios = [form.step / layer.output.step for form in layer.sources]
    assert_multipliers(m, shift, ratios, 2 * max(map(span_of, layer.sources)))
    scaled = np.broadcast_arrays(*(int(a) * q for a, q in zip(m, aligned(centred(layer)), strict=True)))
    assert np.abs(scaled).max() < 2**31
    assert_rescaled(layer, found, (np.min if operator.smallest else np.max)(scaled, axis=0), shift)


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(
        lambda draw, generator, shape: (Extremum(draw(st.booleans()), **clip(draw)), {}), joins=broadcasts, further=2
    ),
    keras=[
        *keras_joins("Maximum"),
        *keras_joins("Minimum"),
        keras_operation("maximum", IMAGE, lambda ops, x: ops.maximum(x, -x)),
        keras_operation("maximum of a number", IMAGE, lambda ops, x: ops.maximum(x, 0.25)),
        keras_operation("minimum of a number", IMAGE, lambda ops, x: ops.minimum(0.25, x)),
    ],
    tflite=[
        tflite_function("maximum of a number", TF_IMAGE, lambda tf, x: tf.maximum(x, 0.3)),
        tflite_function("both", TF_IMAGE, lambda tf, x: tf.logical_and(x > 0.0, x < 0.5)),
        tflite_function("either", TF_IMAGE, lambda tf, x: tf.logical_or(x < 0.0, tf.tanh(x) > 0.5)),
        tflite_function("minimum of two", TF_IMAGE, lambda tf, x: tf.minimum(x, tf.tanh(x))),
    ],
    onnx=[
        case
        for kind in ("Max", "Min")
        for case in (
            onnx_node(ONNX_IMAGE, kind, number(0.3)),
            onnx_nodes(
                f"{kind} of several", ONNX_IMAGE, ["Tanh x -> t", "Neg x -> n", f"{kind} t c n -> y"], c=number(0.2)
            ),
        )
    ],
)
