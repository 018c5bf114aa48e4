"""Choices between two tensors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.select import Select
from operators.cases import Cases, Layer, onnx_nodes, tflite_function
from operators.cases._frameworks import TF_IMAGE, number, random
from operators.cases._layers import assert_multipliers, assert_rescaled, centred, lowered, span_of
from operators.cases._linear import channels, clips, small
from operators.draws import aligned


@st.composite
def layers(draw: Callable) -> Layer:
    """Three tensors, the condition broadcast or not."""
    shape = (draw(small), draw(small), draw(channels))
    low, high = draw(clips)
    condition = tuple(draw(st.sampled_from([1, size])) for size in shape)
    return lowered(draw, Select(low=low, high=high), [condition, shape, shape])


def check(layer: Layer, found: np.ndarray) -> None:
    """The chosen products are rounded."""
    m, shift = layer.constants["multiplier"], int(layer.constants["shift"])
    ratios = [form.step / layer.output.step for form in layer.sources[1:]]
    assert_multipliers(m, shift, ratios, max(map(span_of, layer.sources[1:])) * 2)
    condition, first, second = np.broadcast_arrays(*aligned(centred(layer)))
    assert_rescaled(layer, found, np.where(condition == 0, int(m[1]) * second, int(m[0]) * first), shift)


CASES = Cases(
    layers=layers(),
    check=check,
    tflite=[tflite_function("where", TF_IMAGE, lambda tf, x: tf.where(x > 0.1, tf.tanh(x), tf.nn.relu(-x)))],
    onnx=[
        onnx_nodes("Where of tensors", (3, 4), ["Less x z -> c", "Neg x -> n", "Where c x n -> y"], z=number(0)),
        onnx_nodes(
            "Where of a constant and a tensor", (3, 4), ["Less x z -> c", "Where c k x -> y"], z=number(0), k=random(4)
        ),
        onnx_nodes(
            "Where of constants", (3, 4), ["Less x z -> c", "Where c k z -> y"], True, z=number(2), k=random(3, 1)
        ),
        onnx_nodes(
            "Where by a constant", (3, 4), ["Neg x -> n", "Where m x n -> y"], m=np.array([True, False, True, False])
        ),
    ],
)
