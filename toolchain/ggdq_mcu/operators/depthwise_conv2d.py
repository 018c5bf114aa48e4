"""Depthwise two-dimensional convolution: each channel with filters of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators._linear import Linear
from ggdq_mcu.operators._operator import Shape
from ggdq_mcu.operators._window import Padding, Size, pad, taps, window_positions

Array = NDArray[Any]


@dataclass(frozen=True)
class DepthwiseConv2D(Linear):
    """Cross-correlation of each channel with its own filters, NHWC, as Keras computes it.

    input (H, W, C) -> output (Ho, Wo, C * multiplier); kernel (Kh, Kw, C, multiplier); bias (C * multiplier,)
    """

    kernel_size: Size
    multiplier: int = 1
    strides: Size = Size(1, 1)
    padding: Padding = Padding()
    dilation: Size = Size(1, 1)

    def _details(self) -> str:
        text = f" {self.kernel_size.height}x{self.kernel_size.width}"
        text += f", multiplier {self.multiplier}" if self.multiplier > 1 else ""
        text += f", stride {self.strides.height}x{self.strides.width}" if self.strides != (1, 1) else ""
        return text + (f", dilation {self.dilation.height}x{self.dilation.width}" if self.dilation != (1, 1) else "")

    def output_shape(self, *shapes: Shape) -> Shape:
        height, width, channels = shapes[0]
        out = window_positions(Size(height, width), self.kernel_size, self.strides, self.dilation, self.padding)
        return (*out, channels * self.multiplier)

    def accumulate(self, image: Array, kernel: Array, padding_value: float) -> Array:
        image = pad(image, self.padding, padding_value)
        views = taps(image, self.kernel_size, self.strides, self.dilation)
        filters = kernel.reshape(-1, *kernel.shape[2:])
        total = np.zeros((*views[0].shape, self.multiplier), np.result_type(image, kernel))
        for view, weights in zip(views, filters, strict=True):
            total += view[..., None] * weights
        return total.reshape(*total.shape[:3], -1)

    def by_output(self, kernel: Array) -> Array:
        return kernel.reshape(kernel.shape[0] * kernel.shape[1], -1)

    def input_step(self, kernel: Array, step: Array) -> Array:
        return step if step.ndim == 0 else step[:, None]

    def output_step(self, kernel: Array, step: Array) -> Array:
        return step if step.ndim == 0 else step.reshape(-1, self.multiplier)

    def macs(self, shapes: Sequence[Shape]) -> int:
        return int(np.prod(self.output_shape(*shapes))) * self.kernel_size.height * self.kernel_size.width
