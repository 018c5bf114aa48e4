"""Values repeated along axes of size one: repeated vectors, enlarged images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.rows import RowPadding, RowWindow, replaced
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.copy import Copy
from ggdq_mcu.sources import onnx_layout as layout
from ggdq_mcu.sources.keras import MAX_ELEMENTS, KerasLayer
from ggdq_mcu.sources.tflite import Origin, TFLiteOperator, without_batch
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras_repeat(layer: KerasLayer) -> list[Node]:
    """RepeatVector."""
    if len(layer.shape) != 1:
        raise layer.error(f"its input {layer.shape} is not a vector")
    return [layer.node(Broadcast((layer.integer("n"), *layer.shape)))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """BROADCAST_TO, to a shape that is known before the network runs."""
    return [op.node(Broadcast(without_batch(tuple(op.integers(1)))))]


def tflite_filled(op: TFLiteOperator) -> Array:
    """FILL of a constant shape with a constant number."""
    value = op.raw(1)
    if value.size != 1:
        raise op.error(f"its value has {value.size} elements", "fill with one number")
    return np.broadcast_to(value.reshape(()), _sizes(op, op.integers(0)))  # no memory, whatever the size


def tflite_zeros(op: TFLiteOperator) -> Array:
    """ZEROS_LIKE."""
    return np.broadcast_to(np.zeros((), op.outputs[0].dtype), op.tensor(0).shape)


def tflite_shape(op: TFLiteOperator) -> Array:
    """SHAPE."""
    return np.array(op.tensor(0).shape, op.outputs[0].dtype)


def tflite_joint_shape(op: TFLiteOperator) -> Array:
    """BROADCAST_ARGS, of constant shapes."""
    try:
        return np.array(np.broadcast_shapes(op.integers(0), op.integers(1)), op.outputs[0].dtype)
    except ValueError as error:
        raise op.error(f"shapes do not fit ({error})") from error


def _sizes(op: TFLiteOperator, sizes: list[int]) -> tuple[int, ...]:
    if min(sizes, default=1) < 1 or prod(sizes) > MAX_ELEMENTS:
        raise op.error(f"shape {sizes} is not one of 1..{MAX_ELEMENTS} elements")
    return tuple(sizes)


def nearest(layer: Origin, factors: tuple[int, int]) -> list[Node]:
    """An image with every pixel ``factors`` times, down and across."""
    height, width, channels = layer.shape
    down, across = factors
    apart = Node(layer.auxiliary("pixels"), Reshape((height, 1, width, 1, channels)), (layer.source,))
    repeated = Node(layer.auxiliary("repeated"), Broadcast((height, down, width, across, channels)), (apart.name,))
    return [apart, repeated, Node(layer.name, Reshape((height * down, width * across, channels)), (repeated.name,))]


def from_onnx(op: OnnxOperator) -> Tensor:
    """Expand, to a constant shape."""
    tensor = op.tensor()
    sizes = tuple(op.integer_list(1, "shape"))
    rank = max(len(sizes), len(tensor.shape))
    tensor = op.plain(tensor) if tensor.listed is not None else tensor
    tensor = op.reshaped(tensor, (1,) * (rank - len(tensor.shape)) + tensor.shape)
    try:
        shape = np.broadcast_shapes(tensor.shape, sizes)
    except ValueError as error:
        raise op.error(f"cannot expand {tensor.shape} to {sizes}") from error
    if shape == tensor.shape:
        return tensor
    order = layout.completed(tensor.order, [axis for axis, size in enumerate(shape) if size != 1])
    result = replace(op.arranged(tensor, order), shape=shape)
    tensor = op.arranged(tensor, order)
    return result.of(op.add(Broadcast(result.stored), tensor.node))


@dataclass(frozen=True)
class Broadcast(Copy):
    """The input repeated to ``shape``, aligned at the last axis: along axes of size 1, and along axes that it lacks."""

    shape: tuple[int, ...]

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"RepeatVector": from_keras_repeat}
    tflite_constants: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "BROADCAST_ARGS": tflite_joint_shape,
        "FILL": tflite_filled,
        "SHAPE": tflite_shape,
        "ZEROS_LIKE": tflite_zeros,
    }
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"BROADCAST_TO": from_tflite}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        kind: moving(convert) for kind, convert in tflite_operators.items()
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Expand": from_onnx}

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return RowWindow()

    def for_rows(
        self, axis: int, rows: range, padding: RowPadding, constants: Mapping[str, Array]
    ) -> tuple[Operator, Mapping[str, Array]]:
        return replace(self, shape=replaced(self.shape, axis, len(rows))), constants

    def view(self, batch: Array) -> Array:
        missing = len(self.shape) + 1 - batch.ndim
        return np.broadcast_to(batch.reshape(len(batch), *(1,) * missing, *batch.shape[1:]), (len(batch), *self.shape))
