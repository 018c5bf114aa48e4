"""How does an operator see the ONNX node that it is made from? Checked attributes, checked constants, known layouts.

Nothing here trusts the file: every attribute is checked for type and range, every constant for its shape. What a
function makes of a node is a tensor of ours, with the order in which its axes are stored (see onnx_layout).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.window import Padding, Size, extent, same_padding, window_positions
from ggdq_mcu.sources import onnx_layout as layout
from ggdq_mcu.sources.onnx_layout import Tensor, channels_last, plain_order

Array = NDArray[Any]
Weights = Mapping[str, Array]
Result = Tensor | tuple[Tensor, ...]
_MAX_INTEGER = 1 << 20
_REQUIRED = object()


class Attributes(dict[str, Any]):
    """Attributes of a node, which remember which of them were looked at."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.seen: set[str] = set()

    def __contains__(self, key: object) -> bool:
        self.seen.add(str(key))
        return super().__contains__(key)

    def __getitem__(self, key: str) -> Any:
        self.seen.add(key)
        return super().__getitem__(key)


class Image(NamedTuple):
    """An image as a node of ours: (H, W, C). Sequences are the rows of one: their number, or 1, is its height."""

    node: str
    size: Size
    channels: int
    axes: int  # 2, or 1 for a sequence

    @property
    def shape(self) -> Shape:
        """Of the node."""
        return (*self.size, self.channels)

    @property
    def window(self) -> Size:
        """Height and width of the whole image, or of one whole sequence."""
        return self.size if self.axes == 2 else Size(1, self.size.width)


