"""Bilinear enlargement, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest
from draws import reals, sizes
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.up_sampling2d import UpSampling2D


def interpolated(image: np.ndarray, factors: Size) -> np.ndarray:
    """By its definition: each output pixel's centre, in input pixels, between its two neighbours of each axis."""
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


@given(image=sizes, factors=sizes, data=st.data())
def test_float_is_the_definition(image: Size, factors: Size, data: st.DataObject) -> None:
    x = reals(data.draw, (2, *image, 3))
    found = UpSampling2D(factors).compute([x], {})
    np.testing.assert_allclose(found, interpolated(x, factors), atol=1e-12)
    assert found.shape[1:] == UpSampling2D(factors).output_shape((*image, 3))


def test_too_large_a_factor_is_an_error() -> None:
    with pytest.raises(ValueError, match="at most"):
        UpSampling2D(Size(100, 100)).output_shape((2, 2, 1))
