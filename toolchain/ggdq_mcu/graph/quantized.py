"""What is a quantized network: integers only, and all that the reference and the C need?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ggdq_mcu.graph.format import Format
from ggdq_mcu.graph.graph import Array, Shape, execute, infer_shapes, same_arrays
from ggdq_mcu.graph.layer import QuantizedLayer
from ggdq_mcu.graph.operator import Operator


@dataclass(frozen=True, eq=False)
class QuantizedNode:
    """One operator in integers: the format of its output and its integer constants (weights, bias, shift, ...).

    ``channels``: which channels of the float layer (positions of the last axis) are left, None for all.
    """

    name: str
    operator: Operator
    inputs: tuple[str, ...]
    format: Format
    constants: Mapping[str, Array] = field(default_factory=dict)
    channels: Array | None = None

    def of_float(self, value: Array) -> Array:
        """The part of the float layer's value (..., C) that this node computes."""
        return value if self.channels is None else value[..., self.channels]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, QuantizedNode)
            and (self.name, self.operator, self.inputs) == (other.name, other.operator, other.inputs)
            and self.format == other.format
            and same_arrays(self.constants, other.constants)
            and np.array_equal(self.channels, other.channels)  # type: ignore[arg-type]  # None equals None
        )

    __hash__ = None  # type: ignore[assignment]


class Place(NamedTuple):
    """Memory that outlasts an inference: a ring and the element of it at which a value begins."""

    ring: str
    element: int


@dataclass(frozen=True)
class QuantizedGraph:
    """The integer network: what the NumPy reference computes is what every implementation must compute."""

    name: str
    nodes: tuple[QuantizedNode, ...]
    outputs: tuple[str, ...]

    @cached_property
    def placed(self) -> Mapping[str, Place]:
        """The nodes whose values do not lie in the arena, and where they do."""
        return {}

    @cached_property
    def by_name(self) -> Mapping[str, QuantizedNode]:
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

    def input_formats(self, node: QuantizedNode) -> list[Format]:
        """Formats of the tensors that ``node`` reads."""
        return [self.by_name[source].format for source in node.inputs]

    def input_shapes(self, node: QuantizedNode) -> list[Shape]:
        """Shapes of the tensors that ``node`` reads."""
        return [self.shapes[source] for source in node.inputs]

    def layer(self, node: QuantizedNode) -> QuantizedLayer:
        """``node`` apart from the graph."""
        sources, shapes = tuple(self.input_formats(node)), tuple(self.input_shapes(node))
        return QuantizedLayer(node.operator, sources, shapes, node.format, self.shapes[node.name], node.constants)

    @property
    def keeps_state(self) -> bool:
        """Does an inference begin with what the last one left?"""
        return any(node.operator.keeps_state for node in self.nodes)

    def state_owner(self, node: QuantizedNode) -> str:
        """The node whose state ``node`` goes on with: itself, or that which it changes."""
        return node.inputs[-1] if node.operator.changes_state else node.name

    def own_name(self, name: str, what: str) -> str:
        """Name of something that belongs to a node; no node's name, whatever nodes are called."""
        suffix = f"/{what}"
        while suffix in self._endings:
            suffix += f"/{what}"
        return name + suffix

    @cached_property
    def _endings(self) -> frozenset[str]:
        """All that a node's name may end with after a slash, the slash included."""
        return frozenset(name[i:] for name in self.by_name for i, letter in enumerate(name) if letter == "/")

    def run(
        self,
        samples: Mapping[str, Array],
        visit: Callable[[QuantizedNode, Array], Array] | None = None,
        state: dict[str, Any] | None = None,
    ) -> dict[str, Array]:
        """Integer outputs by name for a batch of quantized inputs: the executable specification.

        Each sample is the first after a reset, unless there is a ``state``: the inference begins with what the last one
        left in it, sample by sample, and leaves its own. An empty dictionary is the state after a reset.
        """
        return execute(self, lambda node, inputs: self.compute(node, inputs, state), samples, visit)

    def compute(self, node: QuantizedNode, inputs: list[Array], state: dict[str, Any] | None = None) -> Array:
        """Integer value of one node from the integer values of the nodes that it reads; ``state`` as in ``run``."""
        arguments = inputs, node.constants, self.input_formats(node), node.format
        if state is None or not node.operator.keeps_state:
            return node.operator.compute_integer(*arguments)
        owner = self.state_owner(node)
        value, state[owner] = node.operator.advance(*arguments, state.get(owner))
        return value

    def quantize_inputs(self, samples: Mapping[str, Array]) -> dict[str, Array]:
        """Real inputs (N, ...) by name, in the integer formats that the network takes."""
        return {name: self.by_name[name].format.quantize(samples[name]) for name in self.inputs}
