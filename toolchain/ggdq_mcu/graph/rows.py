"""Which rows of its input does a row of the output read? Streaming asks, and whatever else computes a part of a map.

Rows lie along any axis of a tensor, counted from the end: -3 is the height of an image, -2 its width or the time of a sequence.
"""

from __future__ import annotations

from typing import NamedTuple

from ggdq_mcu.graph.window import Padding, Size

HEIGHT, WIDTH = -3, -2


class RowWindow(NamedTuple):
    """Output row r reads input rows r * stride - before + k * dilation, 0 <= k < taps; rows outside are padding."""

    taps: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0

    def reads(self, rows: range) -> range:
        """From the first to the last input row that the output rows read, padding included."""
        first = rows.start * self.stride - self.before
        return range(first, first + (len(rows) - 1) * self.stride + (self.taps - 1) * self.dilation + 1)


class RowPadding(NamedTuple):
    """Rows of padding before and after the input rows that some output rows read."""

    before: int = 0
    after: int = 0


def image_window(axis: int, kernel: Size, strides: Size, dilation: Size, padding: Padding) -> RowWindow:
    """The rows that a window over an image (H, W, C) reads."""
    if axis == HEIGHT:
        return RowWindow(kernel.height, strides.height, dilation.height, padding.top)
    return RowWindow(kernel.width, strides.width, dilation.width, padding.left)


def image_padding(axis: int, padding: Padding, rows: RowPadding) -> Padding:
    """Padding of an image with ``rows`` along the axis, and as it is along the other."""
    if axis == HEIGHT:
        return padding._replace(top=rows.before, bottom=rows.after)
    return padding._replace(left=rows.before, right=rows.after)


def replaced(values: tuple[int, ...], axis: int, value: int) -> tuple[int, ...]:
    """The values with another one along the axis.

    >>> replaced((25, 5, 64), -3, 2)
    (2, 5, 64)
    """
    return (*values[:axis], value, *values[len(values) + axis + 1 :])
