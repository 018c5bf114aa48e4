"""How does a kernel walk through tensors whose axes do not line up? Nested loops with a step for each tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.operator import Shape

Array = NDArray[Any]


class Loop(NamedTuple):
    """One loop: its turns, and by how many elements each tensor moves on at a time (0: it stays)."""

    turns: int
    steps: tuple[int, ...]


def loops(shape: Shape, strides: Sequence[Sequence[int]]) -> list[Loop]:
    """The fewest nested loops, outermost first, that visit an output of ``shape`` in order.

    ``strides`` gives for each tensor its step in elements along every axis. Axes that every tensor walks through as if
    they were one become one loop.
    """
    found: list[Loop] = []
    for axis, count in enumerate(shape):
        if count == 1:
            continue
        steps = tuple(stride[axis] for stride in strides)
        if found and all(outer == inner * count for outer, inner in zip(found[-1].steps, steps, strict=True)):
            found[-1] = Loop(found[-1].turns * count, steps)
        else:
            found.append(Loop(count, steps))
    return found or [Loop(1, tuple(1 for _ in strides))]


def element_strides(view: Array) -> tuple[int, ...]:
    """Steps of a NumPy view in elements, by axis."""
    return tuple(stride // view.itemsize for stride in view.strides)


def broadcast_strides(shape: Shape, output: Shape) -> tuple[int, ...]:
    """Steps through a contiguous tensor of ``shape`` that is broadcast to ``output``, aligned at the last axis."""
    return element_strides(np.broadcast_to(np.empty(shape, np.int8), output))


def broadcast_loops(inputs: Sequence[Shape], output: Shape) -> list[Loop]:
    """Loops over ``output`` and the inputs that are broadcast to it; the output's own steps are the last."""
    return loops(output, [*(broadcast_strides(shape, output) for shape in inputs), broadcast_strides(output, output)])


def broadcast_shape(shapes: Sequence[Shape]) -> Shape:
    """The shape that all the shapes are broadcast to; ValueError where they do not fit."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise ValueError(f"cannot broadcast shapes {', '.join(map(str, shapes))}") from error


def aligned(batches: Sequence[Array]) -> list[Array]:
    """Batches (N, ...) with axes of size 1 after the batch, so that NumPy broadcasts them as their shapes say."""
    rank = max(batch.ndim for batch in batches)
    return [batch.reshape(len(batch), *(1,) * (rank - batch.ndim), *batch.shape[1:]) for batch in batches]
