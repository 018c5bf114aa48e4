"""Sums of all values up to each position along an axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape, scalar_clip
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.rescale import half, multipliers
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.onnx_layout import completed
from ggdq_mcu.sources.tflite import Origin, TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """CUMSUM along a constant axis beside the batch."""
    axes = op.integers(1)
    axis = op.axis(axes[0]) - op.data.batched if len(axes) == 1 else -1
    if axis < 0:
        raise op.error(f"axes {axes} of {op.data.shape} are not one axis beside the batch")
    return _nodes(op, axis, op.flag("Exclusive"), op.flag("Reverse"))


def from_keras(layer: KerasLayer) -> list[Node]:
    """Cumsum along an axis beside the batch."""
    if layer.config.get("axis") is None:
        raise layer.error("sums along all axes, the batch too (axis None)", "name an axis")
    return _nodes(layer, layer.axis("axis", len(layer.shape)))


def _nodes(layer: Origin, axis: int, exclusive: bool = False, reverse: bool = False) -> list[Node]:
    shape = layer.shape
    rows = Node(
        layer.auxiliary("rows"), Reshape((prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :]))), (layer.source,)
    )
    sums = Node(layer.auxiliary("sums"), CumulativeSum(exclusive, reverse), (rows.name,))
    return [rows, sums, Node(layer.name, Reshape(shape), (sums.name,))]


def from_onnx(op: OnnxOperator) -> Tensor:
    """CumSum along a constant axis, exclusive and reversed too."""
    tensor = op.plain(op.tensor()) if op.tensor().listed is not None else op.tensor()
    (number,) = op.integer_list(1, "axis")[:1] or [0]
    axis = op.axis(number, len(tensor.shape))
    tensor = op.arranged(tensor, completed(tensor.order, [axis]))
    place, stored = tensor.order.index(axis), tensor.stored
    rows = op.view(Reshape((prod(stored[:place]), stored[place], prod(stored[place + 1 :]))), tensor.node)
    operator = CumulativeSum(bool(op.integer("exclusive", 0)), bool(op.integer("reverse", 0)))
    return tensor.of(op.view(Reshape(stored), op.add(operator, rows)))


@dataclass(frozen=True)
class CumulativeSum(Operator):
    """Sums along the middle axis of (rows, count, C): of all values before a position and, unless ``exclusive``, its own.

    ``reverse``: behind it instead of before it. q_out = clip((m * S + r) >> n), S the sum of q - z; constants ``multiplier``,
    ``offset``, ``shift``.
    """

    exclusive: bool = False
    reverse: bool = False

    fuses_clip: ClassVar[bool] = True
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"Cumsum": from_keras}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"CUMSUM": from_tflite}

    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"CumSum": from_onnx}

    def _details(self) -> str:
        return (" exclusive" if self.exclusive else "") + (" reverse" if self.reverse else "")

    def output_shape(self, *shapes: Shape) -> Shape:
        rows, count, channels = shapes[0]
        return (rows, count, channels)

    def _sums(self, values: Array) -> Array:
        values = values[:, :, ::-1] if self.reverse else values
        total = np.cumsum(values, axis=2)
        if self.exclusive:
            total = np.concatenate([np.zeros_like(total[:, :, :1]), total[:, :, :-1]], axis=2)
        return total[:, :, ::-1] if self.reverse else total

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return self.clip(self._sums(inputs[0]))

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        (source,) = inputs
        span = (max(abs(source.low), source.high) + abs(source.zero_point)) * shapes[0][1]
        ratio = np.array([float(source.step) / float(output.step)])
        m, shift = multipliers(ratio, span, output, 30 if source.bits <= 8 else 61)
        offset = half(shift) + (output.zero_point << shift)
        return {"multiplier": m[0], "offset": np.array(offset), "shift": np.array(shift)}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        total = self._sums(inputs[0].astype(np.int64) - formats[0].zero_point)
        q = (total * constants["multiplier"] + constants["offset"]) >> constants["shift"]
        return np.asarray(np.clip(q, *scalar_clip(self, output)).astype(output.dtype))

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        low, high = scalar_clip(self, layer.output)
        wide = layer.sources[0].bits > 8
        parameters = {key: int(value) for key, value in layer.constants.items()}
        parameters |= {"low": low, "high": high, "wide": wide}
        cost = 12 * prod(layer.shape)
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, instructions=cost)]
