"""How do the axes of ONNX's tensors (channels first) lie in ours (channels last)? Each tensor says; few values move.

A tensor is known by its shape in ONNX's order, with all its axes, and by the order in which its node stores them. Axes
of size 1 may be missing in the node: nodes have no batch axis, which is the first one nearly everywhere. Transposing
then changes the order alone, and splitting and joining axes is a view wherever the axes that are joined lie side by
side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.operator import Operator, Shape

Array = NDArray[Any]
Order = tuple[int, ...]
#: Adds a node with an operator that reads the named node; gives its name.
Add = Callable[[Operator, str], str]


class Moves(NamedTuple):
    """The operators that only move values: one gives another shape, one permutes axes (1 is the first beside the batch)."""

    reshape: Callable[[Shape], Operator]
    permute: Callable[[tuple[int, ...]], Operator]


class Steps(NamedTuple):
    """Scale and zero point of integers in the file: (q - zero) * scale are their real numbers."""

    scale: float
    zero: float


@dataclass(frozen=True)
class Tensor:
    """The value of ``node``. ``shape`` in ONNX's order; the node's axis i is axis ``order[i]`` of it.

    Axes that are not in ``order`` are of size 1. A node has at least one axis: of size 1 where ``order`` is empty.

    A vector may list the values of a tensor, as flattening leaves it, in the order in which that one was stored: then
    ``listed`` has the shape and the order of that tensor. Where the file has integers, ``steps`` are theirs; the node has
    their real numbers.
    """

    node: str
    shape: Shape
    order: Order
    listed: tuple[Shape, Order] | None = None
    steps: Steps | None = None

    @property
    def stored(self) -> Shape:
        """Shape of the node."""
        return tuple(self.shape[axis] for axis in self.order) or (1,)

    def of(self, node: str) -> Tensor:
        """The value of another node, which has its elements where this one has them."""
        return replace(self, node=node)

    def places(self) -> Array:
        """For each stored element of a vector, its index in ONNX's order."""
        if self.listed is None:
            return np.arange(prod(self.shape))
        shape, order = self.listed
        missing = tuple(axis for axis in range(len(shape)) if axis not in order)
        return np.arange(prod(shape)).reshape(shape).transpose(missing + order).ravel()


def plain_order(shape: Shape) -> Order:
    """The order of ONNX, without a batch axis of size 1."""
    return tuple(range(1 if len(shape) > 1 and shape[0] == 1 else 0, len(shape)))


def channels_last(shape: Shape) -> Order:
    """The order in which axis 1, the channels, is stored last."""
    return (*(axis for axis in plain_order(shape) if axis != 1), 1)


def completed(order: Order, axes: Sequence[int]) -> Order:
    """The order with ``axes`` in it: the missing ones first, or sorted where the others are."""
    missing = sorted(set(axes) - set(order))
    if not missing:
        return order
    return tuple(sorted((*missing, *order))) if list(order) == sorted(order) else (*missing, *order)


def _large(shape: Shape, order: Order) -> Order:
    """The axes that have more than one element, as they are stored: the others may lie anywhere."""
    return tuple(axis for axis in order if shape[axis] != 1)


def arranged(moves: Moves, add: Add, tensor: Tensor, order: Order) -> Tensor:
    """The tensor stored in ``order``: under another shape where that is all, else with its values moved."""
    if tensor.order == order:
        return tensor
    result = Tensor("", tensor.shape, order)
    if _large(tensor.shape, tensor.order) == _large(tensor.shape, order):
        return result.of(
            tensor.node if result.stored == tensor.stored else add(moves.reshape(result.stored), tensor.node)
        )
    if set(order) != set(tensor.order):  # axes of size 1 more, or less
        same = tuple(axis for axis in tensor.order if axis in order)
        tensor = arranged(moves, add, tensor, completed(same, order))
    if tensor.order == order:
        return tensor
    return result.of(add(moves.permute(tuple(tensor.order.index(axis) + 1 for axis in order)), tensor.node))


