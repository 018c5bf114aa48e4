"""Comparison of two tensors, element by element: 0 or 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.overlap import elementwise
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.graph.strides import aligned, broadcast_loops, broadcast_shape
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.affine import affine_node, affine_tensor, channel_constant
from ggdq_mcu.operators.extremum import Extremum
from ggdq_mcu.operators.shared.rescale import multipliers
from ggdq_mcu.sources.tflite import TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
#: Each relation in C, and what it is where the operands are exchanged.
SIGNS: Mapping[str, str] = {
    "equal": "==",
    "not_equal": "!=",
    "greater": ">",
    "greater_equal": ">=",
    "less": "<",
    "less_equal": "<=",
}
MIRRORED = {"greater": "less", "greater_equal": "less_equal", "less": "greater", "less_equal": "greater_equal"}
FUNCTIONS: Mapping[str, Callable[[Array, Array], Array]] = {
    "equal": np.equal,
    "not_equal": np.not_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
}


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS and LESS_EQUAL, of two tensors, or of a tensor and a constant for all or
    each of its channels.
    """
    relation = op.kind.lower()
    constants = [position for position in (0, 1) if op.is_constant(position)]
    if not constants:
        return [op.node(Compare(relation))]
    value = channel_constant(op, constants[0])
    relation = MIRRORED.get(relation, relation) if constants[0] == 0 else relation
    if value.size == 1:
        return [op.node(Activation(relation, float(value.flat[0])))]
    difference = affine_node(op, 1.0, -value)
    named = Node(op.auxiliary("difference"), difference.operator, difference.inputs, difference.weights)
    return [named, Node(op.name, Activation(relation), (named.name,))]


_OF_ONNX = {
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
}


def from_onnx(op: OnnxOperator) -> Tensor:
    """Equal, Greater, GreaterOrEqual, Less and LessOrEqual, of two tensors, or of a tensor and a constant."""
    relation = _OF_ONNX[op.kind]
    constants = [index for index in (0, 1) if op.is_constant(index)]
    if not constants:
        return op.joined(Compare(relation), *op.aligned(op.tensor(0), op.tensor(1)))
    tensor, value = op.tensor(1 - constants[0]), op.constant(constants[0], "operand").astype(np.float64)
    relation = MIRRORED.get(relation, relation) if constants[0] == 0 else relation
    if value.size == 1 and np.isfinite(value.flat[0]):
        tensor, _ = op.by_channel(tensor, value)
        return tensor.of(op.add(Activation(relation, float(value.flat[0])), tensor.node))
    difference = affine_tensor(op, tensor, 1.0, -value)
    return difference.of(op.add(Activation(relation), difference.node))


def from_onnx_logical(op: OnnxOperator) -> Tensor:
    """And, Or, Xor and Not, of truth values 0 and 1."""
    if op.kind == "Not":
        return affine_tensor(op, op.tensor(), -1.0, 1.0)
    constants = [index for index in (0, 1) if op.is_constant(index)]
    if not constants:
        made: Operator = Compare("not_equal") if op.kind == "Xor" else Extremum(op.kind == "And")
        return op.joined(made, *op.aligned(op.tensor(0), op.tensor(1)))
    truth = (op.constant(constants[0], "operand") != 0).astype(np.float64)
    scale = {"And": truth, "Or": 1 - truth, "Xor": 1 - 2 * truth}[op.kind]
    scaled = affine_tensor(op, op.tensor(1 - constants[0]), scale, 0.0)
    return scaled if op.kind == "And" else affine_tensor(op, scaled, 1.0, truth)


@dataclass(frozen=True)
class Compare(Operator):
    """1 where ``relation`` (a key of SIGNS) holds between two tensors, else 0; shapes are broadcast.

    m_0 * q_0 + r_0 is compared with m_1 * q_1 + r_1; constants ``multiplier`` and ``offset`` (2,), which bring both to one
    step: tensors of one format are compared exactly.
    """

    relation: str

    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = dict.fromkeys(
        (relation.upper() for relation in SIGNS), from_tflite
    )

    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        **dict.fromkeys(_OF_ONNX, from_onnx),
        **dict.fromkeys(("And", "Not", "Or", "Xor"), from_onnx_logical),
    }

    @property
    def rectified(self) -> bool:
        return True

    def _details(self) -> str:
        return f" {SIGNS[self.relation]}"

    def output_shape(self, *shapes: Shape) -> Shape:
        first, second = shapes
        return broadcast_shape((first, second))

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return RowWindow()

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        first, second = aligned(inputs)
        return FUNCTIONS[self.relation](first, second).astype(np.result_type(first, np.float32))

    def fixed_format(self, inputs: Sequence[Format], bits: int) -> Format:
        kind = type(inputs[0])
        return kind(16, True, 1.0) if bits > 8 else kind(8, False, 1.0)

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        steps = np.array([float(source.step) for source in inputs])
        span = 2 * max(max(abs(f.low), f.high) + abs(f.zero_point) for f in inputs)
        m, _ = multipliers(steps / steps.max(), span, output)
        return {"multiplier": m, "offset": -m * np.array([source.zero_point for source in inputs])}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        m, r = constants["multiplier"], constants["offset"]
        first, second = (m[i] * q.astype(np.int64) + r[i] for i, q in enumerate(aligned(inputs)))
        return FUNCTIONS[self.relation](first, second).astype(output.dtype)

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        parameters = {key: value.tolist() for key, value in layer.constants.items()}
        parameters |= {"loops": broadcast_loops(layer.shapes, layer.shape), "sign": SIGNS[self.relation]}
        cost, overlaps = 12 * prod(layer.shape), elementwise(layer)
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, instructions=cost, overlaps=overlaps)]
