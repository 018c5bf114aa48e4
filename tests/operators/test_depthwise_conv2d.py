"""Depthwise convolution against its definition, in floats and in integers."""

from __future__ import annotations

import numpy as np
from draws import Window, positions, reals, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from operators.cases._linear import clips


def sums(window: Window, image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Depthwise convolution as it is defined; output channel c * multiplier + m is filter m of channel c."""
    places, (channels, multiplier) = list(positions(window)), kernel.shape[2:]
    total = np.zeros((len(image), places[-1][0] + 1, places[-1][1] + 1, channels * multiplier), image.dtype)
    for oy, ox, seen in places:
        for ky, kx, y, x in seen:
            for c in range(channels):
                for m in range(multiplier):
                    total[:, oy, ox, c * multiplier + m] += image[:, y, x, c] * kernel[ky, kx, c, m]
    return total


@st.composite
def convolutions(draw):
    """A window, the channels, and the operator."""
    window, channels, (low, high) = draw(windows()), draw(st.integers(1, 5)), draw(clips)
    multiplier = draw(st.integers(1, 3))
    operator = DepthwiseConv2D(
        window.kernel, multiplier, window.strides, window.padding, window.dilation, low=low, high=high
    )
    return window, channels, operator


@settings(deadline=None)
@given(case=convolutions(), data=st.data())
def test_float_is_the_definition(case: tuple[Window, int, DepthwiseConv2D], data: st.DataObject) -> None:
    window, channels, operator = case
    image = reals(data.draw, (2, *window.image, channels))
    weights = {"kernel": reals(data.draw, (*window.kernel, channels, operator.multiplier))}
    if data.draw(st.booleans()):
        weights["bias"] = reals(data.draw, (channels * operator.multiplier,))
    expected = sums(window, image, weights["kernel"]) + weights.get("bias", 0)
    found = operator.compute([image], weights)
    np.testing.assert_allclose(found, np.clip(expected, operator.low, operator.high), atol=1e-12)
    assert found.shape[1:] == operator.output_shape(image.shape[1:])


@given(case=convolutions())
def test_macs_are_all_products_of_the_padded_image(case: tuple[Window, int, DepthwiseConv2D]) -> None:
    window, channels, operator = case
    products = window.kernel.height * window.kernel.width * channels * operator.multiplier
    assert operator.macs([(*window.image, channels)]) == len(list(positions(window))) * products