@dataclass(frozen=True, eq=False)
class OnnxOperator:
    """One node of the file: its kind (Conv), the name of the node of ours, its attributes, and what it reads.

    ``inputs`` are tensors, constants, or None where one is left out; both have all their axes, as in the file.
    ``read`` tells of each output whether somebody reads it. ``node`` adds a node of ours: the name that it should have,
    operator, sources, weights; it gives the name that it got. ``moves`` are the operators that only move values.
    """

    kind: str
    name: str
    attributes: Attributes
    inputs: tuple[Tensor | Array | None, ...]
    read: tuple[bool, ...]
    opset: int
    node: Callable[[str, Operator, tuple[str, ...], Weights], str]
    moves: layout.Moves

    @property
    def outputs(self) -> int:
        """The number of outputs that somebody reads."""
        return sum(self.read)

    def error(self, what: str, fix: str = "") -> GgdqError:
        """An error that names this node."""
        return GgdqError(what, f"node {self.name!r} ({self.kind})", fix)

    def add(self, operator: Operator, *sources: str, suffix: str = "", weights: Weights | None = None) -> str:
        """Add a node; those that only help get a suffix."""
        arrays = {key: np.ascontiguousarray(value, np.float32) for key, value in (weights or {}).items()}
        return self.node(f"{self.name}_{suffix}" if suffix else self.name, operator, sources, arrays)

    def view(self, operator: Operator, source: str) -> str:
        """Add a node that only moves values."""
        return self.add(operator, source, suffix="moved")

    def given(self, index: int) -> bool:
        """Is there an input ``index``?"""
        return index < len(self.inputs) and self.inputs[index] is not None

    def is_constant(self, index: int) -> bool:
        """Does input ``index`` not depend on the network's input?"""
        return self.given(index) and isinstance(self.inputs[index], np.ndarray)

    def tensor(self, index: int = 0) -> Tensor:
        """Input ``index``, which depends on the network's input."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(value, Tensor):
            raise self.error(f"its input {index} is a constant, or missing")
        return value

    def tensors(self) -> list[Tensor]:
        """All inputs, none of them a constant."""
        return [self.tensor(index) for index in range(len(self.inputs))]

    def constant(self, index: int, what: str) -> Array:
        """Input ``index``, a constant, which ``what`` names in the error."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(value, np.ndarray):
            raise self.error(f"its {what} is not a constant", "export the network with fixed sizes and weights")
        return value

    def weights(self, index: int, what: str, shape: Shape | None = None) -> Array:
        """Input ``index``, finite constants in float32 of just this shape."""
        value = self.constant(index, what)
        if shape is not None and value.shape != shape:
            raise self.error(f"{what} has shape {value.shape} instead of {shape}")
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused as such
            real = value.astype(np.float32)
        if not np.all(np.isfinite(real)):
            raise self.error(f"{what} holds NaN or infinite values", "train the network again, or check the export")
        return real

    def integer_list(self, index: int, what: str) -> list[int]:
        """Input ``index``, constant integers."""
        value = self.constant(index, what)
        if value.dtype.kind not in "iu" or value.ndim > 1 or value.size > 64:
            raise self.error(f"its {what} is not a list of integers")
        return [int(one) for one in value.ravel()]

    def integer(self, key: str, default: Any = _REQUIRED, least: int = -_MAX_INTEGER) -> int:
        """An integer attribute."""
        value = self._attribute(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MAX_INTEGER:
            raise self.error(f"{key} = {str(value)[:60]} is not an integer in {least}..{_MAX_INTEGER}")
        return value

    def number(self, key: str, default: Any = _REQUIRED) -> float:
        """A finite real attribute."""
        value = self._attribute(key, default)
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(f"{key} = {str(value)[:60]} is not a finite number")
        return float(value)

    def text(self, key: str, default: str) -> str:
        """A text attribute."""
        value = self._attribute(key, default)
        if not isinstance(value, str):
            raise self.error(f"{key} is not a text")
        return value

    def integers(self, key: str, default: Any = _REQUIRED, least: int = -_MAX_INTEGER) -> list[int]:
        """An attribute that is a list of integers."""
        value = self._attribute(key, default)
        if not isinstance(value, list | tuple):
            raise self.error(f"{key} is not a list of integers")
        if any(not isinstance(one, int) or not least <= one <= _MAX_INTEGER for one in value):
            raise self.error(f"{key} = {str(list(value))[:60]} are not integers in {least}..{_MAX_INTEGER}")
        return list(value)

    def texts(self, key: str, default: list[str]) -> list[str]:
        """An attribute that is a list of texts."""
        value = self._attribute(key, default)
        if not isinstance(value, list) or any(not isinstance(one, str) for one in value):
            raise self.error(f"{key} is not a list of texts")
        return value

    def numbers(self, key: str, default: list[float]) -> list[float]:
        """An attribute that is a list of finite numbers."""
        value = self._attribute(key, default)
        if not isinstance(value, list) or any(
            not isinstance(one, int | float) or not math.isfinite(one) for one in value
        ):
            raise self.error(f"{key} is not a list of finite numbers")
        return [float(one) for one in value]

    def _attribute(self, key: str, default: Any) -> Any:
        if key not in self.attributes:
            if default is _REQUIRED:
                raise self.error(f"its attribute {key!r} is missing")
            return default
        return self.attributes[key]

    def axis(self, value: int, rank: int) -> int:
        """An axis of a tensor of ``rank`` axes, counted from the front."""
        if not -rank <= value < rank:
            raise self.error(f"axis {value} is none of {rank} axes", f"use {-rank}..{rank - 1}")
        return value % rank

    def arranged(self, tensor: Tensor, order: layout.Order) -> Tensor:
        """The tensor stored in ``order``."""
        if tensor.listed is not None:
            tensor = self.plain(tensor)
        return layout.arranged(self.moves, self.view, tensor, order)

    def plain(self, tensor: Tensor) -> Tensor:
        """The tensor with its elements in ONNX's order."""
        return layout.plain(self.moves, self.view, tensor)

    def reshaped(self, tensor: Tensor, shape: Shape) -> Tensor:
        """The tensor under another shape."""
        try:
            return layout.reshaped(self.moves, self.view, tensor, shape)
        except ValueError as error:
            raise self.error(f"shapes do not fit ({error})") from error

    def last(self, tensor: Tensor, axis: int) -> Tensor:
        """The tensor with ``axis`` stored last, as it lies or with the others in their order."""
        if tensor.listed is not None and tensor.shape[axis] == 1:
            tensor = self.plain(tensor)
        if tensor.listed is not None or (tensor.order and tensor.order[-1] == axis):
            return tensor
        large = [one for one in tensor.order if tensor.shape[one] != 1]
        if large and large[-1] == axis:
            return self.arranged(tensor, (*(one for one in tensor.order if one != axis), axis))
        return self.arranged(tensor, (*(one for one in plain_order(tensor.shape) if one != axis), axis))

    def stored(self, constant: Array, tensor: Tensor) -> Array:
        """A constant, broadcast as ONNX does, as the tensor's node stores its elements."""
        missing = tuple(axis for axis in range(len(tensor.shape)) if axis not in tensor.order)
        return np.broadcast_to(constant, tensor.shape).transpose(missing + tensor.order).reshape(tensor.stored)

    def transposed(self, tensor: Tensor, axes: Sequence[int]) -> Tensor:
        """The tensor whose axis i is axis ``axes[i]``; no value moves."""
        return layout.transposed(tensor, axes)

    def joined(self, operator: Operator, *tensors: Tensor) -> Tensor:
        """What an element-wise operator makes of aligned tensors."""
        try:
            shape = np.broadcast_shapes(*(tensor.shape for tensor in tensors))
        except ValueError as error:
            raise self.error(f"shapes do not fit ({error})") from error
        return replace(tensors[0], node=self.add(operator, *(tensor.node for tensor in tensors)), shape=shape)

    def bound(self, index: int, default: float) -> float:
        """Input ``index``, a constant number; ``default`` where it is left out."""
        if not self.given(index):
            return default
        value = self.constant(index, "bound")
        if value.size != 1 or np.isnan(value.flat[0]):
            raise self.error("a bound for each channel is not supported", "use one number")
        return float(value.flat[0])

    def image(self, index: int = 0) -> Image:
        """Input ``index`` as an image, channels last."""
        tensor = self.tensor(index)
        rank = len(tensor.shape)
        if rank not in (3, 4):
            raise self.error(
                f"its input {tensor.shape} is neither an image nor a sequence",
                "use one or two axes behind those of batch and channels",
            )
        if rank == 4 and tensor.shape[0] != 1:
            raise self.error(f"its input {tensor.shape} is {tensor.shape[0]} images", "export it with a batch of 1")
        last = self.arranged(tensor, channels_last(tensor.shape))
        if rank == 4:
            return Image(last.node, Size(*last.stored[:2]), tensor.shape[1], 2)
        batch, channels, length = tensor.shape
        row = last.node if batch > 1 else self.view(self.moves.reshape((1, length, channels)), last.node)
        return Image(row, Size(batch, length), channels, 1)

    def from_image(self, node: str, size: Size, channels: int, axes: int) -> Tensor:
        """The tensor of a node (H, W, C); of a sequence where the image that it came from was one."""
        shape = (1, channels, *size) if axes == 2 else (size.height, channels, size.width)
        if axes == 1 and size.height == 1:
            node = self.view(self.moves.reshape((size.width, channels)), node)
        return Tensor(node, shape, channels_last(shape))

    def pair(self, key: str, axes: int, default: Any = 1) -> Size:
        """A height and a width; of sequences the width."""
        values = self.integers(key, [default] * axes, 1) if default is not None else self.integers(key, least=1)
        if len(values) != axes:
            raise self.error(f"{key} has {len(values)} numbers for {axes} axes")
        return Size(*values) if axes == 2 else Size(1, values[0])

    def window_padding(self, image: Image, kernel: Size, strides: Size, dilation: Size = Size(1, 1)) -> Padding:
        """Explicit padding of a window that slides over the image."""
        kind = self.text("auto_pad", "NOTSET")
        if kind in ("SAME_UPPER", "SAME_LOWER"):
            padding = same_padding(image.size, kernel, strides, dilation)
            if kind == "SAME_LOWER":
                padding = Padding(padding.bottom, padding.top, padding.right, padding.left)
            return padding
        if kind not in ("NOTSET", "VALID"):
            raise self.error(f"auto_pad {kind[:60]!r} is unknown")
        return self.edges(
            self.integers("pads", [0] * 2 * image.axes, 0) if kind == "NOTSET" else [0] * 2 * image.axes, image
        )

    def transposed_padding(self, image: Image, kernel: Size, strides: Size, wider: Size) -> Padding:
        """What a transposed convolution leaves out at each side; ``wider`` is output_padding."""
        kind = self.text("auto_pad", "NOTSET")
        if kind not in ("SAME_UPPER", "SAME_LOWER"):
            return self.window_padding(image, kernel, strides)
        total = [max(span - stride + more, 0) for span, stride, more in zip(kernel, strides, wider, strict=True)]
        less, more = [one // 2 for one in total], [one - one // 2 for one in total]
        first, last = (less, more) if kind == "SAME_UPPER" else (more, less)
        return Padding(first[0], last[0], first[1], last[1])

    def edges(self, pads: Sequence[int], image: Image) -> Padding:
        """Padding from ONNX's list: the starts of all axes, then the ends."""
        if len(pads) != 2 * image.axes:
            raise self.error(f"pads has {len(pads)} numbers for {image.axes} axes")
        return Padding(pads[0], pads[2], pads[1], pads[3]) if image.axes == 2 else Padding(0, 0, pads[0], pads[1])

    def rounded_up(self, image: Image, kernel: Size, strides: Size, padding: Padding) -> Padding:
        """``padding`` with as much more at the end as ceil_mode asks for: windows begin inside the image, or before it."""
        if not self.integer("ceil_mode", 0):
            return padding
        more = []
        for size, before, after, span, stride in (
            (image.size.height, padding.top, padding.bottom, kernel.height, strides.height),
            (image.size.width, padding.left, padding.right, kernel.width, strides.width),
        ):
            count = max(-(-(size + before + after - span) // stride) + 1, 1)
            if (count - 1) * stride >= size + before:
                count -= 1
            more.append((count - 1) * stride + span - size - before)
        return Padding(padding.top, max(more[0], padding.bottom), padding.left, max(more[1], padding.right))

    def positions(self, image: Image, kernel: Size, strides: Size, dilation: Size, padding: Padding) -> Size:
        """Height and width of what a window makes of the image."""
        span = extent(kernel, dilation)
        out = window_positions(image.size, kernel, strides, dilation, padding)
        if min(out) < 1 or math.prod(span) > _MAX_INTEGER:
            raise self.error(f"a window of {tuple(span)} does not fit into {tuple(image.size)}")
        return out

    def aligned(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Tensors of one rank and one order, as ONNX broadcasts them: axes of size 1 in front where there are fewer."""
        if len({(one.shape, one.order, one.listed) for one in tensors}) == 1:
            return tensors
        rank = max(len(one.shape) for one in tensors)
        same = [
            self.reshaped(self.plain(one) if one.listed else one, (1,) * (rank - len(one.shape)) + one.shape)
            for one in tensors
        ]
        large = [axis for axis in range(rank) if any(one.shape[axis] != 1 for one in same)]
        order = layout.completed(max(same, key=lambda one: math.prod(one.shape)).order, large)
        return tuple(self.arranged(one, order) for one in same)

    def by_channel(self, tensor: Tensor, constant: Array) -> tuple[Tensor, Array]:
        """The tensor, and a constant (C,) or of one element that is broadcast to it, along the axis that is stored last."""
        if constant.ndim > len(tensor.shape):
            tensor = self.reshaped(tensor, (1,) * (constant.ndim - len(tensor.shape)) + tensor.shape)
        if constant.size == 1:
            return tensor, constant.reshape(1)
        full = (1,) * (len(tensor.shape) - constant.ndim) + constant.shape
        varying = [axis for axis, size in enumerate(full) if size != 1]
        if len(varying) != 1 or full[varying[0]] != tensor.shape[varying[0]]:
            raise self.error(
                f"a constant of shape {constant.shape} for {tensor.shape} is not supported",
                "use a number, or one for each channel",
            )
        values = constant.ravel()
        if tensor.listed is not None:
            return tensor, values[tensor.places()]
        return self.last(tensor, varying[0]), values
