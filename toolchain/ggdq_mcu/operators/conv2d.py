"""Two-dimensional convolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.overlap import Overlap, first_pixels, pixel_bytes, single_pixels
from ggdq_mcu.graph.rows import RowPadding, RowWindow, image_padding, image_window
from ggdq_mcu.graph.window import Padding, Size, pad, taps, window_positions
from ggdq_mcu.numerics.products import products
from ggdq_mcu.operators.activation import activation_node, fused, with_activation
from ggdq_mcu.operators.permute import Permute
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.operators.shared.one_dimension import one_dimensional
from ggdq_mcu.operators.shared.transposed import Axis, axis_of, cropped_axis, phase_kernel
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.sources.keras import MAX_ELEMENTS, KerasLayer
from ggdq_mcu.sources.tflite import SAME, Origin, TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

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


def from_keras_transposed(layer: KerasLayer) -> list[Node]:
    """Conv2DTranspose, same or valid: a convolution with filters for each phase of the stride, then interleaved."""
    image, channels = layer.image
    kernel_size, strides, filters = layer.size("kernel_size"), layer.size("strides", 1), layer.integer("filters")
    kind = layer.text("padding", "valid").lower()
    if kind not in ("same", "valid"):
        raise layer.error(f"padding {kind[:60]!r} is not supported", "use same or valid")
    if layer.size("dilation_rate", 1) != (1, 1):
        raise layer.error("a transposed convolution with dilation is not supported", "use dilation_rate 1")
    if any(size is not None for size in np.ravel(np.array(layer.config.get("output_padding"), object))):
        raise layer.error(
            "output_padding is not supported", "leave it out, and use ZeroPadding or Cropping after the layer"
        )
    bias = {"bias": (filters,)} if layer.flag("use_bias", True) else {}
    weights = layer.take(kernel=(*kernel_size, filters, channels), **bias)
    nodes = transposed(layer, image, strides, kind == "same", weights)
    return [*nodes, activation_node(layer, nodes[-1].name)]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """CONV_2D with constant weights, same or valid, any strides and dilation; groups where the filters have fewer channels."""
    _, channels = op.image
    filters = op.constant(1)
    if filters.ndim != 4 or channels % filters.shape[3] or filters.shape[0] % (channels // filters.shape[3]):
        raise op.error(f"filters of shape {filters.shape} do not fit {channels} channels")
    kernel_size, strides = Size(*filters.shape[1:3]), op.size("StrideH", "StrideW")
    dilation = op.size("DilationHFactor", "DilationWFactor", 1)
    padding, groups = op.padding(kernel_size, strides, dilation), channels // filters.shape[3]
    operator = Conv2D(kernel_size, filters.shape[0], strides, padding, dilation, groups)
    weights = {"kernel": np.ascontiguousarray(filters.transpose(1, 2, 3, 0)), **op.bias(filters.shape[0])}
    return fused(op, [op.node(operator, weights)])


def from_tflite_transposed(op: TFLiteOperator) -> list[Node]:
    """TRANSPOSE_CONV with constant weights, same or valid, whose output has the usual size: a convolution for each phase."""
    return fused(op, tflite_phases(op))


def tflite_phases(op: TFLiteOperator) -> list[Node]:
    """The nodes of TRANSPOSE_CONV without its activation: the convolution first, then what moves its values."""
    image, channels = op.image
    filters = op.constant(1)
    if filters.ndim != 4 or filters.shape[3] != channels:
        raise op.error(f"filters of shape {filters.shape} do not fit {channels} channels")
    strides, same = op.size("StrideH", "StrideW"), op.integer("Padding", SAME, SAME) == SAME
    weights = {"kernel": np.ascontiguousarray(filters.transpose(1, 2, 0, 3)), **op.bias(filters.shape[0], 3)}
    *before, last = transposed(op, image, strides, same, weights)
    return [*before, replace(last, name=op.name)]


def transposed(layer: Origin, image: Size, strides: Size, same: bool, weights: Mapping[str, Array]) -> list[Node]:
    """The nodes of a transposed convolution; weights ``kernel`` (Kh, Kw, F, C) and, optionally, ``bias`` (F,)."""
    height, width, _, channels = weights["kernel"].shape
    axes = zip(image, (height, width), strides, strict=True)
    rows, columns = (axis_of(*axis, same) for axis in axes)
    steps, of_phases = _interleaved((*image, channels), weights, strides, rows, columns)
    nodes: list[Node] = []
    for suffix, step in steps:
        inputs = (nodes[-1].name,) if nodes else layer.inputs
        nodes.append(Node(layer.auxiliary(suffix), step, inputs, {} if nodes else of_phases))
    return nodes


def _interleaved(
    shape: Shape, weights: Mapping[str, Array], strides: Size, rows: Axis, columns: Axis
) -> tuple[list[tuple[str, Operator]], dict[str, Array]]:
    """A transposed convolution of an image: operators with suffixes for their names, and the weights of the first.

    ``weights`` are kernel (Kh, Kw, F, C) and, perhaps, bias (F,).
    """
    filters, phases = weights["kernel"].shape[2], strides.height * strides.width
    of_phases = {key: np.tile(value, phases) for key, value in weights.items()}
    of_phases["kernel"] = phase_kernel(weights["kernel"], strides)
    padding = Padding(rows.before, rows.after, columns.before, columns.after)
    operator = Conv2D(Size(rows.taps, columns.taps), phases * filters, padding=padding)
    height, width, _ = operator.output_shape(shape)
    steps: list[tuple[str, Operator]] = [
        ("phases", operator),
        ("apart", Reshape((height, width, *strides, filters))),
        ("interleaved", Permute((1, 3, 2, 4, 5))),
        ("whole", Reshape((height * strides.height, width * strides.width, filters))),
        ("cropped", Slice((rows.crop, columns.crop, 0), (rows.size, columns.size, filters))),
    ]
    return steps, of_phases


def from_onnx_transposed(op: OnnxOperator) -> Tensor:
    """ConvTranspose of images and sequences: a convolution for each phase of the stride, with zeros between groups and taps."""
    image, kernel, groups = op.image(), op.weights(1, "kernel"), op.integer("group", 1, 1)
    if kernel.ndim != image.axes + 2 or kernel.shape[0] != image.channels or image.channels % groups:
        raise op.error(f"a kernel of shape {kernel.shape} in {groups} groups does not fit {image.channels} channels")
    if "output_shape" in op.attributes:
        raise op.error("output_shape is not supported", "use pads and output_padding")
    kernel = kernel.reshape(*kernel.shape[:2], *(1,) * (2 - image.axes), *kernel.shape[2:])
    kernel = _dense_kernel(op, kernel, groups, op.pair("dilations", image.axes)).transpose(2, 3, 1, 0)
    strides, size, filters = op.pair("strides", image.axes), Size(*kernel.shape[:2]), kernel.shape[2]
    more = op.integers("output_padding", [0] * image.axes, 0)
    wider = Size(*more) if len(more) == 2 else Size(0, *more)
    padding = op.transposed_padding(image, size, strides, wider)
    axes = []
    for axis, edges in enumerate((padding[:2], padding[2:])):
        out = strides[axis] * (image.size[axis] - 1) + wider[axis] + size[axis] - sum(edges)
        axes.append(cropped_axis(image.size[axis], size[axis], strides[axis], edges[0], out))
        if out < 1 or min(axes[-1].before, axes[-1].after) < 0:
            raise op.error(f"pads {list(edges)} are too large for a kernel of {size[axis]}")
    weights = {"kernel": kernel, **({"bias": op.weights(2, "bias", (filters,))} if op.given(2) else {})}
    steps, weights = _interleaved(image.shape, weights, strides, axes[0], axes[1])
    node = op.add(steps[0][1], image.node, weights=weights)
    for suffix, step in steps[1:]:
        node = op.add(step, node, suffix=suffix)
    return op.from_image(node, Size(axes[0].size, axes[1].size), filters, image.axes)


def _dense_kernel(op: OnnxOperator, kernel: Array, groups: int, dilation: Size) -> Array:
    """A kernel (C, M / groups, H, W) as one (C, M, H', W') without groups and dilation: zeros between them."""
    channels, part, *size = kernel.shape
    height, width = ((one - 1) * step + 1 for one, step in zip(size, dilation, strict=True))
    if channels * part * groups * height * width > MAX_ELEMENTS:
        raise op.error(f"a dilation of {tuple(dilation)} makes the kernel larger than {MAX_ELEMENTS} elements")
    dense = np.zeros((channels, part * groups, height, width), kernel.dtype)
    each = channels // groups
    for group in range(groups):
        rows, columns = slice(group * each, (group + 1) * each), slice(group * part, (group + 1) * part)
        dense[rows, columns, :: dilation.height, :: dilation.width] = kernel[rows]
    return dense


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

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Conv2D": from_keras,
        "Conv1D": one_dimensional(from_keras),
        "Conv2DTranspose": from_keras_transposed,
        "Conv1DTranspose": one_dimensional(from_keras_transposed),
    }
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "CONV_2D": from_tflite,
        "TRANSPOSE_CONV": from_tflite_transposed,
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"ConvTranspose": from_onnx_transposed}

    def _details(self) -> str:
        text = f" {self.kernel_size.height}x{self.kernel_size.width}"
        text += f", stride {self.strides.height}x{self.strides.width}" if self.strides != (1, 1) else ""
        text += f", dilation {self.dilation.height}x{self.dilation.width}" if self.dilation != (1, 1) else ""
        return text + (f", {self.groups} groups" if self.groups > 1 else "") + self._outside()

    def output_shape(self, *shapes: Shape) -> Shape:
        height, width, channels = shapes[0]
        if channels % self.groups or self.filters % self.groups:
            raise ValueError(f"{channels} channels, {self.filters} filters and {self.groups} groups")
        out = window_positions(Size(height, width), self.kernel_size, self.strides, self.dilation, self.padding)
        return (*out, self.filters)

    def accumulate(self, image: Array, kernel: Array, padding_value: float) -> Array:
        columns = self.columns(image, padding_value)
        matrices = self.grouped(kernel)
        outputs = [group @ matrix for group, matrix in zip(columns, matrices, strict=True)]
        return outputs[0] if self.groups == 1 else np.concatenate(outputs, axis=-1)

    def sums(self, image: Array, kernel: Array, padding_value: float) -> Array:
        padded, bare = pad(image, self.padding, padding_value), replace(self, padding=Padding())
        outputs = products(padded, lambda part: bare.columns(part, 0.0), self.grouped(kernel))
        return outputs[0] if self.groups == 1 else np.concatenate(outputs, axis=-1)

    def columns(self, image: Array, padding_value: float, rows: slice = slice(None)) -> list[Array]:
        image = pad(image, self.padding, padding_value)
        views = taps(image, self.kernel_size, self.strides, self.dilation)
        depth = image.shape[-1] // self.groups
        return [
            np.concatenate([view[:, rows, :, group * depth : (group + 1) * depth] for view in views], axis=-1)
            for group in range(self.groups)
        ]

    def grouped(self, kernel: Array) -> Array:
        products = kernel.shape[0] * kernel.shape[1] * kernel.shape[2]
        return kernel.reshape(products, self.groups, -1).transpose(1, 0, 2)

    def ungrouped(self, matrices: Array) -> Array:
        shape = (
            *self.kernel_size,
            matrices.shape[1] // (self.kernel_size.height * self.kernel_size.width),
            self.filters,
        )
        return matrices.transpose(1, 0, 2).reshape(shape)

    def input_step(self, kernel: Array, step: Array) -> Array:
        if step.ndim == 0:
            return step
        # Group g reads channels g * depth ...: each filter has the steps of its own group's channels.
        grouped = step.reshape(self.groups, kernel.shape[2]).T
        return np.repeat(grouped, self.filters // self.groups, axis=1)

    def output_step(self, kernel: Array, step: Array) -> Array:
        return step

    @property
    def mixes_channels(self) -> bool:
        return self.groups == 1

    def with_channels(
        self, constants: Mapping[str, Array], inputs: Sequence[Array], output: Array, shapes: Sequence[Shape]
    ) -> tuple[Operator, Mapping[str, Array]]:
        _, constants = super().with_channels(constants, inputs, output, shapes)
        return replace(self, filters=len(output)), constants

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return image_window(axis, self.kernel_size, self.strides, self.dilation, self.padding)

    def for_rows(
        self, axis: int, rows: range, padding: RowPadding, constants: Mapping[str, Array]
    ) -> tuple[Operator, Mapping[str, Array]]:
        return replace(self, padding=image_padding(axis, self.padding, padding)), constants

    def macs(self, shapes: Sequence[Shape]) -> int:
        height, width, _ = self.output_shape(*shapes)
        return (
            height
            * width
            * self.filters
            * self.kernel_size.height
            * self.kernel_size.width
            * (shapes[0][2] // self.groups)
        )

    def first_pixels(self, image: Shape) -> Array:
        """For each output pixel, in order, the index of the first image pixel that it depends on."""
        geometry = self.kernel_size, self.strides, self.padding, self.dilation
        return first_pixels(image, self.output_shape(image), *geometry)

    def portable_overlap(self, layer: QuantizedLayer) -> Overlap:
        first = self.first_pixels(layer.shapes[0])
        return single_pixels(first, *pixel_bytes(layer), layer.output.storage_bits // 8)
