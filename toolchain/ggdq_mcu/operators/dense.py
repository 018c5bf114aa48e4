"""Fully connected layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.overlap import Overlap, pixel_bytes, single_pixels
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.numerics.products import product
from ggdq_mcu.operators.activation import fused, with_activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.affine import affine_tensor
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator, without_batch

if TYPE_CHECKING:
    from ggdq_mcu.graph import QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """Dense on the last axis, and its activation."""
    if not layer.shape:
        raise layer.error("needs at least one axis")
    units = layer.integer("units")
    bias = {"bias": (units,)} if layer.flag("use_bias", True) else {}
    return with_activation(layer, Dense(units), layer.take(kernel=(layer.shape[-1], units), **bias))


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """FULLY_CONNECTED with constant weights, of vectors or of the last axis."""
    matrix, shape = op.constant(1), op.shape
    if matrix.ndim != 2 or prod(shape) % matrix.shape[1] or op.integer("WeightsFormat", 0, 0) != 0:
        raise op.error(f"weights of shape {matrix.shape} do not fit an input {shape}, or are shuffled")
    units, columns = matrix.shape
    whole = op.data.shape[:-1] if op.flag("KeepNumDims") else (prod(shape) // columns,)
    target = without_batch((*whole, units))
    if shape[-1:] != (columns,):
        rows = prod(shape) // columns
        shape = (columns,) if rows == 1 else (rows, columns)
    weights = {"kernel": np.ascontiguousarray(matrix.T), **op.bias(units)}
    steps: list[tuple[str, Operator]] = [("rows", Reshape(shape))] if shape != op.shape else []
    steps += [("product", Dense(units))]
    steps += [("shaped", Reshape(target))] if target != (*shape[:-1], units) else []
    nodes = [replace(one, weights=weights if isinstance(one.operator, Dense) else {}) for one in op.chain(steps)]
    return fused(op, nodes)


def from_onnx(op: OnnxOperator) -> Tensor:
    """Gemm and MatMul of a tensor and a constant matrix; the rows are put into the order of a flattened image."""
    tensor, kernel = op.tensor(), op.weights(1, "matrix")
    while kernel.ndim > 2 and kernel.shape[0] == 1:
        kernel = kernel[0]
    is_vector = kernel.ndim == 1
    kernel = kernel[:, None] if is_vector else kernel
    rank = len(tensor.shape)
    if op.kind == "Gemm":
        kernel = op.number("alpha", 1.0) * (kernel.T if op.integer("transB", 0) else kernel)
        if op.integer("transA", 0) and rank == 2:
            tensor = op.transposed(op.plain(tensor) if tensor.listed is not None else tensor, (1, 0))
    if kernel.ndim != 2 or rank < 1 or (op.kind == "Gemm" and rank != 2) or kernel.shape[0] != tensor.shape[-1]:
        raise op.error(f"a matrix {kernel.shape} does not fit {tensor.shape}")
    weights, units, added = {"kernel": kernel}, kernel.shape[1], None
    if op.kind == "Gemm" and op.given(2):
        added = op.weights(2, "C") * op.number("beta", 1.0) if op.is_constant(2) else op.tensor(2)
    if isinstance(added, np.ndarray) and added.size in (1, units) and added.shape[-1:] in ((), (1,), (units,)):
        weights["bias"], added = np.broadcast_to(added.ravel(), (units,)), None
    tensor = op.last(tensor, rank - 1)
    if tensor.listed is not None:
        weights["kernel"] = kernel[tensor.places()]
    shape = (*tensor.shape[:-1], units)
    node = op.add(Dense(units), tensor.node, weights=weights)
    product = replace(tensor, node=node, shape=shape, listed=None)
    if added is not None:
        return _with_added(op, product, added)
    return op.reshaped(product, shape[:-1]) if is_vector else product


def _with_added(op: OnnxOperator, product: Tensor, added: Tensor | Array) -> Tensor:
    """The product of Gemm and its C, which is computed or not the same for all rows."""
    if isinstance(added, np.ndarray):
        return affine_tensor(op, product, 1.0, added)
    beta = op.number("beta", 1.0)
    first, second = op.aligned(product, added if beta == 1 else affine_tensor(op, added, beta, 0.0))
    return op.joined(Add(), first, second)


@dataclass(frozen=True)
class Dense(Linear):
    """Product of the last axis with a matrix, as Keras computes it.

    input (..., C) -> output (..., units); kernel (C, units); bias (units,)
    """

    units: int

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"Dense": from_keras}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"FULLY_CONNECTED": from_tflite}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Gemm": from_onnx}

    def output_shape(self, *shapes: Shape) -> Shape:
        if not shapes[0]:
            raise ValueError("a dense layer needs at least one axis")
        return (*shapes[0][:-1], self.units)

    def accumulate(self, image: Array, kernel: Array, padding_value: float) -> Array:
        return np.asarray(image @ kernel)

    def sums(self, image: Array, kernel: Array, padding_value: float) -> Array:
        return product(image, kernel)

    def columns(self, image: Array, padding_value: float, rows: slice = slice(None)) -> list[Array]:
        return [image if image.ndim == 2 else image[:, rows]]

    def grouped(self, kernel: Array) -> Array:
        return kernel[None]

    def ungrouped(self, matrices: Array) -> Array:
        matrix: Array = matrices[0]
        return matrix

    def input_step(self, kernel: Array, step: Array) -> Array:
        return step if step.ndim == 0 else step[:, None]

    def output_step(self, kernel: Array, step: Array) -> Array:
        return step

    @property
    def mixes_channels(self) -> bool:
        return True

    def with_channels(
        self, constants: Mapping[str, Array], inputs: Sequence[Array], output: Array, shapes: Sequence[Shape]
    ) -> tuple[Operator, Mapping[str, Array]]:
        _, constants = super().with_channels(constants, inputs, output, shapes)
        return replace(self, units=len(output)), constants

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return RowWindow()

    def macs(self, shapes: Sequence[Shape]) -> int:
        return int(np.prod(shapes[0])) * self.units

    def portable_overlap(self, layer: QuantizedLayer) -> Overlap:
        vectors = np.arange(int(np.prod(layer.shapes[0][:-1])))
        return single_pixels(vectors, *pixel_bytes(layer), layer.output.storage_bits // 8)
