"""Axes in another order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.copy import Copy
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.operators.zero_padding2d import padded_axes
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator, without_batch
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """Permute, with any order of the axes."""
    order = layer.integers("dims", 1)
    if sorted(order) != list(range(1, len(layer.shape) + 1)):
        raise layer.error(f"dims {tuple(order)} is not an order of the axes of {layer.shape}")
    return [layer.node(Permute(tuple(order)))]


def from_operation(layer: KerasLayer) -> list[Node]:
    """Transpose, the batch staying first."""
    axes = layer.integers("axes", 0)
    if axes[:1] != [0]:
        raise layer.error(f"axes {tuple(axes)} move the batch", "let axis 0 stay the first")
    return from_keras(replace(layer, config={"dims": axes[1:]}))


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """TRANSPOSE, the batch staying first."""
    order, rank = op.integers(1), len(op.data.shape)
    if sorted(order) != list(range(rank)) or (op.data.batched and order[0] != 0):
        raise op.error(f"{tuple(order)} is not an order of the axes beside the batch of {op.data.shape}")
    first = int(op.data.batched)
    return [op.node(Permute(tuple(axis - first + 1 for axis in order[first:])))]


def from_tflite_blocks(op: TFLiteOperator) -> list[Node]:
    """SPACE_TO_DEPTH and DEPTH_TO_SPACE: blocks of pixels as channels, and back."""
    (height, width), channels = op.image
    block = op.integer("BlockSize")
    if op.kind == "SPACE_TO_DEPTH":
        apart = (height // block, block, width // block, block, channels)
        whole = (height // block, width // block, block * block * channels)
    else:
        apart = (height, width, block, block, channels // block**2)
        whole = (height * block, width * block, channels // block**2)
    if prod(apart) != prod(op.shape):
        raise op.error(f"blocks of {block} do not fit {op.shape}")
    return op.chain([("apart", Reshape(apart)), ("moved", Permute((1, 3, 2, 4, 5))), ("whole", Reshape(whole))])


def from_tflite_batches(op: TFLiteOperator) -> list[Node]:
    """SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND with constant blocks: positions of every block as a batch, and back."""
    blocks, edges, whole = op.integers(1), op.integers(2), op.data.shape
    axes = len(blocks)
    if axes != len(whole) - 2 or len(edges) != 2 * axes or min(*blocks, *(one + 1 for one in edges)) < 1:
        raise op.error(f"blocks {blocks} and edges {edges} do not fit {whole}")
    sides = [(edges[2 * i], edges[2 * i + 1]) for i in range(axes)]
    if op.kind == "SPACE_TO_BATCH_ND":
        return _space_to_batch(op, blocks, sides)
    count = prod(blocks)
    if whole[0] % count:
        raise op.error(f"blocks {blocks} do not fit {whole}")
    batch, space, rest = whole[0] // count, whole[1 : axes + 1], whole[axes + 1 :]
    places = (place for i in range(axes) for place in (axes + 1 + i, i))
    order = (axes, *places, *range(2 * axes + 1, 2 * axes + 1 + len(rest)))
    full = tuple(size * block for size, block in zip(space, blocks, strict=True))
    sizes = tuple(size - sum(pair) for size, pair in zip(full, sides, strict=True))
    if min(sizes) < 1:
        raise op.error(f"crops {edges} leave nothing of {full}")
    part = Slice((0, *(pair[0] for pair in sides), *(0 for _ in rest)), (batch, *sizes, *rest))
    return op.chain([
        ("apart", Reshape((*blocks, batch, *space, *rest))),
        ("moved", Permute(tuple(axis + 1 for axis in order))),
        ("together", Reshape((batch, *full, *rest))),
        ("cropped", part),
        ("whole", Reshape(without_batch((batch, *sizes, *rest)))),
    ])  # fmt: skip


def _space_to_batch(op: TFLiteOperator, blocks: list[int], sides: list[tuple[int, int]]) -> list[Node]:
    """Zeros around the axes behind the first, then blocks moved to the front."""
    whole, axes = op.data.shape, len(blocks)
    rest = whole[axes + 1 :]
    full = [size + sum(pair) for size, pair in zip(whole[1 : axes + 1], sides, strict=True)]
    if any(size % block for size, block in zip(full, blocks, strict=True)):
        raise op.error(f"blocks {blocks} do not divide {full}")
    spaces = [size // block for size, block in zip(full, blocks, strict=True)]
    pairs = [one for pair in zip(spaces, blocks, strict=True) for one in pair]
    last = range(2 * axes + 1, 2 * axes + 1 + len(rest))
    order = (*range(2, 2 * axes + 1, 2), 0, *range(1, 2 * axes + 1, 2), *last)
    return op.chain([
        *padded_axes(whole, [(0, 0), *sides, *[(0, 0)] * len(rest)]),
        ("apart", Reshape((whole[0], *pairs, *rest))),
        ("moved", Permute(tuple(axis + 1 for axis in order))),
        ("whole", Reshape(without_batch((whole[0] * prod(blocks), *spaces, *rest)))),
    ])  # fmt: skip


def from_onnx(op: OnnxOperator) -> Tensor:
    """Transpose: values move only where a later node needs them in another order."""
    rank = len(op.tensor().shape)
    axes = op.integers("perm", list(range(rank - 1, -1, -1)), 0)
    if sorted(axes) != list(range(rank)):
        raise op.error(f"perm {axes} does not order {rank} axes")
    return op.transposed(op.plain(op.tensor()) if op.tensor().listed else op.tensor(), axes)


def from_onnx_depth(op: OnnxOperator) -> Tensor:
    """DepthToSpace and SpaceToDepth, of images."""
    tensor, block = op.tensor(), op.integer("blocksize", least=1)
    if len(tensor.shape) != 4:
        raise op.error(f"its input {tensor.shape} is not an image")
    batch, channels, height, width = tensor.shape
    if op.kind == "SpaceToDepth":
        if height % block or width % block:
            raise op.error(f"blocks of {block} do not divide {height}x{width}")
        apart = op.reshaped(tensor, (batch, channels, height // block, block, width // block, block))
        moved = op.transposed(apart, (0, 3, 5, 1, 2, 4))
        return op.reshaped(moved, (batch, channels * block**2, height // block, width // block))
    if channels % block**2:
        raise op.error(f"blocks of {block} do not divide {channels} channels")
    rest, by_channel = channels // block**2, op.text("mode", "DCR") == "CRD"
    parts = (rest, block, block) if by_channel else (block, block, rest)
    apart = op.reshaped(tensor, (batch, *parts, height, width))
    moved = op.transposed(apart, (0, 1, 4, 2, 5, 3) if by_channel else (0, 3, 4, 1, 5, 2))
    return op.reshaped(moved, (batch, rest, height * block, width * block))


@dataclass(frozen=True)
class Permute(Copy):
    """Axis i of the output is axis ``order[i]`` of the input, counted from 1, as Keras counts beside the batch."""

    order: tuple[int, ...]

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"Permute": from_keras}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"Transpose": from_operation}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "BATCH_TO_SPACE_ND": from_tflite_batches,
        "SPACE_TO_BATCH_ND": from_tflite_batches,
        "TRANSPOSE": from_tflite,
        "SPACE_TO_DEPTH": from_tflite_blocks,
        "DEPTH_TO_SPACE": from_tflite_blocks,
    }
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        kind: moving(convert) for kind, convert in tflite_operators.items()
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "DepthToSpace": from_onnx_depth,
        "SpaceToDepth": from_onnx_depth,
        "Transpose": from_onnx,
    }

    def _details(self) -> str:
        return f" {self.order}"

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        if self.order[axis] != len(self.order) + axis + 1:
            raise ValueError("it moves the axis of the rows")
        return RowWindow()

    def view(self, batch: Array) -> Array:
        return np.transpose(batch, (0, *self.order))
