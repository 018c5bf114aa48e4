"""How is a layer written out in several operators? Node by node, each with a name of its own and a known shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.graph import infer_shape
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.permute import Permute
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.sources.keras import KerasLayer, Outputs

Array = NDArray[Any]


class Composition:
    """The nodes that a layer is made of. Values are named by the nodes that give them; ``shapes`` has their shapes."""

    def __init__(self, layer: KerasLayer) -> None:
        self.layer = layer
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = dict(zip(layer.inputs, layer.shapes, strict=True))

    def add(self, operator: Operator, *sources: str, weights: Mapping[str, Array] | None = None) -> str:
        """A node that applies ``operator`` to values, and its name."""
        name = self.layer.auxiliary(f"{operator.name}_{len(self.nodes)}")
        node = Node(name, operator, sources, {key: np.asarray(one, np.float32) for key, one in (weights or {}).items()})
        self.shapes[name] = infer_shape(replace(node, name=self.layer.name), self.shapes)
        self.nodes.append(node)
        return name

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """The same values under another shape."""
        return value if self.shapes[value] == tuple(shape) else self.add(Reshape(tuple(shape)), value)

    def permute(self, value: str, axes: Sequence[int]) -> str:
        """Axes, counted from 0 without the batch, in another order."""
        if list(axes) == list(range(len(axes))):
            return value
        return self.add(Permute(tuple(axis + 1 for axis in axes)), value)

    def affine(self, value: str, scale: ArrayLike, offset: ArrayLike = 0.0) -> str:
        """scale * x + offset, numbers or one for each position of the last axis."""
        shape = self.shapes[value]
        if not shape:
            return self.reshape(self.affine(self.reshape(value, (1,)), scale, offset), ())
        weights = {"scale": np.broadcast_to(scale, shape[-1:]), "offset": np.broadcast_to(offset, shape[-1:])}
        if not all(np.all(np.isfinite(one)) for one in weights.values()):
            raise self.layer.error("its constant is not finite")
        return self.add(Affine(), value, weights=weights)

    def with_last(self, value: str, axes: Sequence[int], apply: Callable[[str], str]) -> str:
        """``apply``, which works on the last axis and keeps the shape, on ``axes`` together, as if they were one axis."""
        shape = self.shapes[value]
        kept = [axis for axis in range(len(shape)) if axis not in axes]
        order = [*kept, *axes]
        moved = self.permute(value, order)
        whole = prod(shape[axis] for axis in axes)
        rows = self.reshape(moved, (*(shape[axis] for axis in kept), whole))
        back = self.reshape(apply(rows), tuple(shape[axis] for axis in order))
        return self.permute(back, [order.index(axis) for axis in range(len(shape))])

    def done(self, value: str) -> list[Node]:
        """All nodes, where ``value`` is the layer's output: its node gets the layer's name."""
        last = self.nodes[-1] if self.nodes else None
        if last is None or last.name != value:
            return [*self.nodes, Node(self.layer.name, Reshape(self.shapes[value]), (value,))]
        return [*self.nodes[:-1], replace(last, name=self.layer.name)]

    def outputs(self, *values: str) -> Outputs:
        """All nodes, where the layer has these outputs."""
        return Outputs(self.nodes, list(values))
