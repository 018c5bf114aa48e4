"""Which products and sums are a known function of one value? Those whose values say so, however they are written out.

x * sigmoid(x) is SiLU, x * clip(x + 3, 0, 6) / 6 hard swish, 0.5 * x * (1 + erf(x / sqrt(2))) GELU: one table in place of
several feature maps, each of which would have to be quantized.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.operators.activation import FUNCTIONS, Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.multiply import Multiply
from ggdq_mcu.passes.identities import remove_dead_nodes
from ggdq_mcu.passes.rewrite import rewritten

Array = NDArray[np.float64]
_MOST_NODES = 16  # of what is written out
_POINTS: Array = np.concatenate([np.linspace(-12, 12, 385), np.linspace(-1e-2, 1e-2, 21)])
_NEAR = 3e-6
#: Functions that networks write out, and that need no parameter.
_KNOWN = ("silu", "hard_silu", "gelu", "gelu_tanh", "mish", "softsign")


def recognize_functions(graph: Graph) -> Graph:
    """What computes one of these functions, product by product, is one table of it; it keeps its last node's name."""
    order = {node.name: index for index, node in enumerate(graph.nodes)}
    for node in reversed(graph.nodes):
        if node.name not in graph.by_name or not isinstance(node.operator, Multiply | Affine):
            continue
        for source, inner in _single_sources(graph, node, order):
            function = _function(graph, source, inner)
            if function is not None:
                graph = remove_dead_nodes(
                    rewritten(graph, {node.name: (Node(node.name, Activation(function), (source,)),)})
                )
                break
    return graph


def _single_sources(graph: Graph, node: Node, order: dict[str, int]) -> Iterator[tuple[str, list[Node]]]:
    """The values that ``node`` is a function of, nearest first, each with the nodes of that function, products among them."""
    inner, frontier = [node], set(node.inputs)
    while len(inner) < _MOST_NODES:
        if len(frontier) == 1 and any(isinstance(one.operator, Multiply) for one in inner):
            yield next(iter(frontier)), sorted(inner, key=lambda one: order[one.name])
        last = graph.by_name[max(frontier, key=lambda name: order[name])]
        if not last.inputs or not _of_each_value(graph, last):
            return
        inner.append(last)
        frontier = frontier - {last.name} | set(last.inputs)


def _of_each_value(graph: Graph, node: Node) -> bool:
    """Is each value of the output made of the value of each input at the same place, and of nothing else?"""
    if isinstance(node.operator, Affine):
        return all(np.ptp(value) == 0 for value in node.weights.values())
    shapes = {graph.shapes[name] for name in node.inputs}
    return isinstance(node.operator, Activation | Add | Clip | Multiply) and len(shapes) == 1


def _function(graph: Graph, source: str, nodes: list[Node]) -> str | None:
    """The known function that the nodes compute of the value of ``source``, or None."""
    if not all(_of_each_value(graph, node) for node in nodes):
        return None
    values = {source: _POINTS[None, :, None]}
    for node in nodes:
        weights = {key: value[:1].astype(np.float64) for key, value in node.weights.items()}
        values[node.name] = node.operator.compute([values[name] for name in node.inputs], weights)
    found = values[nodes[-1].name].ravel()
    for name in _KNOWN:
        if np.all(np.abs(FUNCTIONS[name](_POINTS, 0.0) - found) <= _NEAR * (1 + np.abs(_POINTS))):
            return name
    return None
