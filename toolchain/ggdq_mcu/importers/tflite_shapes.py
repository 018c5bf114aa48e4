"""What does the arithmetic of shapes give, which the converter leaves in a network for batches of any size?

Such operators compute plain integers from the shapes of tensors. The batch is 1 here, so all of it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ggdq_mcu.operators import tflite_constants
from ggdq_mcu.sources.tflite import Array, TFLiteOperator

_MOST_VALUES = 64


def computed(op: TFLiteOperator) -> Array | None:
    """The integers that an operator computes; None where they depend on the network's input, or are not of shapes."""
    if op.kind in tflite_constants():
        return np.asarray(tflite_constants()[op.kind](op))
    values = [tensor.stored for tensor in op.tensors if tensor is not None]
    if op.kind not in _FUNCTIONS or not values or any(one is None or one.size > _MOST_VALUES for one in values):
        return None
    try:
        with np.errstate(all="ignore"):
            result = np.asarray(_FUNCTIONS[op.kind](op, *[np.asarray(one, np.int64) for one in values]), np.int64)
    except (ValueError, TypeError, IndexError) as error:
        raise op.error(f"cannot be computed ({error})") from error
    return result if result.size <= _MOST_VALUES else None


def _strided_slice(op: TFLiteOperator, value: Array, begin: Array, end: Array, step: Array) -> Array:
    """One axis alone, as sizes are taken out of a shape."""
    if value.ndim != 1 or begin.size != 1 or step.size != 1 or step.flat[0] == 0:
        raise ValueError("not of one axis")
    if op.integer("ShrinkAxisMask", 0, 0) & 1:
        return np.asarray(value[int(begin.flat[0])])
    first = None if op.integer("BeginMask", 0, 0) & 1 else int(begin.flat[0])
    last = None if op.integer("EndMask", 0, 0) & 1 else int(end.flat[0])
    return np.asarray(value[first : last : int(step.flat[0])])


def _product(op: TFLiteOperator, value: Array, axes: Array) -> Array:
    return np.asarray(np.prod(value, axis=tuple(int(axis) for axis in axes.ravel()), keepdims=op.flag("KeepDims")))


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "ADD": lambda _, a, b: a + b,
    "CAST": lambda _, x: x,
    "CONCATENATION": lambda op, *parts: np.concatenate(parts, axis=op.integer("Axis", 0, -8)),
    "EXPAND_DIMS": lambda _, x, axis: np.expand_dims(x, int(axis.flat[0])),
    "GATHER": lambda op, x, index: np.take(x, index, axis=op.integer("Axis", 0, -8)),
    "MAXIMUM": lambda _, a, b: np.maximum(a, b),
    "MINIMUM": lambda _, a, b: np.minimum(a, b),
    "MUL": lambda _, a, b: a * b,
    "PACK": lambda op, *parts: np.stack(parts, axis=op.integer("Axis", 0, -8)),
    "REDUCE_PROD": _product,
    "RESHAPE": lambda _, x, shape: x.reshape([int(size) for size in shape]),
    "SQUEEZE": lambda _, x: np.squeeze(x),
    "STRIDED_SLICE": _strided_slice,
    "SUB": lambda _, a, b: a - b,
}
