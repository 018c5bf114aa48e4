"""Images of any other size."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.resize2d import Resize2D
from operators.cases import Cases, Growth, Layer, keras_layer, onnx_node, tflite_function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_SEQUENCE, TF_IMAGE, indices
from operators.cases._layers import lowered
from operators.cases._linear import channels

KINDS = [(False, True), (True, False), (False, False)]
sizes = st.integers(1, 9)
NEAREST = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
SCALES = np.array([1, 1, 2, 3], np.float32)


@st.composite
def layers(draw: Callable) -> Layer:
    """Larger and smaller images."""
    operator = Resize2D(Size(draw(sizes), draw(sizes)), *draw(st.sampled_from(KINDS)))
    return lowered(draw, operator, [(draw(sizes), draw(sizes), draw(channels))])


def check(layer: Layer, found: np.ndarray) -> None:
    """Each pixel from its four neighbours, as their distances in 1/1024 say."""
    operator, (q,) = layer.operator, layer.samples
    assert isinstance(operator, Resize2D)
    assert found.dtype == layer.output.dtype
    for oy, ox in np.ndindex(*operator.size):
        rows = around(oy, q.shape[1], operator.size.height, operator)
        columns = around(ox, q.shape[2], operator.size.width, operator)
        total = sum(a * b * q[:, y, x].astype(object) for y, a in rows for x, b in columns)
        wanted = [int(abs(one) + Fraction(1, 2)) * (1 if one > 0 else -1) for one in np.ravel(total)]
        np.testing.assert_array_equal(found[:, oy, ox].ravel(), wanted)


def around(place: int, size: int, out: int, operator: Resize2D) -> list[tuple[int, Fraction]]:
    """The two neighbours along an axis and their weights."""
    whole, parts = (size - 1, out - 1) if operator.corners and out > 1 else (size, out)
    scale = int(Fraction(1024 * whole, parts) + Fraction(1, 2))  # of what cannot be negative
    position = Fraction(place * scale + (scale // 2 - 512 if operator.centres else 0), 1024)
    position = min(max(position, Fraction(0)), Fraction(size - 1))
    first = int(position)
    return [(first, 1 - position + first), (min(first + 1, size - 1), position - first)]


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(
        lambda draw, generator, shape: (Resize2D(Size(draw(sizes), draw(sizes)), *draw(st.sampled_from(KINDS))), {}),
        ranks=(3,),
    ),
    keras=[
        keras_layer(IMAGE, "Resizing", 9, 4),
        keras_layer(IMAGE, "Resizing", 12, 10),
        keras_layer(IMAGE, "Resizing", 4, 7, interpolation="nearest"),
    ],
    tflite=[
        tflite_function("resized", TF_IMAGE, lambda tf, x: tf.image.resize(x, (10, 5))),
        tflite_function("resized by nearest", TF_IMAGE, lambda tf, x: tf.image.resize(x, (5, 9), "nearest")),
        tflite_function(
            "corners stay", TF_IMAGE, lambda tf, x: tf.compat.v1.image.resize_bilinear(x, (10, 5), align_corners=True)
        ),
        tflite_function("no centres", TF_IMAGE, lambda tf, x: tf.compat.v1.image.resize_bilinear(x, (10, 5))),
        tflite_function(
            "nearest, corners stay",
            TF_IMAGE,
            lambda tf, x: tf.compat.v1.image.resize_nearest_neighbor(x, (10, 5), align_corners=True),
        ),
    ],
    onnx=[
        *(onnx_node(ONNX_IMAGE, "Resize", None, SCALES, mode="nearest", **place) for place in ({}, NEAREST)),
        onnx_node(ONNX_IMAGE, "Resize", None, None, indices(1, 3, 12, 10), mode="linear"),
        onnx_node(ONNX_IMAGE, "Resize", None, np.array([2, 2], np.float32), mode="linear", axes=[2, 3]),
        onnx_node(ONNX_SEQUENCE, "Resize", None, np.array([1, 1, 2], np.float32), mode="nearest"),
        *(
            onnx_node(
                ONNX_IMAGE, "Resize", None, None, indices(1, 3, *size), mode=mode, coordinate_transformation_mode=place
            )
            for size in ((4, 9), (3, 2), (1, 7))
            for mode in ("nearest", "linear")
            for place in ("half_pixel", "asymmetric", "align_corners")
        ),
        *(
            onnx_node(ONNX_IMAGE, "Resize", None, None, indices(1, 3, 4, 7), mode="nearest", nearest_mode=rounding)
            for rounding in ("floor", "ceil", "round_prefer_ceil")
        ),
        onnx_node(ONNX_IMAGE, "Resize", None, np.array([1, 1, 0.7, 1.3], np.float32), mode="nearest"),
        onnx_node(ONNX_SEQUENCE, "Resize", None, None, indices(1, 3, 5), mode="linear"),
    ],
)
