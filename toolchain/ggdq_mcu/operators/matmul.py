"""Product of two computed matrices, or of stacks of them, as attention has it."""

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
from ggdq_mcu.graph.strides import aligned, broadcast_strides, element_strides, loops
from ggdq_mcu.numerics.products import between
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.dense import from_onnx as dense
from ggdq_mcu.operators.shared.rescale import channel_multipliers, channel_parameters, halves
from ggdq_mcu.sources.onnx_layout import Tensor
from ggdq_mcu.sources.tflite import TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator

Array = NDArray[Any]
_MOST_PRODUCTS = 1 << 15  # in a sum: 16-bit values then stay within 46 bits, and 61 with their multiplier
_LARGEST = 2**31 - 1
_LONGEST_SHIFT = 46  # sums of 46 bits become 8 bits without a loss of the multiplier's precision


def from_onnx(op: OnnxOperator) -> Tensor:
    """MatMul of a tensor and a constant matrix (a dense layer), of a constant matrix and a tensor, or of two tensors."""
    if op.is_constant(1):
        return dense(op)
    if op.is_constant(0):
        return _constant_first(op)
    tensors = [op.tensor(index) for index in (0, 1)]
    ranks = [len(tensor.shape) for tensor in tensors]
    if min(ranks) < 1:
        raise op.error("a product with a number is not a product of matrices", "use Mul")
    sides = [
        _matrices(op, op.reshaped(tensor, shape) if len(tensor.shape) == 1 else tensor)
        for tensor, shape in zip(tensors, ((1, *tensors[0].shape), (*tensors[1].shape, 1)), strict=True)
    ]
    (first, turned), (second, also) = sides
    if first.shape[-1] != second.shape[-2]:
        raise op.error(f"shapes do not fit (sums of {first.shape[-1]} and {second.shape[-2]} products)")
    try:
        leading = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    except ValueError as error:
        raise op.error(f"shapes do not fit ({error})") from error
    shape = (*leading, first.shape[-2], second.shape[-1])
    node = op.add(MatMul(turned, also), first.node, second.node)
    axes = max(len(first.order), len(second.order))
    product = Tensor(node, shape, tuple(range(len(shape) - axes, len(shape))))
    kept = shape[: -2 if ranks[0] == 1 else -1] + (() if ranks[1] == 1 else shape[-1:])
    return op.reshaped(product, kept)


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """BATCH_MATMUL, of two tensors, or of a tensor and a constant matrix."""
    turned = op.flag("AdjX"), op.flag("AdjY")
    if op.is_constant(0):
        raise op.error("a constant matrix times a tensor is not supported", "put the constant second")
    if not op.is_constant(1):
        return [op.node(MatMul(*turned))]
    matrix, shape = op.constant(1), op.shape
    matrix = matrix.reshape(matrix.shape[-2:]) if matrix.size == prod(matrix.shape[-2:]) else matrix
    matrix = matrix.T if turned[1] else matrix
    if turned[0] or matrix.ndim != 2 or shape[-1:] != matrix.shape[:1]:
        raise op.error(
            f"a constant of shape {matrix.shape} does not fit {shape}", "multiply with one matrix, put second"
        )
    return [op.node(Dense(matrix.shape[1]), {"kernel": np.ascontiguousarray(matrix)})]


def _matrices(op: OnnxOperator, tensor: Tensor) -> tuple[Tensor, bool]:
    """The tensor with its matrices stored row by row, or column by column where they are so already."""
    rank = len(tensor.shape)
    leading = tuple(range(1 if rank > 2 and tensor.shape[0] == 1 else 0, rank - 2))
    if tensor.listed is None and tensor.order == (*leading, rank - 1, rank - 2):
        return tensor, True
    return op.arranged(tensor, (*leading, rank - 2, rank - 1)), False


def _constant_first(op: OnnxOperator) -> Tensor:
    """A constant matrix times a tensor: a dense layer of the tensor's columns."""
    matrix, tensor = op.weights(0, "matrix"), op.tensor(1)
    matrix = matrix.reshape(matrix.shape[-2:]) if matrix.size == prod(matrix.shape[-2:]) else matrix
    if len(tensor.shape) == 1:
        whole = _constant_first(replace(op, inputs=(matrix, op.reshaped(tensor, (*tensor.shape, 1)))))
        return op.reshaped(whole, whole.shape[:-1])
    rank = len(tensor.shape)
    if rank < 2 or matrix.ndim != 2 or matrix.shape[1] != tensor.shape[-2]:
        raise op.error(f"a matrix {matrix.shape} does not fit {tensor.shape}")
    exchanged = (*range(rank - 2), rank - 1, rank - 2)
    columns = op.last(op.transposed(op.plain(tensor), exchanged), rank - 1)
    node = op.add(Dense(len(matrix)), columns.node, weights={"kernel": matrix.T})
    product = replace(columns, node=node, shape=(*columns.shape[:-1], len(matrix)))
    return op.transposed(product, exchanged)


