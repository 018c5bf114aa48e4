"""Tensors one behind the other along an axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape, integer_clip
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.operators.activation import fused
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.rescale import channel_multipliers, channel_parameters, halves
from ggdq_mcu.sources import onnx_layout as layout
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator, without_batch
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """Concatenate, along any axis but the batch."""
    return [layer.node(Concatenate(layer.axis("axis", len(layer.shapes[0])) - len(layer.shapes[0])))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """CONCATENATION, of tensors along any axis but the batch."""
    rank, axis = len(op.tensor(0).shape), op.integer("Axis", 0, -8)
    if len(op.inputs) != len(op.tensors) or not op.inputs:
        raise op.error("a constant among what it joins is not supported", "join tensors only")
    if not (-rank <= axis < rank) or (axis % rank == 0 and op.tensor(0).batched):
        raise op.error(f"axis {axis} of {op.tensor(0).shape} is not an axis beside the batch")
    return fused(op, [op.node(Concatenate(axis % rank - rank))])


def from_tflite_pack(op: TFLiteOperator) -> list[Node]:
    """PACK, of tensors, along a new axis."""
    shape = op.tensor(0).shape
    rank, axis = len(shape) + 1, op.integer("Axis", 0, -8)
    if len(op.inputs) != len(op.tensors) or not op.inputs or not -rank <= axis < rank:
        raise op.error(
            f"a constant among what it joins, or axis {axis} of {rank}, is not supported", "join tensors only"
        )
    axis %= rank
    parts = [
        Node(op.auxiliary(f"part_{i}"), Reshape((prod(shape[:axis]), 1, prod(shape[axis:]))), (source,))
        for i, source in enumerate(op.inputs)
    ]
    joined = Node(op.auxiliary("joined"), Concatenate(-2), tuple(part.name for part in parts))
    whole = without_batch((*shape[:axis], len(parts), *shape[axis:]))
    source = joined.name if len(parts) > 1 else parts[0].name
    return [*parts, *([joined] if len(parts) > 1 else []), Node(op.name, Reshape(whole), (source,))]


def from_onnx(op: OnnxOperator) -> Tensor:
    """Concat, of tensors, along any axis."""
    tensors = op.tensors()
    rank = len(tensors[0].shape)
    axis = op.axis(op.integer("axis"), rank)
    if any(len(tensor.shape) != rank for tensor in tensors):
        raise op.error("its inputs have different numbers of axes")
    order = layout.completed(max(tensors, key=lambda tensor: prod(tensor.shape)).order, [axis])
    moved = [op.arranged(tensor, order) for tensor in tensors]
    shape = list(moved[0].shape)
    shape[axis] = sum(tensor.shape[axis] for tensor in moved)
    operator = Concatenate(order.index(axis) - len(order))
    node = op.add(operator, *(tensor.node for tensor in moved)) if len(moved) > 1 else moved[0].node
    return replace(moved[0], node=node, shape=tuple(shape))


@dataclass(frozen=True)
class Concatenate(Operator):
    """The inputs one behind the other along ``axis``, counted from the end: -1 is the channels.

    Values only move where input and output have the same steps, else they are rescaled by channel:
    q_out = clip((m * q + r) >> n); constants ``multiplier_i``, ``offset_i`` and ``shift_i`` of input i: (C_i,) or (1,).
    """

    axis: int

    fuses_clip: ClassVar[bool] = True
    takes_channel_steps: ClassVar[bool] = True
    is_monotone: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"Concatenate": from_keras}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"Concatenate": from_keras}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "CONCATENATION": from_tflite,
        "PACK": from_tflite_pack,
    }
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        kind: moving(convert) for kind, convert in tflite_operators.items()
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Concat": from_onnx}

    @property
    def gives_channel_steps(self) -> bool:
        return True

    def _details(self) -> str:
        return f" axis {self.axis}"

    def output_shape(self, *shapes: Shape) -> Shape:
        first, axis = shapes[0], len(shapes[0]) + self.axis
        if axis < 0 or any(s[:axis] != first[:axis] or s[axis + 1 :] != first[axis + 1 :] for s in shapes):
            raise ValueError(f"cannot concatenate shapes {', '.join(map(str, shapes))} along axis {self.axis}")
        return (*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :])

    def channel_sources(self, shapes: Sequence[Shape]) -> tuple[Array, ...]:
        if self.axis != -1:
            return tuple(np.arange(shape[-1]) for shape in shapes)
        ends = np.cumsum([0, *(shape[-1] for shape in shapes)])
        channels = np.arange(ends[-1])
        spans = pairwise(ends)
        return tuple(np.where((channels >= low) & (channels < high), channels - low, -1) for low, high in spans)

    def with_channels(
        self, constants: Mapping[str, Array], inputs: Sequence[Array], output: Array, shapes: Sequence[Shape]
    ) -> tuple[Operator, Mapping[str, Array]]:
        kept = {}
        for key, value in constants.items():
            of_input = inputs[int(key.rsplit("_", 1)[1])]
            kept[key] = value if len(value) == 1 else value[of_input]
        return self, kept

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        if axis == self.axis:
            raise ValueError("it joins sequences one behind the other")
        return RowWindow()

    def moved_format(self, inputs: Sequence[Format], shapes: Sequence[Shape]) -> Format | None:
        """The format that lets all values move as they are: the inputs' channel steps side by side."""
        first = inputs[0]
        kinds = {(source.bits, source.signed, source.zero_point) for source in inputs}
        if len(kinds) > 1 or self.axis != -1 or self.clips:
            return None
        steps = [np.broadcast_to(source.step, (shape[-1],)) for source, shape in zip(inputs, shapes, strict=True)]
        return type(first)(first.bits, first.signed, np.concatenate(steps), first.zero_point)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return self.clip(np.concatenate(inputs, axis=self.axis))

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        constants: dict[str, Array] = {}
        for i, (source, part) in enumerate(zip(inputs, self._parts(output, shapes), strict=True)):
            ratio = np.atleast_1d(np.asarray(source.step, np.float64) / part.step)
            m, shift = channel_multipliers(ratio, _span(source), part)
            same = np.isclose(ratio, 1.0, rtol=1e-9)
            m, shift = np.where(same, 1, m), np.where(same, 0, shift)
            offset = halves(shift) + (np.int64(output.zero_point) << shift) - m * source.zero_point
            constants |= {f"multiplier_{i}": m, f"offset_{i}": offset, f"shift_{i}": shift}
        return constants

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        scaled = [
            (constants[f"multiplier_{i}"] * q.astype(np.int64) + constants[f"offset_{i}"]) >> constants[f"shift_{i}"]
            for i, q in enumerate(inputs)
        ]
        joined = np.concatenate(scaled, axis=self.axis)
        result: Array = np.clip(joined, *integer_clip(self, output)).astype(output.dtype)
        return result

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        shapes, formats = layer.shapes, layer.sources
        arrays: dict[str, Array] = {}
        parts: list[dict[str, Any]] = []
        for i, (part, source) in enumerate(zip(self._parts(layer.output, shapes), formats, strict=True)):
            own = {key: layer.constants[f"{key}_{i}"] for key in ("multiplier", "offset", "shift")}
            found, parameters = channel_parameters(self, own, part, wide=False)
            moved = source.dtype == part.dtype and not self.clips and not found
            moved = moved and (parameters["multiplier"], parameters["offset"], parameters["shift"]) == (1, 0, 0)
            arrays |= {f"{key}_{i}": value for key, value in found.items()}
            parts.append({**parameters, "moved": moved, "run": prod(shapes[i][self.axis :]), "channels": shapes[i][-1]})
        rows = prod(shapes[0][: self.axis])
        cost = sum(rows * part["run"] * (0.5 if part["moved"] else 12) for part in parts)
        return [
            Kernel("portable", f"operators/{self.name}.c.j2", {"rows": rows, "parts": parts}, arrays, instructions=cost)
        ]

    def _parts(self, output: Format, shapes: Sequence[Shape]) -> list[Format]:
        """The output's format where each of the inputs goes."""
        if self.axis != -1 or not output.per_channel:
            return [output] * len(shapes)
        ends = np.cumsum([shape[-1] for shape in shapes])
        steps = np.split(np.asarray(output.step), ends[:-1])
        return [type(output)(output.bits, output.signed, step, output.zero_point) for step in steps]


def _span(source: Format) -> int:
    return max(abs(source.low), source.high) + abs(source.zero_point)
