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
    if array.dtype.kind != "f":
        return np.asarray(array.sum(axis=axis, keepdims=keepdims, dtype=np.int64))
    axes = tuple(range(array.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = tuple(one % array.ndim for one in axes)
    others = tuple(i for i in range(array.ndim) if i not in axes)
    rows = array if axes == (0,) else array.transpose(*axes, *others)
    if len(axes) != 1:
        rows = rows.reshape(-1, *rows.shape[len(axes) :])
    result = _halved(rows.astype(np.float64, copy=False))
    if keepdims:
        return result.reshape([1 if i in axes else size for i, size in enumerate(array.shape)])
    return result


def mean(values: ArrayLike, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Array:
    """``total`` over the number of values; 0 where there is none."""
    array = np.asarray(values)
    found = total(array, axis, keepdims)
    return np.asarray(found / max(array.size // max(found.size, 1), 1))


def _halved(array: Array) -> Array:
    """The sum over the first axis."""
    count = len(array)
    if count < 2:
        return np.asarray(array[0]) if count else np.zeros(array.shape[1:])
    half = count // 2
    added = array[:half] + array[half : 2 * half]
    while True:
        if count % 2:
            added[0] += array[count - 1]
        if half == 1:
            return np.asarray(added[0]).copy()
        # In place: the sums of a long array stay in the cache.
        array, count, half = added, half, half // 2
        added = np.add(array[:half], array[half : 2 * half], out=array[:half])
