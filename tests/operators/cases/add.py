"""Sums, differences and averages of tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.add import Add
from operators.cases import Cases, Growth, Layer, Shape, Weights, tflite_function
from operators.cases._elementwise import keras_joins, onnx_pairs
from operators.cases._frameworks import TF_IMAGE, random
from operators.cases._growth import broadcasts, clip
from operators.cases._layers import assert_multipliers, assert_rescaled, centred, lowered, span_of
from operators.cases._linear import channels, clips, small
from operators.draws import aligned


@st.composite
def layers(draw: Callable) -> Layer:
    """Two or three tensors, some with signs and a divisor, the later ones broadcast or not."""
    shape = (draw(small), draw(small), draw(channels))
    count, (low, high) = draw(st.sampled_from([2, 2, 3])), draw(clips)
    operator = Add(low=low, high=high)
    if draw(st.booleans()):
        signs = tuple(draw(st.sampled_from([1, -1])) for _ in range(count))
        operator = Add(signs=signs, divisor=draw(st.integers(1, 4)), low=low, high=high)
    others = [shape if draw(st.booleans()) else tuple(draw(st.sampled_from([1, size])) for size in shape)]
    return lowered(draw, operator, [shape, *others * (count - 1)])


def check(layer: Layer, found: np.ndarray) -> None:
    """One shift, and a multiplier for each input, of the ratio of its step to the output's."""
    operator, m, shift = layer.operator, layer.constants["multiplier"], int(layer.constants["shift"])
    assert isinstance(operator, Add)
    signs = operator.signs or (1,) * len(layer.sources)
    ratios = [
        sign * form.step / layer.output.step / operator.divisor for sign, form in zip(signs, layer.sources, strict=True)
    ]
    assert_multipliers(m, shift, ratios, sum(2 * span_of(form) for form in layer.sources))
    assert_rescaled(layer, found, sum(int(a) * q for a, q in zip(m, aligned(centred(layer)), strict=True)), shift)


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[Add, Weights]:
    """Signs for two inputs."""
    if draw(st.booleans()):
        return Add(**clip(draw)), {}
    signs = (draw(st.sampled_from([1, -1])), draw(st.sampled_from([1, -1])))
    return Add(**clip(draw), signs=signs, divisor=draw(st.integers(1, 3))), {}


ROW = random(4)
CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(grown, joins=broadcasts),
    keras=[*keras_joins("Add"), *keras_joins("Subtract"), *keras_joins("Average")],
    tflite=[
        tflite_function("number minus x", TF_IMAGE, lambda tf, x: 2.0 - x),
        tflite_function("difference", TF_IMAGE, lambda tf, x: x - tf.tanh(x)),
        tflite_function("ADD_N", TF_IMAGE, lambda tf, x: tf.math.add_n([x, x * 2.0, x * 3.0])),
        tflite_function("plane taken away", TF_IMAGE, lambda tf, x: x - random(1, 7, 6, 1)),
        tflite_function("row added", TF_IMAGE, lambda tf, x: x + ROW),
    ],
    onnx=[*onnx_pairs("Add"), *onnx_pairs("Sub")],
)
