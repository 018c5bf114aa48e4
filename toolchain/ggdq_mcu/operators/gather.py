"""Positions of an axis in any order, some left out or repeated: reversed axes, mirrored edges, constant indices."""

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
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.slice import onnx_part
from ggdq_mcu.sources.onnx_layout import completed
from ggdq_mcu.sources.tflite import TFLiteOperator, without_batch
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
_MOST_PLACES = 1 << 16  # of 16 bits each on the device


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """GATHER, of constant indices along one axis."""
    if op.integer("BatchDims", 0, 0) > op.data.batched:
        raise op.error("batch_dims is not supported", "gather along one axis with the same indices everywhere")
    indices, whole = _indices(op), op.data.shape
    axis = op.axis(op.integer("Axis", 0, -8))
    if op.integer("BatchDims", 0, 0):
        indices = indices.reshape(indices.shape[1:])
    shape = (*whole[:axis], *indices.shape, *whole[axis + 1 :])
    places = _within(op, indices, whole[axis])
    return _along(op, axis, places, shape)


def from_tflite_points(op: TFLiteOperator) -> list[Node]:
    """GATHER_ND, of constant indices."""
    indices, whole = _indices(op), op.data.shape
    depth = indices.shape[-1] if indices.ndim else 0
    if not 1 <= depth <= len(whole):
        raise op.error(f"indices of shape {indices.shape} do not fit {whole}")
    columns = [_within(op, indices[..., i], whole[i]) for i in range(depth)]
    places = np.ravel_multi_index(columns, whole[:depth])
    flat = ("flat", Reshape((prod(whole[:depth]), prod(whole[depth:]))))
    shaped = ("shaped", Reshape(without_batch((*indices.shape[:-1], *whole[depth:]))))
    return op.chain([flat, ("gathered", Gather(-2, tuple(places.ravel().tolist()))), shaped])


def from_tflite_reversed(op: TFLiteOperator) -> list[Node]:
    """REVERSE_V2, of constant axes."""
    whole = op.data.shape
    axes = sorted({op.axis(axis) for axis in op.integers(1)})
    steps = [(f"axis_{axis}", Gather(axis - len(whole), tuple(range(whole[axis]))[::-1])) for axis in axes
             if whole[axis] > 1]  # fmt: skip
    return op.chain(steps or [("same", Reshape(op.shape))])


def from_tflite_mirrored(op: TFLiteOperator) -> list[Node]:
    """MIRROR_PAD, with or without the edge itself (SYMMETRIC or REFLECT), of any axes."""
    whole, width = op.data.shape, op.integers(1)
    edge = op.integer("Mode", 0, 0)
    if edge not in (0, 1) or len(width) != 2 * len(whole):
        raise op.error(f"padding {width} or mode {edge} does not fit {whole}")
    steps = []
    for axis, size in enumerate(whole):
        before, after = width[2 * axis : 2 * axis + 2]
        if not 0 <= min(before, after) <= max(before, after) < size + edge:
            raise op.error(f"padding {before}, {after} does not fit an axis of {size}")
        if before or after:
            places = mirrored(size, before, after, bool(edge))
            steps.append((f"axis_{axis}", Gather(axis - len(whole), places)))
    return op.chain(steps or [("same", Reshape(op.shape))])


def from_onnx(op: OnnxOperator) -> Tensor:
    """Gather, of constant indices along one axis; those in equal steps are a slice."""
    tensor, indices = op.tensor(), op.constant(1, "indices")
    axis = op.axis(op.integer("axis", 0), len(tensor.shape))
    size = tensor.shape[axis]
    if indices.dtype.kind not in "iu" or not 0 < indices.size <= _MOST_PLACES:
        raise op.error(f"its indices of type {indices.dtype} and shape {indices.shape} are not integers")
    places = np.where(indices < 0, indices.astype(np.int64) + size, indices).ravel()
    if np.any((places < 0) | (places >= size)):
        raise op.error(f"an index in {int(places.min())}..{int(places.max())} is outside of an axis of {size}")
    steps = np.unique(np.diff(places))
    if steps.size <= 1 and (not steps.size or steps[0] > 0):
        part = onnx_part(
            op, tensor, {axis: slice(int(places[0]), int(places[-1]) + 1, int(steps[0]) if steps.size else 1)}
        )
    else:
        part = onnx_along(op, tensor, axis, places)
    return op.reshaped(part, (*part.shape[:axis], *indices.shape, *part.shape[axis + 1 :]))


def onnx_along(op: OnnxOperator, tensor: Tensor, axis: int, places: Array) -> Tensor:
    """The tensor with these positions of one axis."""
    if len(places) > _MOST_PLACES:
        raise op.error(f"{len(places)} positions of an axis; at most {_MOST_PLACES} are supported")
    tensor = op.plain(tensor) if tensor.listed is not None else tensor
    tensor = op.arranged(tensor, completed(tensor.order, [axis]))
    gather = Gather(tensor.order.index(axis) - len(tensor.order), tuple(int(place) for place in places))
    shape = (*tensor.shape[:axis], len(places), *tensor.shape[axis + 1 :])
    return replace(tensor, node=op.add(gather, tensor.node), shape=shape)


