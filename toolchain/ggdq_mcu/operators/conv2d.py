"""Two-dimensional convolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.operators._keras import KerasLayer
from ggdq_mcu.operators._linear import Linear
from ggdq_mcu.operators._operator import Shape
from ggdq_mcu.operators._window import Padding, Size, pad, taps, window_positions
from ggdq_mcu.operators.activation import with_activation

Array = NDArray[Any]



def from_keras(layer: KerasLayer) -> list[Node]:
    """Conv2D with any kernel, strides, dilation, groups and padding, and its activation."""
    _, channels = layer.image
    kernel_size, strides, dilation = layer.size("kernel_size"), layer.size("strides", 1), layer.size("dilation_rate", 1)
    filters, groups = layer.integer("filters"), layer.integer("groups", 1)
    if channels % groups or filters % groups:
        raise layer.error(f"{groups} groups do not divide {channels} channels and {filters} filters")
    bias = {"bias": (filters,)} if layer.flag("use_bias", True) else {}
    weights = layer.take(kernel=(*kernel_size, channels // groups, filters), **bias)
    padding = layer.padding(kernel_size, strides, dilation)
    return with_activation(layer, Conv2D(kernel_size, filters, strides, padding, dilation, groups), weights)


@dataclass(frozen=True)
class Conv2D(Linear):
    """Cross-correlation of an image with a bank of filters, NHWC, as Keras computes it.

    input (H, W, C) -> output (Ho, Wo, F); kernel (Kh, Kw, C / groups, F); bias (F,)
    """

    kernel_size: Size
    filters: int
    strides: Size = Size(1, 1)
    padding: Padding = Padding()
    dilation: Size = Size(1, 1)
    groups: int = 1

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"Conv2D": from_keras}

    def _details(self) -> str:
        text = f" {self.kernel_size.height}x{self.kernel_size.width}"
        text += f", stride {self.strides.height}x{self.strides.width}" if self.strides != (1, 1) else ""
        text += f", dilation {self.dilation.height}x{self.dilation.width}" if self.dilation != (1, 1) else ""
        return text + (f", {self.groups} groups" if self.groups > 1 else "")

    def output_shape(self, *shapes: Shape) -> Shape:
        height, width, channels = shapes[0]
        if channels % self.groups or self.filters % self.groups:
            raise ValueError(f"{channels} channels, {self.filters} filters and {self.groups} groups")
        out = window_positions(Size(height, width), self.kernel_size, self.strides, self.dilation, self.padding)
        return (*out, self.filters)

    def accumulate(self, image: Array, kernel: Array, padding_value: float) -> Array:
        image = pad(image, self.padding, padding_value)
        views = taps(image, self.kernel_size, self.strides, self.dilation)
        depth, filters = kernel.shape[2], self.filters // self.groups
        outputs = []
        for group in range(self.groups):
            columns = np.concatenate([view[..., group * depth : (group + 1) * depth] for view in views], axis=-1)
            outputs.append(columns @ kernel[..., group * filters : (group + 1) * filters].reshape(-1, filters))
        return outputs[0] if self.groups == 1 else np.concatenate(outputs, axis=-1)

    def by_output(self, kernel: Array) -> Array:
        return kernel.reshape(-1, self.filters)

    def input_step(self, kernel: Array, step: Array) -> Array:
        if step.ndim == 0:
            return step
        # Group g reads channels g * depth ...: each filter has the steps of its own group's channels.
        grouped = step.reshape(self.groups, kernel.shape[2]).T
        return np.repeat(grouped, self.filters // self.groups, axis=1)

    def output_step(self, kernel: Array, step: Array) -> Array:
        return step

    def macs(self, shapes: Sequence[Shape]) -> int:
        height, width, _ = self.output_shape(*shapes)
        return height * width * self.filters * self.kernel_size.height * self.kernel_size.width * (shapes[0][2] // self.groups)
