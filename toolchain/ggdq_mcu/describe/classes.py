"""Which class does an output say, and which do the labels: for a whole sample, or at each position of a map?"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph
from ggdq_mcu.graph.graph import Shape

Array = NDArray[Any]
_ANY = Format(8, True, 1.0)


def boundary(graph: Graph, name: str) -> float:
    """What one value has to exceed for class 1: the middle of a sigmoid's range, else (for a logit) 0."""
    node = graph.by_name[name]
    while node.operator.is_view and node.inputs:
        node = graph.by_name[node.inputs[0]]
    form = node.operator.fixed_format([_ANY] * len(node.inputs), 8)
    return 0.5 if form is not None and not form.signed else 0.0


def classes_of(output: Array, boundary: float) -> Array:
    """Classes from an output (N, ..., C): of the largest of C values, or of the side of ``boundary`` that one value is on.

    (N,) where there is one position a sample, else (N, positions).
    """
    picked = output.argmax(axis=-1) if output.shape[-1] > 1 else (output[..., 0] > boundary).astype(np.int64)
    return _by_position(picked)


def classes_of_labels(labels: Array, shape: Shape) -> Array:
    """The same from labels for an output of ``shape`` (..., C): class numbers, or one-hot.

    GgdqError where they are neither for a sample nor for its positions.
    """
    count, positions, values = len(labels), prod(shape[:-1]), shape[-1] if shape else 1
    each = labels.size // max(count, 1)
    if each == positions:
        return _by_position(labels.reshape(count, *shape[:-1]))
    if positions == 1 or each == positions * values:  # one-hot, of however many classes where a sample has one label
        return _by_position(labels.reshape(count, *shape[:-1], each // positions).argmax(axis=-1))
    raise GgdqError(
        f"{each} labels a sample, the output has {positions} positions of {values} values",
        "labels y",
        "give the class of each sample or position, or leave y out",
    )


def _by_position(classes: Array) -> Array:
    flat = classes.reshape(len(classes), -1)
    return flat[:, 0] if flat.shape[1] == 1 else flat
