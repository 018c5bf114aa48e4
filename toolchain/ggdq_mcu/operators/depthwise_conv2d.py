"""Depthwise two-dimensional convolution: each channel with filters of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.overlap import Overlap, channels_of_pixels, first_pixels, pixel_bytes, single_pixels
from ggdq_mcu.graph.rows import RowPadding, RowWindow, image_padding, image_window
from ggdq_mcu.graph.window import Padding, Size, pad, taps, window_positions
from ggdq_mcu.operators.activation import fused, with_activation
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.operators.shared.one_dimension import one_dimensional
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """DepthwiseConv2D of Keras 2 and 3, and its activation."""
    _, channels = layer.image
    operator = _depthwise(layer)
    outputs = channels * operator.multiplier
    bias = {"bias": (outputs,)} if layer.flag("use_bias", True) else {}
    return with_activation(layer, operator, layer.take(kernel=_kernel_shape(operator, channels), **bias))


def from_keras_separable(layer: KerasLayer) -> list[Node]:
    """SeparableConv2D: a depthwise convolution NAME_depthwise without bias, then a 1x1 convolution NAME."""
    _, channels = layer.image
    operator, filters = _depthwise(layer), layer.integer("filters")
    bias = {"bias": (filters,)} if layer.flag("use_bias", True) else {}
    pointwise = (1, 1, channels * operator.multiplier, filters)
    weights = layer.take(depthwise=_kernel_shape(operator, channels), kernel=pointwise, **bias)
    first = Node(layer.auxiliary("depthwise"), operator, layer.inputs, {"kernel": weights.pop("depthwise")})
    return [first, *with_activation(layer, Conv2D(Size(1, 1), filters), weights, (first.name,))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """DEPTHWISE_CONV_2D with constant weights, same or valid, any strides, dilation and multiplier."""
    _, channels = op.image
    filters = op.constant(1)
    if filters.ndim != 4 or filters.shape[0] != 1 or filters.shape[3] % channels:
        raise op.error(f"filters of shape {filters.shape} do not fit {channels} channels")
    kernel_size, strides = Size(*filters.shape[1:3]), op.size("StrideH", "StrideW")
    dilation = op.size("DilationHFactor", "DilationWFactor", 1)
    padding = op.padding(kernel_size, strides, dilation)
    operator = DepthwiseConv2D(kernel_size, filters.shape[3] // channels, strides, padding, dilation)
    weights = {"kernel": filters.reshape(_kernel_shape(operator, channels)), **op.bias(filters.shape[3])}
    return fused(op, [op.node(operator, weights)])


def _depthwise(layer: KerasLayer) -> DepthwiseConv2D:
    kernel_size, strides, dilation = layer.size("kernel_size"), layer.size("strides", 1), layer.size("dilation_rate", 1)
    padding = layer.padding(kernel_size, strides, dilation)
    return DepthwiseConv2D(kernel_size, layer.integer("depth_multiplier", 1), strides, padding, dilation)


def _kernel_shape(operator: DepthwiseConv2D, channels: int) -> Shape:
    return (*operator.kernel_size, channels, operator.multiplier)


def from_onnx(op: OnnxOperator) -> Tensor:
    """Conv of images and sequences, with any kernel, strides, dilations, groups and padding; depthwise where each channel is
    a group."""
    image, kernel = op.image(), op.weights(1, "kernel")
    if kernel.ndim != image.axes + 2:
        raise op.error(f"a kernel of shape {kernel.shape} does not fit {image.axes + 2} axes")
    kernel = kernel.reshape(*kernel.shape[:2], *(1,) * (2 - image.axes), *kernel.shape[2:])
    filters, depth, *size = kernel.shape
    kernel_size, groups = Size(*size), op.integer("group", 1, 1)
    if depth * groups != image.channels or filters % groups:
        raise op.error(f"a kernel of shape {kernel.shape} in {groups} groups does not fit {image.channels} channels")
    if "kernel_shape" in op.attributes and op.pair("kernel_shape", image.axes, None) != kernel_size:
        raise op.error("kernel_shape is not that of its kernel")
    strides, dilation = op.pair("strides", image.axes), op.pair("dilations", image.axes)
    padding = op.window_padding(image, kernel_size, strides, dilation)
    weights = {"bias": op.weights(2, "bias", (filters,))} if op.given(2) else {}
    operator: Linear
    if groups == image.channels > 1:
        multiplier = filters // groups
        weights["kernel"] = kernel.reshape(groups, multiplier, *kernel_size).transpose(2, 3, 0, 1)
        operator = DepthwiseConv2D(kernel_size, multiplier, strides, padding, dilation)
    else:
        weights["kernel"] = kernel.transpose(2, 3, 1, 0)
        operator = Conv2D(kernel_size, filters, strides, padding, dilation, groups)
    out = op.positions(image, kernel_size, strides, dilation, padding)
    return op.from_image(op.add(operator, image.node, weights=weights), out, filters, image.axes)


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

    portable_cost: ClassVar[int] = 16  # every product looks for its place in the window

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "DepthwiseConv2D": from_keras,
        "DepthwiseConv1D": one_dimensional(from_keras),
        "SeparableConv2D": from_keras_separable,
        "SeparableConv1D": one_dimensional(from_keras_separable),
    }
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"DEPTHWISE_CONV_2D": from_tflite}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Conv": from_onnx}

    def _details(self) -> str:
        text = f" {self.kernel_size.height}x{self.kernel_size.width}"
        text += f", multiplier {self.multiplier}" if self.multiplier > 1 else ""
        text += f", stride {self.strides.height}x{self.strides.width}" if self.strides != (1, 1) else ""
        text += f", dilation {self.dilation.height}x{self.dilation.width}" if self.dilation != (1, 1) else ""
        return text + self._outside()

    def output_shape(self, *shapes: Shape) -> Shape:
        height, width, channels = shapes[0]
        out = window_positions(Size(height, width), self.kernel_size, self.strides, self.dilation, self.padding)
        return (*out, channels * self.multiplier)

    def accumulate(self, image: Array, kernel: Array, padding_value: float) -> Array:
        image = pad(image, self.padding, padding_value)
        views = taps(image, self.kernel_size, self.strides, self.dilation)
        filters = kernel.reshape(len(views), *kernel.shape[2:])
        if self.multiplier == 1:  # the usual case, without an axis of one
            filters = filters[..., 0]
        else:
            views = [view[..., None] for view in views]
        total = views[0] * filters[0]
        product = np.empty_like(total)
        for view, weights in zip(views[1:], filters[1:], strict=True):
            total += np.multiply(view, weights, out=product)
        return np.asarray(total.reshape(*total.shape[:3], -1))

    def sums(self, image: Array, kernel: Array, padding_value: float) -> Array:
        return self.accumulate(image, kernel, padding_value)  # element by element, in order

    def columns(self, image: Array, padding_value: float, rows: slice = slice(None)) -> list[Array]:
        image = pad(image, self.padding, padding_value)
        views = taps(image, self.kernel_size, self.strides, self.dilation)
        stack = np.stack([view[:, rows] for view in views], axis=-1)
        return [stack[..., channel, :] for channel in range(image.shape[-1])]

    def grouped(self, kernel: Array) -> Array:
        return kernel.reshape(-1, *kernel.shape[2:]).transpose(1, 0, 2)

    def ungrouped(self, matrices: Array) -> Array:
        return matrices.transpose(1, 0, 2).reshape(*self.kernel_size, matrices.shape[0], self.multiplier)

    def input_step(self, kernel: Array, step: Array) -> Array:
        return step if step.ndim == 0 else step[:, None]

    def output_step(self, kernel: Array, step: Array) -> Array:
        return step if step.ndim == 0 else step.reshape(-1, self.multiplier)

    def channel_sources(self, shapes: Sequence[Shape]) -> tuple[Array, ...]:
        return (np.arange(shapes[0][-1] * self.multiplier) // self.multiplier,)

    def with_channels(
        self, constants: Mapping[str, Array], inputs: Sequence[Array], output: Array, shapes: Sequence[Shape]
    ) -> tuple[Operator, Mapping[str, Array]]:
        kept = {key: constants[key][output] for key in ("bias", "shift")}
        return self, {**constants, "kernel": constants["kernel"][:, :, inputs[0]], **kept}

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return image_window(axis, self.kernel_size, self.strides, self.dilation, self.padding)

    def for_rows(
        self, axis: int, rows: range, padding: RowPadding, constants: Mapping[str, Array]
    ) -> tuple[Operator, Mapping[str, Array]]:
        return replace(self, padding=image_padding(axis, self.padding, padding)), constants

    def macs(self, shapes: Sequence[Shape]) -> int:
        return int(np.prod(self.output_shape(*shapes))) * self.kernel_size.height * self.kernel_size.width

    def portable_overlap(self, layer: QuantizedLayer) -> Overlap:
        image = layer.shapes[0]
        geometry = self.kernel_size, self.strides, self.padding, self.dilation
        first = first_pixels(image, self.output_shape(image), *geometry)
        before, after = pixel_bytes(layer)
        if self.multiplier == 1 and before == after:
            return channels_of_pixels(first, before)
        return single_pixels(first, before, after, layer.output.storage_bits // 8)
