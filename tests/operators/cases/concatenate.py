"""Tensors one behind the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.concatenate import Concatenate
from operators.cases import Cases, Growth, KerasCase, Layer, Shape, keras_operation, onnx_nodes, tflite_function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, TF_IMAGE
from operators.cases._growth import clip
from operators.cases._layers import assert_multipliers, centred, lowered, span_of
from operators.cases._linear import channels, clips, small
from operators.draws import clipped, rounded


@st.composite
def layers(draw: Callable) -> Layer:
    """Two or three tensors along any axis, their other sizes alike."""
    shape = (draw(small), draw(small), draw(channels))
    low, high = draw(clips)
    axis = draw(st.sampled_from([-1, -2, -3]))
    shapes = [shape]
    for _ in range(draw(st.integers(1, 2))):
        other = list(shape)
        other[axis] = draw(small)
        shapes.append(tuple(other))
    return lowered(draw, Concatenate(axis, low=low, high=high), shapes)


def check(layer: Layer, found: np.ndarray) -> None:
    """Each part is rescaled; values of the output's own format stay as they are."""
    operator, output, parts = layer.operator, layer.output, []
    assert isinstance(operator, Concatenate)
    assert found.dtype == output.dtype
    for index, (q, form) in enumerate(zip(centred(layer), layer.sources, strict=True)):
        m, shift = (layer.constants[f"{key}_{index}"] for key in ("multiplier", "shift"))
        if form.step != output.step:
            assert_multipliers(m, shift, form.step / output.step, 2 * span_of(form))
        parts.append(rounded(q * m, shift) + output.zero_point)
    np.testing.assert_array_equal(found, clipped(operator, output, np.concatenate(parts, operator.axis)))


def joins(shape: Shape, first: Shape) -> bool:
    """Along which axis is not known yet: all but one size agree."""
    return len(shape) == len(first) and shape[:-1] == first[:-1] and (len(shape) < 3 or shape == first)


def case(axis: int, *shapes: Shape) -> KerasCase:
    def make(keras: Any, *tensors: Any) -> Any:
        return keras.layers.Concatenate(axis)(list(tensors))

    return KerasCase(f"Concatenate {axis} of {shapes}", shapes, make, followed=False)


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(
        lambda draw, generator, shape: (
            Concatenate(draw(st.sampled_from((-1,) if len(shape) < 3 else (-1, -1, -2, -3))), **clip(draw)),
            {},
        ),
        joins=joins,
        further=3,
    ),
    keras=[
        case(-1, (4, 3, 2), (4, 3, 5)),
        case(1, (4, 3, 2), (1, 3, 2)),
        case(-2, (4, 3, 2), (4, 1, 2)),
        case(1, (4,), (2,)),
        keras_operation("concatenate", IMAGE, lambda ops, x: ops.concatenate([x, -x], axis=1)),
    ],
    tflite=[
        tflite_function("concat of channels", TF_IMAGE, lambda tf, x: tf.concat([x, tf.tanh(x)[..., :2]], 3)),
        tflite_function("concat of rows", TF_IMAGE, lambda tf, x: tf.concat([x, tf.tanh(x)[:, :3]], 1)),
    ],
    onnx=[
        onnx_nodes(
            f"Concat along {axis}", ONNX_IMAGE, ["Tanh x -> t", ("Concat x t x -> y", {"axis": axis})], axis == 0
        )
        for axis in (0, 1, 2, -1)
    ],
)
