"""Enlarged images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.up_sampling2d import UpSampling2D
from operators.cases import Cases, Growth, Layer, keras_layer, tflite_function
from operators.cases._frameworks import IMAGE, SEQUENCE, TF_IMAGE
from operators.cases._layers import lowered
from operators.cases._linear import channels, small


@st.composite
def layers(draw: Callable) -> Layer:
    """Bilinear, by factors up to 4."""
    factors = Size(draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    return lowered(draw, UpSampling2D(factors), [(draw(small), draw(small), draw(channels))])


def check(layer: Layer, found: np.ndarray) -> None:
    """The definition in real numbers, rounded."""
    operator, (q,) = layer.operator, layer.samples
    assert isinstance(operator, UpSampling2D)
    assert found.dtype == layer.output.dtype
    np.testing.assert_array_equal(found, np.floor(interpolated(q.astype(float), operator.factors) + 0.5 + 1e-9))


def interpolated(image: np.ndarray, factors: Size) -> np.ndarray:
    """Each output pixel's centre, in input pixels, between its two neighbours of each axis."""
    for axis, factor in enumerate(factors, 1):
        last = image.shape[axis] - 1
        parts = []
        for position in range(image.shape[axis] * factor):
            place = (position + 0.5) / factor - 0.5
            near = int(np.floor(place))
            first, second = (image.take(min(max(index, 0), last), axis) for index in (near, near + 1))
            parts.append(first * (1 - place + near) + second * (place - near))
        image = np.stack(parts, axis)
    return image


FACTORS = st.builds(Size, st.integers(1, 3), st.integers(1, 3))
CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (UpSampling2D(draw(FACTORS)), {}), ranks=(3,)),
    keras=[
        keras_layer(SEQUENCE, "UpSampling1D", 3),
        *(
            keras_layer(IMAGE, "UpSampling2D", size, interpolation=kind)
            for size in ((2, 2), (3, 1), (2, 4), (1, 5))
            for kind in ("nearest", "bilinear")
        ),
    ],
    tflite=[
        tflite_function("nearest", TF_IMAGE, lambda tf, x: tf.image.resize(x, (14, 18), "nearest")),
        tflite_function("bilinear", TF_IMAGE, lambda tf, x: tf.image.resize(x, (14, 12), "bilinear")),
    ],
)
