"""What is a trained network, before anything is quantized?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError

if TYPE_CHECKING:
    from ggdq_mcu.graph.operator import Operator

Shape = tuple[int, ...]
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and standard deviation, (C,) each, of a linear node's output before its clip, as training saw them.

    They come from the BatchNormalization that was folded into the node; data-free calibration draws from them.
    """

    mean: Array
    deviation: Array


@dataclass(frozen=True, eq=False)
class Node:
    """One operator at work: its name (unique in the graph), the nodes it reads, its float weights."""

    name: str
    operator: Operator
    inputs: tuple[str, ...] = ()
    weights: Mapping[str, Array] = field(default_factory=dict)
    statistics: Statistics | None = None

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Node)
            and (self.name, self.operator, self.inputs) == (other.name, other.operator, other.inputs)
            and same_arrays(self.weights, other.weights)
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Graph:
    """Nodes in topological order, each with one output of shape (...) without the batch axis.

    Input nodes carry the operator ``Input``; ``outputs`` names the nodes whose values the network returns.
    """

    name: str
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Node]:
        """The nodes by their names."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Output shape of every node, without the batch axis."""
        return infer_shapes(self.nodes)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the input nodes, in the order in which the network takes them."""
        return tuple(node.name for node in self.nodes if not node.inputs)

    def consumers(self, name: str) -> list[Node]:
        """Nodes that read the value of node ``name``."""
        return [node for node in self.nodes if name in node.inputs]

    def run(
        self, samples: Mapping[str, Array], visit: Callable[[Node, Array], Array] | None = None
    ) -> dict[str, Array]:
        """Float outputs by name for a batch: ``samples`` maps each input's name to (N, ...), or to one sample of its shape.

        ``visit(node, value)`` sees every node's value as it is made and returns the value that the rest of the network
        goes on with.
        """
        return execute(
            self,
            lambda node, inputs: node.operator.compute(inputs, node.weights),
            {name: self._batch(name, value) for name, value in samples.items()},
            visit,
        )

    def _batch(self, name: str, value: Array) -> Array:
        """Samples with a batch axis."""
        shape = self.shapes.get(name, ())
        return np.reshape(value, (1, *shape)) if np.ndim(value) <= len(shape) else value

    def text(self) -> str:
        """The graph as readable text, a line a node."""
        return "\n".join(_lines(self))


def infer_shapes(nodes: tuple[Any, ...]) -> dict[str, Shape]:
    """Output shape of every node; an operator that cannot take its input's shape is an error with the node's name."""
    shapes: dict[str, Shape] = {}
    for node in nodes:
        shapes[node.name] = infer_shape(node, shapes)
    return shapes


def infer_shape(node: Any, shapes: Mapping[str, Shape]) -> Shape:
    """Output shape of one node, where ``shapes`` has those of the nodes that it reads."""
    try:
        shape: Shape = node.operator.output_shape(*(shapes[source] for source in node.inputs))
    except (ValueError, IndexError, TypeError, KeyError) as error:
        raise GgdqError(f"shapes do not fit ({error})", f"layer {node.name!r}") from error
    if any(size <= 0 for size in shape):
        raise GgdqError(f"output shape {shape} is empty", f"layer {node.name!r}")
    return shape


def execute(
    graph: Any,
    compute: Callable[[Any, list[Any]], Any],
    samples: Mapping[str, Any],
    visit: Callable[[Any, Any], Any] | None = None,
) -> dict[str, Any]:
    """Run any graph node by node, keeping a value only as long as a later node or the outputs need it."""
    last_reader = {source: node.name for node in graph.nodes for source in node.inputs}
    values: dict[str, Any] = {}
    for node in graph.nodes:
        value = compute(node, [values[source] for source in node.inputs]) if node.inputs else samples[node.name]
        values[node.name] = visit(node, value) if visit else value
        for source in set(node.inputs):
            if last_reader[source] == node.name and source not in graph.outputs:
                del values[source]
    return {name: values[name] for name in graph.outputs}


def same_arrays(a: Mapping[str, Array], b: Mapping[str, Array]) -> bool:
    """Do two dictionaries hold the same arrays?"""
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def _lines(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        shape = "x".join(map(str, graph.shapes[node.name]))
        sources = f" <- {', '.join(node.inputs)}" if node.inputs else ""
        yield f"{node.name}: {node.operator.describe()} {shape}{sources}"
    yield f"outputs: {', '.join(graph.outputs)}"
