"""Zeros around an image, where they could not be folded into the layers that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.rows import RowPadding, RowWindow, image_padding, image_window
from ggdq_mcu.graph.window import Padding, Size, pad
from ggdq_mcu.operators.affine import Affine, affine_tensor
from ggdq_mcu.operators.gather import onnx_along
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.one_dimension import one_dimensional
from ggdq_mcu.operators.slice import onnx_part
from ggdq_mcu.sources import onnx_layout as layout
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator, without_batch
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
_BEYOND = 1e6  # a value that only says that it is no maximum, or no minimum


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
    """PAD and PADV2, with any value on any axis."""
    value = _padding_value(op)
    if value == 0 or abs(value) > _BEYOND:
        return _around(op, value)
    # Padding with zeros between an offset and its reverse, so that the value need not be within the input's range.
    channels = op.data.shape[-1:]
    weights = {"scale": np.ones(channels, np.float32), "offset": np.full(channels, -value, np.float32)}
    before = Node(op.auxiliary("less"), Affine(), (op.source,), weights)
    *padding, last = _around(op, 0.0)
    padding = [replace(one, inputs=(before.name,)) if one.inputs == (op.source,) else one for one in padding]
    inputs = (before.name,) if not padding else last.inputs
    padded = replace(last, name=op.auxiliary("padded"), inputs=inputs)
    wide = op.outputs[0].shape[-1:]
    weights = {"scale": np.ones(wide, np.float32), "offset": np.full(wide, value, np.float32)}
    return [before, *padding, padded, Node(op.name, Affine(), (padded.name,), weights)]


def from_tflite_kept(op: TFLiteOperator) -> list[Node]:
    """PAD and PADV2, with any value on any axis."""
    return _around(op, _padding_value(op))


def _padding_value(op: TFLiteOperator) -> float:
    """The one number that is padded."""
    if not op.has(2):
        return 0.0
    value = op.constant(2)
    if value.size != 1:
        raise op.error(f"pads with {value.size} values", "pad with one")
    return float(value.flat[0])


def _around(op: TFLiteOperator, value: float) -> list[Node]:
    width, whole = op.integers(1), op.data.shape
    if len(width) != 2 * len(whole) or min(width, default=0) < 0:
        raise op.error(f"padding {width} does not fit {whole}")
    if len(whole) == 4 and op.data.batched and not any(width[:2]) and not any(width[6:]):
        return [op.node(ZeroPadding2D(Padding(*width[2:6]), value))]
    sides = list(zip(width[::2], width[1::2], strict=True))
    shape = tuple(size + sum(pair) for size, pair in zip(whole, sides, strict=True))
    return op.chain([*padded_axes(whole, sides, value), ("shaped", Reshape(without_batch(shape)))])


def padded_axes(whole: Shape, sides: Sequence[tuple[int, int]], value: float = 0.0) -> list[tuple[str, Operator]]:
    """Operators that put ``value`` before and after the axes of ``whole``, one axis after the other."""
    steps: list[tuple[str, Operator]] = []
    shape = list(whole)
    for axis, edges in enumerate(sides):
        if any(edges):
            steps.append((f"rows_{axis}", Reshape((prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :])))))
            steps.append((f"padded_{axis}", ZeroPadding2D(Padding(0, 0, *edges), value)))
            shape[axis] += sum(edges)
    return steps


def from_onnx(op: OnnxOperator) -> Tensor:
    """Pad, with a number, the edge, mirrored or repeated values on any axis; negative numbers cut off."""
    tensor = op.tensor()
    rank, pads = len(tensor.shape), op.integer_list(1, "pads")
    axes = op.integer_list(3, "axes") if op.given(3) else list(range(rank))
    if len(pads) != 2 * len(axes):
        raise op.error(f"has {len(pads)} numbers for {len(axes)} axes")
    edges = [(0, 0)] * rank
    for axis, pair in zip(axes, zip(pads, pads[len(axes) :], strict=False), strict=True):
        edges[op.axis(axis, rank)] = pair
    mode, value = op.text("mode", "constant"), op.bound(2, 0.0)
    if mode not in ("constant", *_PADDED):
        raise op.error(f"mode {mode[:60]!r} is unknown", "use constant, edge, reflect or wrap")
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
    if mode != "constant":
        for axis, pair in enumerate(edges):
            if any(pair):
                tensor = onnx_along(op, tensor, axis, _PADDED[mode](np.arange(tensor.shape[axis]), pair))
        return tensor
    if not value:
        return _padded(op, tensor, edges)
    return affine_tensor(op, _padded(op, affine_tensor(op, tensor, 1.0, -value), edges), 1.0, value)


_PADDED: Mapping[str, Callable[[Array, tuple[int, int]], Array]] = {
    "edge": lambda places, pair: np.pad(places, pair, mode="edge"),
    "reflect": lambda places, pair: np.pad(places, pair, mode="reflect"),
    "wrap": lambda places, pair: np.pad(places, pair, mode="wrap"),
}


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
    """Zeros around an image: input (H, W, C) -> output (top + H + bottom, left + W + right, C).

    Or another ``value``: the nearest that the input's format has.
    """

    padding: Padding
    value: float = 0.0

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
        kind: moving(from_tflite_kept) for kind in tflite_operators
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Pad": from_onnx}

    def _details(self) -> str:
        sides = ",".join(f" {side} {pixels}" for side, pixels in self.padding._asdict().items())
        return sides + (f", {self.value:g}" if self.value else "")

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
        return pad(inputs[0], self.padding, self.value)

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        return pad(inputs[0], self.padding, self._integer(output))

    def _integer(self, output: Format) -> int:
        """The integer that is padded."""
        return int(output.quantize(np.array(self.value)).flat[0]) if self.value else output.zero_point

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        (portable,) = super().kernels(layer)
        return [replace(portable, parameters={**portable.parameters, "value": self._integer(layer.output)})]
