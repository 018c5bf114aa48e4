"""How are the values of a sparse TFLite tensor put where they belong? Axis by axis, as its format says, bounds checked.

The axes are walked through in the order of ``traversal_order``, the axes of blocks last. A dense axis has every index; of a
sparse one the format lists the indices, row by row (compressed sparse rows).
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError

Array = NDArray[Any]
_SPARSE = 1


def dense_of(sparsity: Any, shape: tuple[int, ...], where: str) -> tuple[int, Callable[[Array], Array]]:
    """How many values a sparse tensor of ``shape`` stores, and what puts them into an array of it."""
    order, blocks = _vector(sparsity.TraversalOrderAsNumpy()), _vector(sparsity.BlockMapAsNumpy())
    rank = len(shape)
    whole = sorted(order.tolist()) == list(range(rank + len(blocks))) and sparsity.DimMetadataLength() == len(order)
    if not whole or any(not 0 <= axis < rank for axis in blocks) or any(axis >= rank for axis in order[:rank]):
        raise GgdqError("is stored in a sparse format that is not known", where, "convert it without sparsity")
    rows = np.zeros((1, 0), np.int64)
    sizes = []
    for level in range(len(order)):
        rows, size = _walked(sparsity.DimMetadata(level), rows, prod(shape), where)
        sizes.append(size)
    block = dict(zip(blocks.tolist(), sizes[rank:], strict=True))
    places = np.zeros((len(rows), rank), np.int64)
    for level, axis in enumerate(order.tolist()):
        target = axis if axis < rank else int(blocks[axis - rank])
        places[:, target] += rows[:, level] * (block.get(target, 1) if axis < rank else 1)
    if np.any(places >= np.array(shape)):
        raise GgdqError("has sparse values outside of its shape", where)

    def expand(values: Array) -> Array:
        result = np.zeros(shape, values.dtype)
        result[tuple(places.T)] = values
        return result

    return len(rows), expand


def _walked(metadata: Any, rows: Array, most: int, where: str) -> tuple[Array, int]:
    """The indices of one more axis behind those of the axes before it, and the axis' size."""
    if metadata.Format() != _SPARSE:
        size = int(metadata.DenseSize())
        if not 1 <= size <= most or len(rows) * size > most:
            raise GgdqError("has more sparse values than its shape has room for", where)
        inner = np.tile(np.arange(size), len(rows))
        return np.column_stack([np.repeat(rows, size, axis=0), inner]), size
    segments, indices = _numbers(metadata, "ArraySegments"), _numbers(metadata, "ArrayIndices")
    counts = np.diff(segments)
    fits = len(segments) == len(rows) + 1 and segments[0] == 0 and segments[-1] == len(indices)
    if not fits or np.any(counts < 0) or np.any(indices < 0) or len(indices) > most:
        raise GgdqError("has sparse indices that do not fit each other", where)
    return np.column_stack([np.repeat(rows, counts, axis=0), indices]), int(indices.max(initial=0)) + 1


def _numbers(metadata: Any, name: str) -> Array:
    """A vector of integers, in the width that the file chose."""
    import tflite

    kinds = {
        getattr(tflite.SparseIndexVector, kind): getattr(tflite, kind)
        for kind in ("Int32Vector", "Uint16Vector", "Uint8Vector")
    }
    kind, table = getattr(metadata, f"{name}Type")(), getattr(metadata, name)()
    if kind not in kinds or table is None:
        return np.zeros(0, np.int64)
    vector = kinds[kind]()
    vector.Init(table.Bytes, table.Pos)
    return _vector(vector.ValuesAsNumpy())


def _vector(values: Any) -> Array:
    return np.asarray(values, np.int64).ravel() if np.ndim(values) else np.zeros(0, np.int64)