def from_onnx_tile(op: OnnxOperator) -> Tensor:
    """Tile, by constant numbers."""
    tensor, repeats = op.tensor(), op.integer_list(1, "repeats")
    if len(repeats) != len(tensor.shape) or any(not 1 <= one <= _MOST_PLACES for one in repeats):
        raise op.error(f"repeats {repeats[:8]} do not fit {tensor.shape}")
    for axis, count in enumerate(repeats):
        if count > 1:
            tensor = onnx_along(op, tensor, axis, np.tile(np.arange(tensor.shape[axis]), count))
    return tensor


def mirrored(size: int, before: int, after: int, edge: bool) -> tuple[int, ...]:
    """The positions of an axis with mirrored ones on both sides; ``edge``: the first and the last one are, too."""
    first = range(before - edge, -edge, -1)
    last = range(size - 2 + edge, size - 2 + edge - after, -1)
    return (*first, *range(size), *last)


def _indices(op: TFLiteOperator) -> Array:
    """The constant indices of the second input."""
    if not op.is_constant(1):
        raise op.error("its indices are computed, which is not supported", "gather constant indices")
    indices = op.raw(1)
    if indices.dtype.kind not in "iu" or not 0 < indices.size <= _MOST_PLACES:
        raise op.error(
            f"its indices of type {indices.dtype} and shape {indices.shape} are not 1..{_MOST_PLACES} integers"
        )
    return indices.astype(np.int64)


def _within(op: TFLiteOperator, indices: Array, size: int) -> Array:
    """Indices, negative ones counted from the end."""
    if np.any((indices < 0) | (indices >= size)):
        raise op.error(f"an index in {int(indices.min())}..{int(indices.max())} is outside of an axis of {size}")
    return indices


def _along(op: TFLiteOperator, axis: int, places: Array, shape: Shape) -> list[Node]:
    """Positions of one axis of the input, an axis of the file's shape; the output has this ``shape`` in the file."""
    whole = op.data.shape
    if axis < op.data.batched:
        if np.any(places):
            raise op.error("gathers along the batch", "convert the network for a batch of 1")
        return op.chain([("shaped", Reshape(without_batch(shape)))])
    gathered = Gather(axis - len(whole), tuple(places.ravel().tolist()))
    return op.chain([("gathered", gathered), ("shaped", Reshape(without_batch(shape)))])


@dataclass(frozen=True)
class Gather(Operator):
    """The positions ``places`` of an axis, in their order; the axis is counted from the end, -1 is the channels."""

    axis: int
    places: tuple[int, ...]

    takes_channel_steps: ClassVar[bool] = True
    keeps_format: ClassVar[bool] = True
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "GATHER": from_tflite,
        "GATHER_ND": from_tflite_points,
        "MIRROR_PAD": from_tflite_mirrored,
        "REVERSE_V2": from_tflite_reversed,
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Gather": from_onnx, "Tile": from_onnx_tile}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        kind: moving(convert) for kind, convert in tflite_operators.items()
    }

    def _details(self) -> str:
        return f" {len(self.places)} along axis {self.axis}"

    def output_shape(self, *shapes: Shape) -> Shape:
        axis = len(shapes[0]) + self.axis
        if axis < 0 or min(self.places) < 0 or max(self.places) >= shapes[0][axis]:
            raise ValueError(
                f"no positions {min(self.places)}..{max(self.places)} along axis {self.axis} of {shapes[0]}"
            )
        return (*shapes[0][:axis], len(self.places), *shapes[0][axis + 1 :])

    def channel_sources(self, shapes: Sequence[Shape]) -> tuple[Array, ...]:
        return (np.array(self.places) if self.axis == -1 else np.arange(shapes[0][-1]),)

    def with_channels(
        self, constants: Mapping[str, Array], inputs: Sequence[Array], output: Array, shapes: Sequence[Shape]
    ) -> tuple[Operator, Mapping[str, Array]]:
        if self.axis != -1:
            return self, constants
        left = np.searchsorted(inputs[0], np.array(self.places)[output])
        return Gather(-1, tuple(left.tolist())), constants

    def carry_step(self, step: Array, shapes: Sequence[Shape]) -> Array | None:
        return step[np.array(self.places)] if self.axis == -1 else step

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        if axis == self.axis:
            raise ValueError("it puts rows into another order")
        return RowWindow()

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.take(inputs[0], self.places, axis=self.axis)

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        return np.take(inputs[0], self.places, axis=self.axis)

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        (shape,) = layer.shapes
        axis = len(shape) + self.axis
        run, rows = prod(shape[axis + 1 :]), prod(shape[:axis])
        parameters = {"rows": rows, "run": run, "size": shape[axis]}
        arrays = {"places": np.array(self.places, np.uint16)}
        cost = rows * len(self.places) * (9.0 + (run if run > 1 else 0))
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, arrays, instructions=cost)]
