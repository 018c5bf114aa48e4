"""What do the pooling operators share? A window that slides, and padding that no value comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.overlap import Overlap, channels_of_pixels, first_pixels, pixel_bytes, single_pixels
from ggdq_mcu.graph.rows import RowPadding, RowWindow, image_padding, image_window
from ggdq_mcu.graph.window import Padding, Size, pad, taps, window_positions
from ggdq_mcu.operators.activation import fused
from ggdq_mcu.operators.permute import Permute
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import Origin, TFLiteOperator, without_batch

if TYPE_CHECKING:
    from ggdq_mcu.graph import QuantizedLayer
    from ggdq_mcu.sources.onnx import Image, OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def window(layer: KerasLayer) -> tuple[Size, Size, Padding]:
    """Size, strides (the size, where Keras is given none) and padding of a pooling layer."""
    size = layer.size("pool_size")
    strides = layer.size("strides", size)
    return size, strides, layer.padding(size, strides)


def whole_image(layer: KerasLayer, pool: Callable[[Size, Size], Operator]) -> list[Node]:
    """A global pooling layer: ``pool`` over the whole image and, unless ``keepdims``, the channels as a vector."""
    image, channels = layer.image
    operator = pool(image, image)
    if layer.flag("keepdims", False):
        return [layer.node(operator)]
    pooled = Node(layer.auxiliary("pooled"), operator, layer.inputs)
    return [pooled, Node(layer.name, Reshape((channels,)), (pooled.name,))]


def adaptive(layer: KerasLayer, pool: Callable[[Size, Size], Operator]) -> list[Node]:
    """``pool`` over as many windows as the output has pixels, where they divide the image."""
    image, _ = layer.image
    out = layer.size("output_size")
    if image.height % out.height or image.width % out.width:
        fix = "use a size that divides the image"
        raise layer.error(f"{tuple(out)} windows do not divide {tuple(image)}", fix)
    size = Size(image.height // out.height, image.width // out.width)
    return [layer.node(pool(size, size))]


def of_tflite(op: TFLiteOperator, pool: Callable[[Size, Size, Padding], Operator]) -> list[Node]:
    """``pool`` as a pooling operator of TFLite has it, and its fused activation."""
    size, strides = op.size("FilterHeight", "FilterWidth"), op.size("StrideH", "StrideW")
    op.image  # noqa: B018  an image only
    return fused(op, [op.node(pool(size, strides, op.padding(size, strides)))])


def reduction_of_tflite(op: TFLiteOperator, pool: Callable[[Size, Size], Operator]) -> list[Node]:
    """``pool`` over the constant axes of a reduction of TFLite, one at least beside the batch."""
    named = {op.axis(axis) for axis in op.integers(1)}
    axes = sorted(axis - op.data.batched for axis in named if axis >= op.data.batched)
    if not axes:
        raise op.error(f"axes {op.integers(1)} of {op.data.shape} reduce nothing", "leave it out")
    kept = op.flag("KeepDims")
    shape = tuple(1 if axis in named else size for axis, size in enumerate(op.data.shape) if kept or axis not in named)
    return reduced(op, axes, without_batch(shape), pool)


def reduced(layer: Origin, axes: list[int], shape: Shape, pool: Callable[[Size, Size], Operator]) -> list[Node]:
    """``pool`` over ``axes``, ascending, which are moved to the end unless they follow each other; the output has ``shape``."""
    first, last = axes[0], axes[-1] + 1
    nodes, whole = [], layer.shape
    if axes != list(range(first, last)):
        order = [*(axis for axis in range(len(whole)) if axis not in axes), *axes]
        nodes = [Node(layer.auxiliary("moved"), Permute(tuple(axis + 1 for axis in order)), (layer.source,))]
        whole = tuple(whole[axis] for axis in order)
        first, last = len(whole) - len(axes), len(whole)
    before, middle, after = (prod(part) for part in (whole[:first], whole[first:last], whole[last:]))
    source = nodes[-1].name if nodes else layer.source
    image = Node(layer.auxiliary("rows"), Reshape((before, middle, after)), (source,))
    pooled = Node(layer.auxiliary("pooled"), pool(Size(1, middle), Size(1, middle)), (image.name,))
    return [*nodes, image, pooled, Node(layer.name, Reshape(shape), (pooled.name,))]


def onnx_window(op: OnnxOperator, image: Image) -> tuple[Size, Size]:
    """Size and strides of a pooling node."""
    if op.pair("dilations", image.axes) != (1, 1):
        raise op.error("pooling with dilation is not supported", "use dilation 1")
    return op.pair("kernel_shape", image.axes, None), op.pair("strides", image.axes)


def onnx_pooled(op: OnnxOperator, image: Image, pool: Pool) -> Tensor:
    """The tensor that ``pool`` makes of an image."""
    out = op.positions(image, pool.pool_size, pool.strides, Size(1, 1), pool.padding)
    return op.from_image(op.add(pool, image.node), out, image.channels, image.axes)


def onnx_reduced(op: OnnxOperator, pool: Callable[[Size, Size], Operator]) -> Tensor:
    """``pool`` over axes: the middle one of three, where they are stored side by side, else moved to the end."""
    tensor, rank = op.tensor(), len(op.tensor().shape)
    given = op.integer_list(1, "axes") if op.given(1) else op.integers("axes", [])
    if not given and op.integer("noop_with_empty_axes", 0):
        return tensor
    axes = {op.axis(axis, rank) for axis in given} if given else set(range(rank))
    tensor = op.plain(tensor) if tensor.listed is not None else tensor
    places = sorted(tensor.order.index(axis) for axis in axes if axis in tensor.order)
    if places and places != list(range(places[0], places[-1] + 1)):
        kept = [axis for axis in tensor.order if axis not in axes]
        tensor = op.arranged(tensor, (*kept, *sorted(axes.intersection(tensor.order))))
        places = list(range(len(kept), len(tensor.order)))
    keeps = op.integer("keepdims", 1)
    order = tuple(axis for axis in tensor.order if keeps or axis not in axes)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(tensor.shape))
    if not keeps:
        left = [axis for axis in range(rank) if axis not in axes]
        shape, order = tuple(tensor.shape[axis] for axis in left), tuple(left.index(axis) for axis in order)
    result = replace(tensor, shape=shape, order=order)
    if not places:  # of axes of size 1 alone
        return result if result.stored == tensor.stored else result.of(op.view(Reshape(result.stored), tensor.node))
    stored = tensor.stored
    before, middle, after = (
        prod(part) for part in (stored[: places[0]], stored[places[0] : places[-1] + 1], stored[places[-1] + 1 :])
    )
    rows = op.view(Reshape((before, middle, after)), tensor.node)
    pooled = op.add(pool(Size(1, middle), Size(1, middle)), rows)
    return result.of(op.view(Reshape(result.stored), pooled))


@dataclass(frozen=True)
class Pool(Operator):
    """Base of the pooling operators: input (H, W, C) -> output (Ho, Wo, C)."""

    pool_size: Size
    strides: Size
    padding: Padding = Padding()

    takes_channel_steps: ClassVar[bool] = True
    is_monotone: ClassVar[bool] = True

    def _details(self) -> str:
        text = f" {self.pool_size.height}x{self.pool_size.width}"
        return text + (f", stride {self.strides.height}x{self.strides.width}" if self.strides != self.pool_size else "")

    def output_shape(self, *shapes: Shape) -> Shape:
        height, width, channels = shapes[0]
        out = window_positions(Size(height, width), self.pool_size, self.strides, Size(1, 1), self.padding)
        return (*out, channels)

    def views(self, image: Array, padding_value: float) -> list[Array]:
        """For each position in the window, the pixels (N, Ho, Wo, C) it sees."""
        return taps(pad(image, self.padding, padding_value), self.pool_size, self.strides, Size(1, 1))

    def overlaps(self, layer: QuantizedLayer) -> dict[int, Overlap]:
        """Kernels take pixel by pixel, and of each pixel one channel after the other."""
        image = layer.shapes[0]
        first = first_pixels(image, self.output_shape(image), self.pool_size, self.strides, self.padding, Size(1, 1))
        before, after = pixel_bytes(layer)
        if before == after:
            return {0: channels_of_pixels(first, before)}
        return {0: single_pixels(first, before, after, layer.output.storage_bits // 8)}

    def counts(self, height: int, width: int) -> Array:
        """How many real pixels (Ho, Wo) each window sees."""
        ones = np.ones((1, height, width, 1), np.int64)
        total: Array = np.sum(self.views(ones, 0), axis=0)[0, :, :, 0]
        return total

    def channel_sources(self, shapes: Sequence[Shape]) -> tuple[Array, ...]:
        return (np.arange(shapes[0][-1]),)

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return image_window(axis, self.pool_size, self.strides, Size(1, 1), self.padding)

    def for_rows(
        self, axis: int, rows: range, padding: RowPadding, constants: Mapping[str, Array]
    ) -> tuple[Operator, Mapping[str, Array]]:
        return replace(self, padding=image_padding(axis, self.padding, padding)), constants

    def macs(self, shapes: Sequence[Shape]) -> int:
        return 0
