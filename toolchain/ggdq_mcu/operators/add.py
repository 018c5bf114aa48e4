"""Sum, difference and average of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.bounds import Bounds
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape, scalar_clip
from ggdq_mcu.graph.overlap import elementwise
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.graph.strides import aligned, broadcast_loops, broadcast_shape
from ggdq_mcu.operators.activation import fused
from ggdq_mcu.operators.affine import affine_node, affine_nodes, affine_tensor
from ggdq_mcu.operators.shared.rescale import half, multipliers, step_ratio
from ggdq_mcu.sources.keras import TENSOR, KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """Add, of two tensors or more."""
    return [layer.node(Add())]


def from_keras_subtract(layer: KerasLayer) -> list[Node]:
    """Subtract, of two tensors."""
    if len(layer.inputs) != 2:
        raise layer.error(f"has {len(layer.inputs)} inputs instead of two")
    return [layer.node(Add(signs=(1, -1)))]


def from_keras_average(layer: KerasLayer) -> list[Node]:
    """Average, of two tensors or more."""
    return [layer.node(Add(divisor=len(layer.inputs)))]


def from_operation(layer: KerasLayer) -> list[Node]:
    """Add and Subtract, of two tensors, or of a tensor and a number for all or each of its channels."""
    first, second = layer.two_arguments()
    sign = -1 if layer.class_name == "Subtract" else 1
    if first is not TENSOR:
        return [affine_node(layer, sign, first)]
    if second is not TENSOR:
        return [affine_node(layer, 1.0, sign * second)]
    return [layer.node(Add(signs=(1, -1) if sign < 0 else ()))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """ADD and SUB, of two tensors, or of a tensor and a constant that is broadcast to it."""
    sign = -1 if op.kind == "SUB" else 1
    if op.is_constant(0):
        return fused(op, affine_nodes(op, sign, op.constant(0)))
    if op.is_constant(1):
        return fused(op, affine_nodes(op, 1.0, sign * op.constant(1)))
    return fused(op, [op.node(Add(signs=(1, -1) if sign < 0 else ()))])


def from_tflite_several(op: TFLiteOperator) -> list[Node]:
    """ADD_N, of two tensors or more."""
    return [op.node(Add())]


def from_onnx(op: OnnxOperator) -> Tensor:
    """Add and Sub, of two tensors, or of a tensor and a number or one for each channel."""
    sign = -1 if op.kind == "Sub" else 1
    if op.is_constant(0):
        return affine_tensor(op, op.tensor(1), sign, op.constant(0, "first input"))
    if op.is_constant(1):
        return affine_tensor(op, op.tensor(0), 1.0, sign * op.constant(1, "second input").astype(np.float64))
    first, second = op.aligned(op.tensor(0), op.tensor(1))
    return op.joined(Add(signs=(1, -1) if sign < 0 else ()), first, second)


def from_onnx_several(op: OnnxOperator) -> Tensor:
    """Sum and Mean, of any number of tensors."""
    tensors = op.aligned(*op.tensors())
    if len(tensors) == 1:
        return tensors[0]
    return op.joined(Add(divisor=len(tensors) if op.kind == "Mean" else 1), *tensors)


@dataclass(frozen=True)
class Add(Operator):
    """Element-wise sum of two or more tensors, each with its sign (all +1 where there are none), over ``divisor``.

    Shapes are broadcast, aligned at the last axis.
    q_out = clip((sum of m_i * q_i + r) >> n); ``multiplier`` (inputs,) holds m, ``offset`` r and ``shift`` n.
    """

    signs: tuple[int, ...] = ()
    divisor: int = 1

    fuses_clip: ClassVar[bool] = True
    takes_channel_steps: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Add": from_keras,
        "Average": from_keras_average,
        "Subtract": from_keras_subtract,
    }
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"Add": from_operation, "Subtract": from_operation}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "ADD": from_tflite,
        "ADD_N": from_tflite_several,
        "SUB": from_tflite,
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Add": from_onnx,
        "Mean": from_onnx_several,
        "Sub": from_onnx,
        "Sum": from_onnx_several,
    }

    def _details(self) -> str:
        signs = "".join(" +" if sign > 0 else " -" for sign in self.signs)
        return signs + (f" / {self.divisor}" if self.divisor > 1 else "")

    @property
    def keeps_profile(self) -> bool:
        return True

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) < 2 or (self.signs and len(self.signs) != len(shapes)):
            raise ValueError(f"cannot add {len(shapes)} tensors")
        return broadcast_shape(shapes)

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return RowWindow()

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        signs = self.signs or (1,) * len(inputs)
        terms = [x if sign > 0 else -x for sign, x in zip(signs, aligned(inputs), strict=True)]
        total = sum(terms[1:], start=terms[0])
        return self.clip(total if self.divisor == 1 else (total / self.divisor).astype(inputs[0].dtype))

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        signs = np.array(self.signs or (1,) * len(inputs))
        ratios = np.array([step_ratio(source, output) for source in inputs]) * signs / self.divisor
        span = sum(max(abs(f.low), f.high) + abs(f.zero_point) for f in inputs)
        m, shift = multipliers(ratios, span, output)
        zero = sum(int(mi) * source.zero_point for mi, source in zip(m, inputs, strict=True))
        offset = half(shift) + (output.zero_point << shift) - zero
        return {"multiplier": m, "offset": np.array(offset), "shift": np.array(shift)}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        total = constants["offset"] + sum(
            m * value.astype(np.int64) for m, value in zip(constants["multiplier"], aligned(inputs), strict=True)
        )
        result: Array = np.clip(total >> constants["shift"], *scalar_clip(self, output)).astype(output.dtype)
        return result

    def bounds(
        self,
        inputs: Sequence[Bounds],
        constants: Mapping[str, Array],
        formats: Sequence[Format],
        output: Format,
        shapes: Sequence[Shape],
    ) -> Bounds:
        rising = [
            value if m >= 0 else Bounds(value.high, value.low)
            for m, value in zip(constants["multiplier"], inputs, strict=True)
        ]
        low, high = (self.compute_integer(ends, constants, formats, output) for ends in zip(*rising, strict=True))
        return Bounds(low, high)

    def channel_sources(self, shapes: Sequence[Shape]) -> tuple[Array, ...] | None:
        channels = {shape[-1] if shape else 1 for shape in shapes}
        return tuple(np.arange(shape[-1]) for shape in shapes) if len(channels) == 1 and all(shapes) else None

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        low, high = scalar_clip(self, layer.output)
        shapes = layer.shapes
        parameters = {key: value.tolist() for key, value in layer.constants.items()} | {"low": low, "high": high}
        parameters["loops"] = broadcast_loops(shapes, layer.shape)
        elements = int(np.prod(layer.shape))
        portable = Kernel(
            "portable",
            f"operators/{self.name}.c.j2",
            parameters,
            instructions=12 * elements,
            overlaps=elementwise(layer),
        )
        return [portable]
