"""How does a window slide over an image? Sizes, explicit padding, and the views that convolution and pooling share."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Size(NamedTuple):
    """Height and width, in pixels."""

    height: int
    width: int


class Padding(NamedTuple):
    """Explicit padding on each side, in pixels."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


def extent(kernel: Size, dilation: Size) -> Size:
    """Pixels that a dilated kernel spans."""
    return Size((kernel.height - 1) * dilation.height + 1, (kernel.width - 1) * dilation.width + 1)


def same_padding(image: Size, kernel: Size, strides: Size, dilation: Size) -> Padding:
    """Padding of Keras' "same": ceil(size / stride) output positions, the odd pixel at the bottom and right."""
    span = extent(kernel, dilation)
    vertical = max((-(-image.height // strides.height) - 1) * strides.height + span.height - image.height, 0)
    horizontal = max((-(-image.width // strides.width) - 1) * strides.width + span.width - image.width, 0)
    return Padding(vertical // 2, vertical - vertical // 2, horizontal // 2, horizontal - horizontal // 2)


def window_positions(image: Size, kernel: Size, strides: Size, dilation: Size, padding: Padding) -> Size:
    """How many positions the window takes in each direction."""
    span = extent(kernel, dilation)
    return Size(
        (image.height + padding.top + padding.bottom - span.height) // strides.height + 1,
        (image.width + padding.left + padding.right - span.width) // strides.width + 1,
    )


def pad(image: Array, padding: Padding, value: float) -> Array:
    """Images (N, H, W, C) with ``value`` around them."""
    if not any(padding):
        return image
    edges = ((0, 0), (padding.top, padding.bottom), (padding.left, padding.right), (0, 0))
    return np.pad(image, edges, constant_values=value)


def taps(image: Array, kernel: Size, strides: Size, dilation: Size) -> list[Array]:
    """For each tap of the kernel, row by row, the strided view (N, Ho, Wo, C) of the padded image that it sees."""
    out = window_positions(Size(*image.shape[1:3]), kernel, strides, dilation, Padding())
    return [
        image[
            :,
            y * dilation.height : y * dilation.height + (out.height - 1) * strides.height + 1 : strides.height,
            x * dilation.width : x * dilation.width + (out.width - 1) * strides.width + 1 : strides.width,
        ]
        for y in range(kernel.height)
        for x in range(kernel.width)
    ]
