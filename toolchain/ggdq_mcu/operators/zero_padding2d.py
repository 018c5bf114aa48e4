"""Zeros around an image, where they could not be folded into the layers that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.rows import RowPadding, RowWindow, image_padding, image_window
from ggdq_mcu.graph.window import Padding, Size, pad
from ggdq_mcu.operators.affine import affine_tensor
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.one_dimension import one_dimensional
from ggdq_mcu.operators.slice import onnx_part
from ggdq_mcu.sources import onnx_layout as layout
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator, without_batch
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """ZeroPadding2D, of the same or of different sizes on the four sides."""
    layer.image  # noqa: B018  an image only
    return [layer.node(ZeroPadding2D(layer.edges("padding")))]


def from_operation(layer: KerasLayer) -> list[Node]:
    """Pad, with zeros around an image."""
    width = layer.config.get("pad_width")
    if layer.text("mode", "constant") != "constant" or layer.config.get("constant_values") not in (None, 0, 0.0):
        raise layer.error("pads with something other than zeros", "pad with zeros")
    if not isinstance(width, list) or len(width) != 4 or width[0] != [0, 0] or width[3] != [0, 0]:
        raise layer.error(f"padding {str(width)[:60]} is not around an image", "pad height and width only")
    return from_keras(replace(layer, config={"padding": width[1:3]}))


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """PAD and PADV2, with zeros on any axis."""
    width, whole = op.integers(1), op.data.shape
    if op.has(2) and np.any(op.constant(2)):
        raise op.error("pads with something other than zeros", "pad with zeros")
    if len(width) != 2 * len(whole) or min(width, default=0) < 0:
        raise op.error(f"padding {width} does not fit {whole}")
    if len(whole) == 4 and op.data.batched and not any(width[:2]) and not any(width[6:]):
        return [op.node(ZeroPadding2D(Padding(*width[2:6])))]
    steps: list[tuple[str, Operator]] = []
    shape = list(whole)
    for axis in range(len(whole)):
        edges = width[2 * axis : 2 * axis + 2]
        if any(edges):
            steps.append(("rows", Reshape((prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])))))
            steps.append(("padded", ZeroPadding2D(Padding(0, 0, *edges))))
            shape[axis] += sum(edges)
    return op.chain([*steps, ("shaped", Reshape(without_batch(tuple(shape))))])


def from_onnx(op: OnnxOperator) -> Tensor:
    """Pad, with zeros or another number on any axis; negative numbers cut off."""
    tensor = op.tensor()
    rank, pads = len(tensor.shape), op.integer_list(1, "pads")
    axes = op.integer_list(3, "axes") if op.given(3) else list(range(rank))
    if len(pads) != 2 * len(axes):
        raise op.error(f"has {len(pads)} numbers for {len(axes)} axes")
    edges = [(0, 0)] * rank
    for axis, pair in zip(axes, zip(pads, pads[len(axes) :], strict=False), strict=True):
        edges[op.axis(axis, rank)] = pair
    mode, value = op.text("mode", "constant"), op.bound(2, 0.0)
    if mode != "constant":
        raise op.error(f"mode {mode[:60]!r} is not supported", "pad with a constant")
    if not np.isfinite(value):
        raise op.error("pads with a value that is not finite", "pad with a number")
    if any(size + min(first, 0) + min(last, 0) < 1 for size, (first, last) in zip(tensor.shape, edges, strict=True)):
        raise op.error(f"pads {pads} leave nothing of {tensor.shape}")
    if any(min(pair) < 0 for pair in edges):
        tensor = onnx_part(
            op,
            tensor,
            {
                axis: slice(-min(first, 0), size + min(last, 0))
                for axis, (size, (first, last)) in enumerate(zip(tensor.shape, edges, strict=True))
            },
        )
        edges = [(max(first, 0), max(last, 0)) for first, last in edges]
    if not any(map(any, edges)):
        return tensor
    if not value:
        return _padded(op, tensor, edges)
    return affine_tensor(op, _padded(op, affine_tensor(op, tensor, 1.0, -value), edges), 1.0, value)


def _padded(op: OnnxOperator, tensor: Tensor, edges: Sequence[tuple[int, int]]) -> Tensor:
    """The tensor with so many zeros before and behind each axis: as an image where that is possible, else axis by axis."""
    tensor = op.plain(tensor) if tensor.listed is not None else tensor
    tensor = op.arranged(tensor, layout.completed(tensor.order, [axis for axis, pair in enumerate(edges) if any(pair)]))
    shape = tuple(size + sum(pair) for size, pair in zip(tensor.shape, edges, strict=True))
    still, rank = [axis for axis in tensor.order if not any(edges[axis])], len(tensor.order)
    if rank in (2, 3) and still:
        tensor = op.last(tensor, still[-1])
        image = tensor.node if rank == 3 else op.view(Reshape((1, *tensor.stored)), tensor.node)
        rows, columns = ([(0, 0)] if rank == 2 else []) + [edges[axis] for axis in tensor.order[:-1]]
        node = op.add(ZeroPadding2D(Padding(*rows, *columns)), image)
        result = replace(tensor, shape=shape)
        return result.of(node if rank == 3 else op.view(Reshape(result.stored), node))
    node, stored = tensor.node, list(tensor.stored)
    for place, axis in enumerate(tensor.order):
        if any(edges[axis]):
            middle = op.view(Reshape((prod(stored[:place]), stored[place], prod(stored[place + 1 :]))), node)
            node = op.add(ZeroPadding2D(Padding(0, 0, *edges[axis])), middle)
            stored[place] += sum(edges[axis])
    result = replace(tensor, shape=shape)
    return result.of(op.view(Reshape(result.stored), node))


@dataclass(frozen=True)
class ZeroPadding2D(Operator):
    """Zeros around an image: input (H, W, C) -> output (top + H + bottom, left + W + right, C)."""

    padding: Padding

    takes_channel_steps: ClassVar[bool] = True
    keeps_format: ClassVar[bool] = True
    is_monotone: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "ZeroPadding2D": from_keras,
        "ZeroPadding1D": one_dimensional(from_keras),
    }
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"Pad": from_operation}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"PAD": from_tflite, "PADV2": from_tflite}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        kind: moving(convert) for kind, convert in tflite_operators.items()
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Pad": from_onnx}

    def _details(self) -> str:
        return ",".join(f" {side} {pixels}" for side, pixels in self.padding._asdict().items())

    def output_shape(self, *shapes: Shape) -> Shape:
        height, width, channels = shapes[0]
        top, bottom, left, right = self.padding
        return (height + top + bottom, width + left + right, channels)

    def channel_sources(self, shapes: Sequence[Shape]) -> tuple[Array, ...]:
        return (np.arange(shapes[0][-1]),)

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        one = Size(1, 1)
        return image_window(axis, one, one, one, self.padding)

    def for_rows(
        self, axis: int, rows: range, padding: RowPadding, constants: Mapping[str, Array]
    ) -> tuple[Operator, Mapping[str, Array]]:
        return replace(self, padding=image_padding(axis, self.padding, padding)), constants

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return pad(inputs[0], self.padding, 0.0)

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        return pad(inputs[0], self.padding, output.zero_point)
