"""The largest or smallest of several tensors' values, element by element."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape, scalar_clip
from ggdq_mcu.graph.overlap import elementwise
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.graph.strides import aligned, broadcast_loops, broadcast_shape
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.shared.rescale import half, multipliers, step_ratio
from ggdq_mcu.sources.keras import TENSOR, KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras_maximum(layer: KerasLayer) -> list[Node]:
    """Maximum, of two tensors or more."""
    return [layer.node(Extremum())]


def from_keras_minimum(layer: KerasLayer) -> list[Node]:
    """Minimum, of two tensors or more."""
    return [layer.node(Extremum(smallest=True))]


def from_operation(layer: KerasLayer) -> list[Node]:
    """Maximum and Minimum, of two tensors, or of a tensor and one number."""
    constants = [one for one in layer.two_arguments() if one is not TENSOR]
    smallest = layer.class_name == "Minimum"
    if not constants:
        return [layer.node(Extremum(smallest))]
    if constants[0].ndim:
        raise layer.error("a bound for each channel is not supported", "use one number")
    bound = float(constants[0])
    return [layer.node(Clip(high=bound) if smallest else Clip(low=bound))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """MAXIMUM and MINIMUM, of two tensors, or of a tensor and one number."""
    smallest = op.kind == "MINIMUM"
    constants = [op.constant(position) for position in (0, 1) if op.is_constant(position)]
    if not constants:
        return [op.node(Extremum(smallest))]
    if constants[0].size != 1:
        raise op.error("a bound for each channel is not supported", "use one number")
    bound = float(constants[0].flat[0])
    return [Node(op.name, Clip(high=bound) if smallest else Clip(low=bound), (op.source,))]


def from_tflite_logical(op: TFLiteOperator) -> list[Node]:
    """LOGICAL_AND and LOGICAL_OR, of two tensors: the smaller or larger of 0 and 1."""
    return [op.node(Extremum(op.kind == "LOGICAL_AND"))]


def from_onnx(op: OnnxOperator) -> Tensor:
    """Max and Min, of any number of tensors and constant numbers."""
    smallest = op.kind == "Min"
    tensors = [op.tensor(i) for i in range(len(op.inputs)) if not op.is_constant(i)]
    bounds = [op.bound(i, 0.0) for i in range(len(op.inputs)) if op.is_constant(i)]
    result = tensors[0]
    if len(tensors) > 1:
        result = op.joined(Extremum(smallest), *op.aligned(*tensors))
    if bounds:
        clip = Clip(high=min(bounds)) if smallest else Clip(low=max(bounds))
        result = result.of(op.add(clip, result.node))
    return result


@dataclass(frozen=True)
class Extremum(Operator):
    """Element-wise maximum, or minimum where ``smallest``, of two or more tensors; shapes are broadcast.

    q_out = clip(max of (m_i * q_i + r_i) >> n); constants ``multiplier`` (inputs,), ``offset`` (inputs,), ``shift``.
    """

    smallest: bool = False

    fuses_clip: ClassVar[bool] = True
    takes_channel_steps: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Maximum": from_keras_maximum,
        "Minimum": from_keras_minimum,
    }
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Maximum": from_operation,
        "Minimum": from_operation,
    }
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "LOGICAL_AND": from_tflite_logical,
        "LOGICAL_OR": from_tflite_logical,
        "MAXIMUM": from_tflite,
        "MINIMUM": from_tflite,
    }
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        kind: moving(convert) for kind, convert in tflite_operators.items()
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Max": from_onnx, "Min": from_onnx}

    @property
    def keeps_profile(self) -> bool:
        return True

    def _details(self) -> str:
        return " smallest" if self.smallest else " largest"

    def _select(self, values: Sequence[Array]) -> Array:
        chosen: Array = reduce(np.minimum if self.smallest else np.maximum, aligned(values))
        return chosen

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) < 2:
            raise ValueError("needs at least two tensors")
        return broadcast_shape(shapes)

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return RowWindow()

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return self.clip(self._select(inputs))

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        ratios = np.array([step_ratio(source, output) for source in inputs])
        span = max(max(abs(f.low), f.high) + abs(f.zero_point) for f in inputs)
        m, shift = multipliers(ratios, span, output)
        zeros = np.array([source.zero_point for source in inputs])
        offset = half(shift) + (output.zero_point << shift) - m * zeros
        return {"multiplier": m, "offset": offset, "shift": np.array(shift)}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        terms = zip(constants["multiplier"], inputs, constants["offset"], strict=True)
        chosen = self._select([m * q.astype(np.int64) + r for m, q, r in terms])
        result: Array = np.clip(chosen >> constants["shift"], *scalar_clip(self, output)).astype(output.dtype)
        return result

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        low, high = scalar_clip(self, layer.output)
        parameters = {key: value.tolist() for key, value in layer.constants.items()} | {"low": low, "high": high}
        parameters["loops"] = broadcast_loops(layer.shapes, layer.shape)
        cost = 14 * int(np.prod(layer.shape))
        overlaps = elementwise(layer)
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, instructions=cost, overlaps=overlaps)]