@dataclass(frozen=True)
class MatMul(Operator):
    """factor * a @ b of two tensors (..., M, K) and (..., K, N): (..., M, N); leading axes are broadcast.

    ``transpose_first``: a is stored (..., K, M); ``transpose_second``: b is stored (..., N, K).
    q_out = clip((m * sum of (q_a - z_a) * (q_b - z_b) + r) >> n); constants ``multiplier``, ``offset``, ``shift``: (N,)
    where the output has channel steps, else (1,).
    """

    transpose_first: bool = False
    transpose_second: bool = False
    factor: float = 1.0

    fuses_clip: ClassVar[bool] = True
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"BATCH_MATMUL": from_tflite}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"MatMul": from_onnx}

    @property
    def gives_channel_steps(self) -> bool:
        return True

    def _details(self) -> str:
        turned = [name for name, is_so in (("a", self.transpose_first), ("b", self.transpose_second)) if is_so]
        text = f" {' and '.join(turned)} transposed" if turned else ""
        return text + (f", times {self.factor:g}" if self.factor != 1 else "")

    def output_shape(self, *shapes: Shape) -> Shape:
        first, second = shapes
        if min(len(first), len(second)) < 2:
            raise ValueError(f"a product of {first} and {second}: both need two axes")
        rows, inner = first[:-3:-1] if self.transpose_first else first[-2:]
        again, columns = second[:-3:-1] if self.transpose_second else second[-2:]
        if inner != again or inner > _MOST_PRODUCTS:
            raise ValueError(f"sums of {inner} and {again} products; they have to be equal, at most {_MOST_PRODUCTS}")
        return (*np.broadcast_shapes(first[:-2], second[:-2]), rows, columns)

    def _matrices(self, inputs: Sequence[Array]) -> tuple[Array, Array]:
        """Both inputs (N, ..., M, K) and (N, ..., K, N), their leading axes aligned."""
        first, second = aligned(inputs)
        return (
            first.swapaxes(-1, -2) if self.transpose_first else first,
            second.swapaxes(-1, -2) if self.transpose_second else second,
        )

    def products(self, shapes: Sequence[Shape]) -> int:
        """How many products each sum has."""
        return shapes[0][-2 if self.transpose_first else -1]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        first, second = self._matrices(inputs)
        return self.clip((between(first, second) * self.factor).astype(np.result_type(first, second)))

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        first, second = (np.asarray(source.step, np.float64) for source in inputs)
        ratio = np.atleast_1d(first * second * self.factor / output.step)
        m, shift = channel_multipliers(np.abs(ratio), self._largest(inputs, shapes), output, 61, _LONGEST_SHIFT)
        m = m * int(np.sign(self.factor))
        return {"multiplier": m, "offset": halves(shift) + (np.int64(output.zero_point) << shift), "shift": shift}

    def _largest(self, inputs: Sequence[Format], shapes: Sequence[Shape]) -> int:
        """Bound of a sum's magnitude."""
        reach = (max(source.high - source.zero_point, source.zero_point - source.low) for source in inputs)
        return prod(reach) * self.products(shapes)

    def sums(self, inputs: Sequence[Array], formats: Sequence[Format]) -> Array:
        """The sums of products of integers (int64) less their zero points."""
        centred = [q.astype(np.int64) - source.zero_point for q, source in zip(inputs, formats, strict=True)]
        first, second = self._matrices(centred)
        # Floating point is exact where every sum is an integer below 2^53, and BLAS is fast.
        exact = self._largest(formats, [q.shape[1:] for q in inputs]) < 1 << 53
        real = np.float64 if exact else np.int64
        return np.asarray((first.astype(real) @ second.astype(real)).astype(np.int64))

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        scaled = constants["multiplier"] * self.sums(inputs, formats) + constants["offset"]
        result: Array = np.clip(scaled >> constants["shift"], *integer_clip(self, output)).astype(output.dtype)
        return result

    def macs(self, shapes: Sequence[Shape]) -> int:
        return prod(self.output_shape(*shapes)) * self.products(shapes)

    def geometry(self, layer: QuantizedLayer) -> tuple[dict[str, Any], float]:
        """Loops and strides of the portable kernels, and their instructions."""
        shapes, shape = layer.shapes, layer.shape
        first, second = (element_strides(np.empty(one, np.int8)) for one in shapes)
        a = first[:-3:-1] if self.transpose_first else first[-2:]
        b = second[:-3:-1] if self.transpose_second else second[-2:]
        leading = shape[:-2]
        outer = [
            tuple(step * prod(one[-2:]) for step in broadcast_strides(one[:-2], leading)) for one in (*shapes, shape)
        ]
        parameters: dict[str, Any] = {
            "loops": [one for one in loops(leading, outer) if one.turns > 1] if leading else [],
            "rows": shape[-2], "columns": shape[-1], "products": self.products(shapes), "a": a, "b": b,
        }  # fmt: skip
        wide = self._largest(layer.sources, shapes) > _LARGEST
        parameters["accumulator"] = "int64_t" if wide else "int32_t"
        return parameters, prod(shape) * (25.0 + (9 if wide else 7) * self.products(shapes))

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        arrays, parameters = channel_parameters(self, layer.constants, layer.output, wide=True)
        geometry, cost = self.geometry(layer)
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters | geometry, arrays, instructions=cost)]
