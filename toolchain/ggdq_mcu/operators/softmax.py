"""Softmax over the last axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.numerics import functions
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.permute import Permute
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
ONE = 65535  # exp(0) in the tables: the largest 16-bit number


def from_keras(layer: KerasLayer) -> list[Node]:
    """Softmax over any one axis; another than the last is exchanged with the last and back."""
    return over_axis(layer, Softmax())


def over_axis(layer: KerasLayer, operator: Operator) -> list[Node]:
    """The nodes of a layer that applies ``operator``, which is over the last axis, over the axis of its configuration."""
    rank = len(layer.shape)
    if rank > 1 and "axis" in layer.config and layer.config["axis"] is None:
        raise layer.error("over all axes at once (axis None) is not supported", "flatten before it")
    axis = layer.axis("axis", rank)
    if axis == rank - 1:
        return [layer.node(operator)]
    order = list(range(1, rank + 1))
    order[axis], order[-1] = order[-1], order[axis]
    there = Permute(tuple(order))
    moved = Node(layer.auxiliary("moved"), there, layer.inputs)
    last = Node(layer.auxiliary("last"), operator, (moved.name,))
    return [moved, last, Node(layer.name, there, (last.name,))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """SOFTMAX over the last axis, with any beta."""
    beta = op.number("Beta", 0.0)
    if beta == 1:
        return [Node(op.name, Softmax(), (op.source,))]
    if not op.shape:
        raise op.error("needs at least one axis")
    scale = np.full(op.shape[-1], beta, np.float32)
    scaled = Node(op.auxiliary("scaled"), Affine(), (op.source,), {"scale": scale, "offset": np.zeros_like(scale)})
    return [scaled, Node(op.name, Softmax(), (scaled.name,))]


def from_onnx(op: OnnxOperator) -> Tensor:
    """Softmax over any one axis; another than the one that is stored last is moved there."""
    return over_onnx_axis(op, Softmax())


def over_onnx_axis(op: OnnxOperator, operator: Operator) -> Tensor:
    """``operator``, which is over the last axis, over the axis of a node's attribute."""
    tensor = op.tensor()
    tensor = op.last(tensor, op.axis(op.integer("axis", -1), len(tensor.shape)))
    return tensor.of(op.add(operator, tensor.node))


@dataclass(frozen=True)
class Softmax(Operator):
    """exp(x) / sum of exp(x) over the last axis.

    With d = max - q, integers only:
        e     = coarse[d >> 8] * fine[d & 255], rounded and shifted right by 16 (8 bits: e = fine[d])
        q_out = min(high, (e * one + S / 2) / S), S the sum of e; ``one`` is 256 (u8), more
        between layers where all shares are far below 1, or 32768 (s16)
    """

    is_elementwise: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"Softmax": from_keras}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"Softmax": from_keras}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"SOFTMAX": from_tflite}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Softmax": from_onnx}

    reads_wide: ClassVar[bool] = True
    gives_shares: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        if shapes[0][-1] > ONE:
            raise ValueError(f"softmax over {shapes[0][-1]} values; at most {ONE}")
        return shapes[0]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        exponential = functions.exp(inputs[0] - inputs[0].max(axis=-1, keepdims=True))
        result: Array = exponential / total(exponential, -1, keepdims=True)
        return result.astype(inputs[0].dtype)

    def fixed_format(self, inputs: Sequence[Format], bits: int) -> Format:
        return type(inputs[0])(16, True, 2.0**-15) if bits > 8 else type(inputs[0])(8, False, 2.0**-8)

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        return exponential_tables(inputs[0])

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        exponential = exponentials(distances(inputs[0]), constants)
        sums = exponential.sum(axis=-1, keepdims=True)
        one = round(1 / float(output.step))
        result: Array = np.minimum((exponential * one + sums // 2) // sums, output.high).astype(output.dtype)
        return result


def exponential_tables(source: Format) -> dict[str, Array]:
    """exp(-step * d) as 16-bit numbers, of each d = 0..255: ``fine``, and ``coarse`` of 256 * d where inputs are wider."""
    step = float(source.step)
    tables = {"fine": _table(step, 256)}
    return tables | {"coarse": _table(step * 256, 256)} if source.bits > 8 else tables


def distances(q: Array) -> Array:
    """How far integers (..., C) are below the largest of each row."""
    wide = q.astype(np.int64)
    return np.asarray(wide.max(axis=-1, keepdims=True) - wide)


def exponentials(distance: Array, tables: Mapping[str, Array]) -> Array:
    """The tables' exponentials of ``distances``: 16-bit numbers, as int64."""
    fine = tables["fine"].astype(np.int64)[distance & 255]
    if "coarse" not in tables:
        return np.asarray(fine)
    return np.asarray((tables["coarse"].astype(np.int64)[distance >> 8] * fine + 32768) >> 16)


def _table(step: float, entries: int) -> Array:
    result: Array = np.floor(functions.exp(-step * np.arange(entries)) * ONE + 0.5).astype(np.uint16)
    return result
