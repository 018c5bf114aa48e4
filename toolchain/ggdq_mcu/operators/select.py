"""One of two tensors' values, element by element, as a third one says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape, scalar_clip
from ggdq_mcu.graph.overlap import elementwise
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.graph.strides import aligned, broadcast_loops, broadcast_shape
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.affine import affine_tensor
from ggdq_mcu.operators.multiply import Multiply
from ggdq_mcu.operators.shared.rescale import half, multipliers
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, format_of, kept

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """SELECT and SELECT_V2, of two tensors."""
    if len(op.tensors) != 3 or len(op.inputs) != 3:
        raise op.error("chooses between a tensor and a constant, which is not supported", "choose between two tensors")
    condition = op.tensor(0)
    if op.kind == "SELECT" and condition.shape != op.tensor(1).shape:
        raise op.error(
            f"a condition of shape {condition.shape} for {op.tensor(1).shape} is not supported", "use SELECT_V2"
        )
    return [op.node(Select())]


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """SELECT and SELECT_V2, of two tensors of the same scale."""
    (node,) = from_tflite(op)
    output = format_of(op, op.outputs[0])
    if any(format_of(op, op.tensor(position)) != output for position in (1, 2)):
        raise op.error("its tensors have different scales, which cannot be kept", WITHOUT)
    forms = [format_of(op, op.tensor(position)) for position in range(3)]
    shapes = [op.tensor(position).inner for position in range(3)]
    return [kept(op, node.operator, node.operator.lower({}, forms, output, shapes))]


def from_onnx(op: OnnxOperator) -> Tensor:
    """Where: of tensors; constants among its three inputs become factors and offsets."""
    if op.is_constant(0):
        mask = (op.constant(0, "condition") != 0).astype(np.float64)
        return _sum(op, _times(op, 1, mask), _times(op, 2, 1 - mask))
    condition = op.tensor(0)
    if not op.is_constant(1) and not op.is_constant(2):
        condition, first, second = op.aligned(condition, op.tensor(1), op.tensor(2))
        shape = np.broadcast_shapes(condition.shape, first.shape, second.shape)
        return replace(condition, node=op.add(Select(), condition.node, first.node, second.node), shape=shape)
    other = affine_tensor(op, condition, -1.0, 1.0)
    return _sum(op, _chosen(op, 1, condition), _chosen(op, 2, other))


def _times(op: OnnxOperator, index: int, mask: Array) -> Tensor | Array:
    """An input where a constant mask is 1, else 0."""
    if op.is_constant(index):
        return np.where(mask != 0, op.weights(index, "operand"), 0.0)
    return affine_tensor(op, op.tensor(index), mask, 0.0)


def _chosen(op: OnnxOperator, index: int, condition: Tensor) -> Tensor:
    """An input where the condition is 1, else 0."""
    if op.is_constant(index):
        return affine_tensor(op, condition, op.weights(index, "operand"), 0.0)
    return op.joined(Multiply(), *op.aligned(condition, op.tensor(index)))


def _sum(op: OnnxOperator, first: Tensor | Array, second: Tensor | Array) -> Tensor:
    if isinstance(first, np.ndarray):
        first, second = second, first
    if isinstance(first, np.ndarray):
        raise op.error("computes with constants alone, in a way that is not supported")
    if isinstance(second, np.ndarray):
        return affine_tensor(op, first, 1.0, second)
    return op.joined(Add(), *op.aligned(first, second))


@dataclass(frozen=True)
class Select(Operator):
    """The second tensor's value where the first one's is not 0, else the third one's; shapes are broadcast.

    q_out = clip((m_i * q_i + r_i) >> n) of the chosen one; constants ``multiplier`` and ``offset`` (2,), ``shift``.
    """

    fuses_clip: ClassVar[bool] = True
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"SELECT": from_tflite, "SELECT_V2": from_tflite}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"SELECT": keep_tflite, "SELECT_V2": keep_tflite}

    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Where": from_onnx}

    def output_shape(self, *shapes: Shape) -> Shape:
        condition, first, second = shapes
        return broadcast_shape((condition, first, second))

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return RowWindow()

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        condition, first, second = aligned(inputs)
        return self.clip(np.where(condition != 0, first, second))

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        chosen = inputs[1:]
        ratios = np.array([float(source.step) / float(output.step) for source in chosen])
        span = max(max(abs(f.low), f.high) + abs(f.zero_point) for f in chosen)
        m, shift = multipliers(ratios, span, output)
        zeros = np.array([source.zero_point for source in chosen])
        return {
            "multiplier": m,
            "offset": half(shift) + (output.zero_point << shift) - m * zeros,
            "shift": np.array(shift),
        }

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        condition, *chosen = (q.astype(np.int64) for q in aligned(inputs))
        first, second = (
            (m * q + r) >> constants["shift"]
            for m, q, r in zip(constants["multiplier"], chosen, constants["offset"], strict=True)
        )
        value = np.where(condition != formats[0].zero_point, first, second)
        return np.asarray(np.clip(value, *scalar_clip(self, output)).astype(output.dtype))

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        low, high = scalar_clip(self, layer.output)
        parameters = {key: value.tolist() for key, value in layer.constants.items()} | {"low": low, "high": high}
        parameters["loops"] = broadcast_loops(layer.shapes, layer.shape)
        cost, overlaps = 14 * prod(layer.shape), elementwise(layer)
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, instructions=cost, overlaps=overlaps)]
