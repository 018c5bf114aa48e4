"""How is a transposed convolution computed? As a convolution with a set of filters for each phase of the stride.

Output position s * j + p (before it is cropped) sees kernel taps p, p + s, p + 2 * s, ... at input positions j, j - 1,
j - 2, ...: for each phase p a correlation with every s-th tap, in reverse. The phases are channels of one convolution,
then interleaved.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.window import Size

Array = NDArray[Any]


class Axis(NamedTuple):
    """One axis of a transposed convolution as a convolution: its taps, its padding, and what is cropped afterwards."""

    taps: int
    before: int
    after: int
    crop: int
    size: int


def axis_of(size: int, kernel: int, stride: int, same: bool) -> Axis:
    """The geometry for ``size`` positions: Keras' output is size * stride, and kernel - stride more unless ``same``."""
    excess = max(kernel - stride, 0)
    crop = excess // 2 if same else 0
    return cropped_axis(size, kernel, stride, crop, size * stride + (0 if same else excess))


def cropped_axis(size: int, kernel: int, stride: int, crop: int, out: int) -> Axis:
    """The geometry for ``size`` positions, of which ``out`` are kept behind the first ``crop``."""
    taps = -(-kernel // stride)
    first, last = crop // stride, (crop + out - 1) // stride
    return Axis(taps, taps - 1 - first, last - size + 1, crop - first * stride, out)


def phase_kernel(kernel: Array, strides: Size) -> Array:
    """Keras' kernel (Kh, Kw, F, C) as that of the convolution: (taps, taps, C, phases down * phases across * F)."""
    height, width, filters, channels = kernel.shape
    down, across = -(-height // strides.height), -(-width // strides.width)
    whole = np.zeros((down * strides.height, across * strides.width, filters, channels), kernel.dtype)
    whole[:height, :width] = kernel
    phases = whole.reshape(down, strides.height, across, strides.width, filters, channels)[::-1, :, ::-1]
    result: Array = phases.transpose(0, 2, 5, 1, 3, 4).reshape(down, across, channels, -1)
    return np.ascontiguousarray(result)
