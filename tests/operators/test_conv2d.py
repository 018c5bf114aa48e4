"""Convolution against its definition, in floats and in integers."""

from __future__ import annotations

import numpy as np
from draws import Window, positions, reals, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.conv2d import Conv2D
from operators.cases._linear import clips


def sums(window: Window, image: np.ndarray, kernel: np.ndarray, groups: int) -> np.ndarray:
    """Convolution as it is defined, sum by sum; what is padded is zero."""
    depth, filters = kernel.shape[2], kernel.shape[3] // groups
    places = list(positions(window))
    total = np.zeros((len(image), places[-1][0] + 1, places[-1][1] + 1, kernel.shape[3]), image.dtype)
    for oy, ox, seen in places:
        for ky, kx, y, x in seen:
            for group in range(groups):
                inputs, outputs = (
                    slice(group * depth, (group + 1) * depth),
                    slice(group * filters, (group + 1) * filters),
                )
                total[:, oy, ox, outputs] += image[:, y, x, inputs] @ kernel[ky, kx, :, outputs]
    return total


@st.composite
def convolutions(draw):
    """A window, the groups, the channels of a group, and the operator."""
    window, groups, depth = draw(windows()), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    filters, (low, high) = groups * draw(st.integers(1, 3)), draw(clips)
    operator = Conv2D(
        window.kernel, filters, window.strides, window.padding, window.dilation, groups, low=low, high=high
    )
    return window, depth, operator


@settings(deadline=None)
@given(case=convolutions(), data=st.data())
def test_float_is_the_definition(case: tuple[Window, int, Conv2D], data: st.DataObject) -> None:
    window, depth, operator = case
    image = reals(data.draw, (2, *window.image, depth * operator.groups))
    weights = {"kernel": reals(data.draw, (*window.kernel, depth, operator.filters))}
    if data.draw(st.booleans()):
        weights["bias"] = reals(data.draw, (operator.filters,))
    expected = sums(window, image, weights["kernel"], operator.groups) + weights.get("bias", 0)
    found = operator.compute([image], weights)
    np.testing.assert_allclose(found, np.clip(expected, operator.low, operator.high), atol=1e-12)
    assert found.shape[1:] == operator.output_shape(image.shape[1:])


@given(case=convolutions())
def test_macs_are_all_products_of_the_padded_image(case: tuple[Window, int, Conv2D]) -> None:
    window, depth, operator = case
    places = len(list(positions(window)))
    products = window.kernel.height * window.kernel.width * depth * operator.filters
    assert operator.macs([(*window.image, depth * operator.groups)]) == places * products


def test_text_names_what_is_not_usual() -> None:
    operator = Conv2D(Size(3, 2), 8, Size(2, 1), dilation=Size(1, 2), groups=4, low=0.0, high=6.0)
    assert operator.describe() == "Conv2D 3x2, stride 2x1, dilation 1x2, 4 groups, ReLU6"