def plain(moves: Moves, add: Add, tensor: Tensor) -> Tensor:
    """The tensor with its elements in ONNX's order."""
    if tensor.listed is None:
        return arranged(moves, add, tensor, plain_order(tensor.shape))
    shape, order = tensor.listed
    whole = Tensor("", shape, order)
    image = whole.of(add(moves.reshape(whole.stored), tensor.node))
    moved = arranged(moves, add, image, plain_order(shape))
    return Tensor(add(moves.reshape(tensor.stored), moved.node), tensor.shape, tensor.order)


def transposed(tensor: Tensor, axes: Sequence[int]) -> Tensor:
    """Axis i of the result is axis ``axes[i]``."""
    shape = tuple(tensor.shape[axis] for axis in axes)
    order = tuple(list(axes).index(axis) for axis in tensor.order)
    return replace(tensor, shape=shape, order=order)


def reshaped(moves: Moves, add: Add, tensor: Tensor, shape: Shape) -> Tensor:
    """The same values, as ONNX orders them, under another shape of as many elements."""
    if shape == tensor.shape:
        return tensor
    if tensor.listed is not None:
        listed, order = tensor.listed
        image = Tensor("", listed, order)
        tensor = image.of(add(moves.reshape(image.stored), tensor.node))
        if shape == tensor.shape:
            return tensor
    axes = _large(tensor.shape, tensor.order)
    if len(plain_order(shape)) == 1 and list(axes) != sorted(axes):
        result = Tensor("", shape, plain_order(shape), (tensor.shape, tensor.order))
        return result.of(add(moves.reshape(result.stored), tensor.node))
    groups = _groups(tensor.shape, shape)
    # Axes that are joined have to lie side by side: where the last of them lies.
    last = {member: max(axes.index(axis) for axis in old) for old, _ in groups for member in old}
    wanted = tuple(sorted(axes, key=lambda axis: (last[axis], axis)))
    if wanted != axes:
        ones = tuple(axis for axis in tensor.order if axis not in axes)
        tensor = arranged(moves, add, tensor, ones + wanted)
    by_first = {old[0]: new for old, new in groups}
    large = tuple(axis for old in wanted if old in by_first for axis in by_first[old])
    result = Tensor("", shape, _with_ones(shape, large))
    return result.of(tensor.node if result.stored == tensor.stored else add(moves.reshape(result.stored), tensor.node))


def _with_ones(shape: Shape, large: Order) -> Order:
    """An order with ``large`` as it is: channels last or ONNX's own, where that is possible."""
    if not shape:
        return ()
    own, last = plain_order(shape), channels_last(shape) if len(shape) > 1 else plain_order(shape)
    for order in (last, own) if len(own) > 2 else (own, last):
        if _large(shape, order) == large:
            return order
    return (*(axis for axis in own if axis not in large), *large)


def _groups(old: Shape, new: Shape) -> list[tuple[list[int], list[int]]]:
    """Which axes become which: the smallest runs of both with equal products; axes of size 1 take no part."""
    a = [axis for axis, size in enumerate(old) if size != 1]
    b = [axis for axis, size in enumerate(new) if size != 1]
    groups: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(a) and j < len(b):
        sources, targets = [a[i]], [b[j]]
        left, right = old[a[i]], new[b[j]]
        i, j = i + 1, j + 1
        while left != right:
            if (left < right and i == len(a)) or (right < left and j == len(b)):
                raise ValueError(f"{old} cannot become {new}")
            if left < right:
                sources.append(a[i])
                left, i = left * old[a[i]], i + 1
            else:
                targets.append(b[j])
                right, j = right * new[b[j]], j + 1
        groups.append((sources, targets))
    if i != len(a) or j != len(b):
        raise ValueError(f"{old} cannot become {new}")
    return groups
