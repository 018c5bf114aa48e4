"""Leaky ReLU whose slopes were trained: by channel, by position, or both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape, integer_clip
from ggdq_mcu.graph.overlap import elementwise
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.graph.strides import broadcast_loops
from ggdq_mcu.operators.shared.rescale import half, multipliers
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """PReLU, with any shared axes."""
    shared = layer.config.get("shared_axes") or []
    axes = layer.integers("shared_axes", 1) if shared else []
    if any(axis > len(layer.shape) for axis in axes):
        raise layer.error(f"shared_axes {tuple(axes)} are not axes of {layer.shape}")
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(layer.shape, 1))
    return [layer.node(PReLU(), layer.take(slope=shape))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """PRELU with constant slopes."""
    slope = op.constant(1)
    shape = (1,) * (len(op.shape) - slope.ndim) + slope.shape[max(slope.ndim - len(op.shape), 0) :]
    if prod(shape) != slope.size or any(size not in (1, whole) for size, whole in zip(shape, op.shape, strict=True)):
        raise op.error(f"slopes of shape {slope.shape} do not fit {op.shape}")
    return [op.node(PReLU(), {"slope": slope.reshape(shape)})]


def from_onnx(op: OnnxOperator) -> Tensor:
    """PRelu, with slopes by channel, position or both."""
    tensor, slope = op.tensor(), op.weights(1, "slope")
    rank = len(tensor.shape)
    while slope.ndim > rank and slope.shape[0] == 1:
        slope = slope[0]
    full = (1,) * (rank - slope.ndim) + slope.shape
    if len(full) != rank or any(size not in (1, whole) for size, whole in zip(full, tensor.shape, strict=True)):
        raise op.error(f"slopes of shape {slope.shape} do not fit {tensor.shape}")
    tensor = op.plain(tensor) if tensor.listed is not None and slope.size > 1 else tensor
    missing = tuple(axis for axis in range(rank) if axis not in tensor.order)
    moved = slope.reshape(full).transpose(missing + tensor.order).reshape([full[axis] for axis in tensor.order] or [1])
    return tensor.of(op.add(PReLU(), tensor.node, weights={"slope": moved}))


@dataclass(frozen=True)
class PReLU(Operator):
    """x where x >= 0, else slope * x; weight ``slope`` is broadcast to the input.

    With u = q - z and m = ``positive`` for u >= 0, else ``negative`` (both are broadcast): q_out = clip((m * u + r) >>
    n); constants ``positive``, ``negative``, ``offset`` and ``shift``.
    """

    fuses_clip: ClassVar[bool] = True
    takes_channel_steps: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"PReLU": from_keras}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"PRELU": from_tflite}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"PRelu": from_onnx}

    @property
    def gives_channel_steps(self) -> bool:
        return True

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        if any(np.ndim(m) >= -axis and np.shape(m)[axis] > 1 for m in (constants["positive"], constants["negative"])):
            raise ValueError("each of its rows has slopes of its own; share them along that axis")
        return RowWindow()

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        x = inputs[0]
        return self.clip(np.where(x >= 0, x, weights["slope"].astype(x.dtype) * x))

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        source = inputs[0]
        positive = np.atleast_1d(np.asarray(source.step, np.float64) / output.step)
        negative = np.atleast_1d(weights["slope"] * positive)
        largest = max(source.high - source.zero_point, source.zero_point - source.low)
        ratios = np.concatenate([positive.ravel(), negative.ravel()])
        m, shift = multipliers(ratios, largest, output)
        return {
            "positive": m[: positive.size].reshape(positive.shape),
            "negative": m[positive.size :].reshape(negative.shape),
            "offset": np.array(half(shift) + (output.zero_point << shift)),
            "shift": np.array(shift),
        }

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        centred = inputs[0].astype(np.int64) - formats[0].zero_point
        m = np.where(centred >= 0, constants["positive"], constants["negative"])
        scaled = (m * centred + constants["offset"]) >> constants["shift"]
        result: Array = np.clip(scaled, *integer_clip(self, output)).astype(output.dtype)
        return result

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        shape = layer.shape
        parameters: dict[str, Any] = {"offset": int(layer.constants["offset"]), "shift": int(layer.constants["shift"])}
        arrays: dict[str, Array] = {}
        walked = [shape]
        low, high = integer_clip(self, layer.output)
        values = {
            "positive": layer.constants["positive"],
            "negative": layer.constants["negative"],
            "low": low,
            "high": high,
        }
        for key, value in values.items():
            same = np.all(value == np.ravel(value)[0])
            parameters[key] = int(np.ravel(value)[0]) if same else None
            if not same:
                parameters[f"{key}_tensor"] = len(walked)
                walked.append(np.shape(value))
                arrays[key] = np.asarray(value).astype(np.int16)
        parameters["loops"] = broadcast_loops(walked, shape)
        cost = 14 * prod(shape)
        overlaps = elementwise(layer)
        template = f"operators/{self.name}.c.j2"
        return [Kernel("portable", template, parameters, arrays, instructions=cost, overlaps=overlaps)]
