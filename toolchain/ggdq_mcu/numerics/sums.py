"""Sums of floating-point numbers in one fixed order: halves of the axis are added to each other, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def total(values: ArrayLike, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """Sum over one axis, several, or all (None), float64 (int64 for integers), of the same bits everywhere.

    The error is that of pairwise summation: log2(n) roundings.
    """
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.floating):
        return np.asarray(array.sum(axis=axis, keepdims=keepdims, dtype=np.int64))
    axes = tuple(range(array.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = tuple(one % array.ndim for one in axes)
    shape = tuple(1 if i in axes else size for i, size in enumerate(array.shape))
    kept = tuple(size for i, size in enumerate(array.shape) if i not in axes)
    if len(axes) == 1:
        result = _halved(array.astype(np.float64, copy=False), axes[0])
    else:
        others = [i for i in range(array.ndim) if i not in axes]
        rows = array.transpose(*axes, *others).reshape(-1, *kept)
        result = _halved(rows.astype(np.float64, copy=False), 0)
    return result.reshape(shape if keepdims else kept)


def mean(values: ArrayLike, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """``total`` over the number of values; 0 where there is none."""
    array = np.asarray(values)
    found = total(array, axis, keepdims)
    return np.asarray(found / max(array.size // max(found.size, 1), 1))


def _halved(array: Array, axis: int) -> Array:
    """The sum over ``axis``, which is kept with size 1."""
    count = array.shape[axis]
    if count == 0:
        return np.zeros((*array.shape[:axis], 1, *array.shape[axis + 1 :]))
    before = (slice(None),) * axis
    while count > 1:
        half = count // 2
        added = array[(*before, slice(0, half))] + array[(*before, slice(half, 2 * half))]
        if count % 2:
            added[(*before, slice(0, 1))] += array[(*before, slice(count - 1, count))]
        array, count = added, half
    return array
