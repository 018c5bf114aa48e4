"""Product of tensors, element by element, as squeeze-and-excitation scales channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape, integer_clip
from ggdq_mcu.graph.overlap import elementwise
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.graph.strides import aligned, broadcast_loops, broadcast_shape
from ggdq_mcu.operators.activation import Activation, fused
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.affine import affine_node, affine_nodes, affine_tensor, channel_constant
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.shared.onnx_quantized import dequantized, fake_quantized_range, integers, limits
from ggdq_mcu.operators.shared.rescale import channel_multipliers, channel_parameters, halves
from ggdq_mcu.sources.keras import TENSOR, KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
_ROOTS = {0.5: "square_root", -1.0: "reciprocal"}


def from_keras(layer: KerasLayer) -> list[Node]:
    """Multiply, of two tensors or more: the first two, then each with the product so far."""
    product, nodes = layer.inputs[0], []
    for position, factor in enumerate(layer.inputs[1:], 2):
        name = layer.name if position == len(layer.inputs) else layer.auxiliary(f"product_{position}")
        nodes.append(Node(name, Multiply(), (product, factor)))
        product = name
    if not nodes:
        raise layer.error("needs at least two inputs")
    return nodes


def from_operation(layer: KerasLayer) -> list[Node]:
    """Multiply, of two tensors, or of a tensor and a number for all or each of its channels."""
    first, second = layer.two_arguments()
    if first is TENSOR and second is TENSOR:
        return [layer.node(Multiply())]
    return [affine_node(layer, second if first is TENSOR else first, 0.0)]


def from_operation_square(layer: KerasLayer) -> list[Node]:
    """Square: the product of a tensor and itself."""
    return [Node(layer.name, Multiply(), (layer.source, layer.source))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """MUL, of two tensors, or of a tensor and a constant that is broadcast to it."""
    if op.is_constant(0) or op.is_constant(1):
        return fused(op, affine_nodes(op, op.constant(0 if op.is_constant(0) else 1), 0.0))
    return fused(op, [op.node(Multiply())])


def from_tflite_divide(op: TFLiteOperator) -> list[Node]:
    """DIV, of two tensors (by way of a table of reciprocals), or of a tensor and a constant that is broadcast to it."""
    return fused(op, _quotient(op))


def from_tflite_whole(op: TFLiteOperator) -> list[Node]:
    """FLOOR_DIV and FLOOR_MOD, of two tensors, or by a constant: a - b * floor(a / b) is the remainder."""
    *before, last = _quotient(op)
    ratio = replace(last, name=op.auxiliary("ratio"))
    if op.kind == "FLOOR_DIV":
        return [*before, ratio, Node(op.name, Activation("floor"), (ratio.name,))]
    if len(op.inputs) == 1:
        value = op.constant(1) if op.is_constant(1) else np.zeros(0)
        if value.size != 1 or not value.flat[0]:
            raise op.error("is not the remainder of two tensors, or of a tensor and one number", "divide by one number")
        return [Node(op.name, Activation("modulo", float(value.flat[0])), (op.source,))]
    first, second = op.inputs
    whole = Node(op.auxiliary("whole"), Activation("floor"), (ratio.name,))
    product = Node(op.auxiliary("product"), Multiply(), (second, whole.name))
    return [*before, ratio, whole, product, Node(op.name, Add(signs=(1, -1)), (first, product.name))]


def _quotient(op: TFLiteOperator) -> list[Node]:
    if op.is_constant(1):
        with np.errstate(divide="ignore"):  # what is not finite is refused
            return affine_nodes(op, 1 / op.constant(1).astype(np.float64), 0.0)
    inverse = Node(op.auxiliary("reciprocal"), Activation("reciprocal"), (op.inputs[-1],))
    if not op.is_constant(0):
        return [inverse, Node(op.name, Multiply(), (op.inputs[0], inverse.name))]
    numerator = op.constant(0)
    if numerator.size != 1:
        raise op.error(f"divides a constant of shape {numerator.shape} by a tensor", "divide one number")
    scaled = affine_node(op, float(numerator.flat[0]), 0.0)
    return [inverse, replace(scaled, inputs=(inverse.name,))]


def from_tflite_square(op: TFLiteOperator) -> list[Node]:
    """SQUARE and SQUARED_DIFFERENCE, of two tensors, or of a tensor and a constant for all or each of its channels."""
    if op.kind == "SQUARE":
        return [Node(op.name, Multiply(), (op.source, op.source))]
    constants = [position for position in (0, 1) if op.is_constant(position)]
    whole = op.node(Add(signs=(1, -1))) if not constants else affine_node(op, 1.0, -channel_constant(op, constants[0]))
    difference = replace(whole, name=op.auxiliary("difference"))
    return [difference, Node(op.name, Multiply(), (difference.name, difference.name))]


def from_onnx(op: OnnxOperator) -> Tensor:
    """Mul and Div, of two tensors, or of a tensor and a number or one for each channel; a divisor becomes a table."""
    divides = op.kind == "Div"
    if op.is_constant(1):
        factor = op.constant(1, "second input").astype(np.float64)
        with np.errstate(divide="ignore"):  # what is not finite is refused
            return affine_tensor(op, op.tensor(0), 1 / factor if divides else factor, 0.0)
    second = op.tensor(1)
    if divides:
        second = second.of(op.add(Activation("reciprocal"), second.node, suffix="reciprocal"))
    if op.is_constant(0):
        return affine_tensor(op, second, op.constant(0, "first input"), 0.0)
    return op.joined(Multiply(), *op.aligned(op.tensor(0), second))


def from_onnx_quantize(op: OnnxOperator) -> Tensor:
    """QuantizeLinear: the range of its integers is kept, which the layer in front of it takes over."""
    steps, low, high = limits(op)
    low, high = (low - steps.zero) * steps.scale, (high - steps.zero) * steps.scale
    tensor = integers(op, op.tensor())
    return replace(tensor.of(op.add(Clip(low=low, high=high), tensor.node)), steps=steps)


def from_onnx_dequantize(op: OnnxOperator) -> Tensor:
    """DequantizeLinear, of what QuantizeLinear made, or of integers."""
    return dequantized(op)


def from_onnx_quant(op: OnnxOperator) -> Tensor:
    """Quant of Brevitas and QONNX: its range is kept."""
    low, high = fake_quantized_range(op)
    return op.tensor().of(op.add(Clip(low=low, high=high), op.tensor().node))


def from_onnx_power(op: OnnxOperator) -> Tensor:
    """Pow, to the constant 2, 3, 0.5 or -1."""
    tensor, exponent = op.tensor(0), op.constant(1, "exponent")
    power = float(exponent.flat[0]) if exponent.size == 1 else 0.0
    if power in _ROOTS:
        return tensor.of(op.add(Activation(_ROOTS[power]), tensor.node))
    if power not in (2.0, 3.0):
        raise op.error("an exponent other than 2, 3, 0.5 or -1 is not supported")
    suffix = "" if power == 2 else "square"
    square = op.add(Multiply(), tensor.node, tensor.node, suffix=suffix)
    return tensor.of(square if power == 2 else op.add(Multiply(), square, tensor.node))


@dataclass(frozen=True)
class Multiply(Operator):
    """Element-wise product of two tensors; shapes are broadcast, aligned at the last axis.

    q_out = clip((m * (q_a - z_a) * (q_b - z_b) + r) >> n); constants ``multiplier``, ``offset``, ``shift``: (C,) where
    steps are by channel, else (1,).
    """

    fuses_clip: ClassVar[bool] = True
    takes_channel_steps: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"Multiply": from_keras}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Multiply": from_operation,
        "Square": from_operation_square,
    }
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "DIV": from_tflite_divide,
        "FLOOR_DIV": from_tflite_whole,
        "FLOOR_MOD": from_tflite_whole,
        "MUL": from_tflite,
        "SQUARE": from_tflite_square,
        "SQUARED_DIFFERENCE": from_tflite_square,
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "DequantizeLinear": from_onnx_dequantize,
        "Quant": from_onnx_quant,
        "QuantizeLinear": from_onnx_quantize,
        "Div": from_onnx,
        "Mul": from_onnx,
        "Pow": from_onnx_power,
    }

    @property
    def gives_channel_steps(self) -> bool:
        return True

    def output_shape(self, *shapes: Shape) -> Shape:
        first, second = shapes
        return broadcast_shape((first, second))

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return RowWindow()

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        first, second = aligned(inputs)
        return self.clip(first * second)

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        first, second = (np.asarray(source.step, np.float64) for source in inputs)
        ratio = np.atleast_1d(first * second / output.step)
        largest = prod(max(source.high - source.zero_point, source.zero_point - source.low) for source in inputs)
        wide = any(source.bits > 8 for source in inputs)
        m, shift = channel_multipliers(ratio, largest, output, 61 if wide else 30)
        return {"multiplier": m, "offset": halves(shift) + (np.int64(output.zero_point) << shift), "shift": shift}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        centred = [q.astype(np.int64) - source.zero_point for q, source in zip(inputs, formats, strict=True)]
        first, second = aligned(centred)
        scaled = constants["multiplier"] * (first * second) + constants["offset"]
        result: Array = np.clip(scaled >> constants["shift"], *integer_clip(self, output)).astype(output.dtype)
        return result

    def macs(self, shapes: Sequence[Shape]) -> int:
        return prod(self.output_shape(*shapes))

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        wide = any(source.bits > 8 for source in layer.sources)
        arrays, parameters = channel_parameters(self, layer.constants, layer.output, wide)
        channels = [layer.shape[-1:]] if arrays else []
        parameters["loops"] = broadcast_loops([*layer.shapes, *channels], layer.shape)
        cost = 14 * prod(layer.shape)
        overlaps = elementwise(layer)
        template = f"operators/{self.name}.c.j2"
        return [Kernel("portable", template, parameters, arrays, instructions=cost, overlaps=overlaps)]
