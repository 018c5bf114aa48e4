"""Which nodes do nothing at inference? Dropout and its kind, empty padding, reshapes to the same shape, dead nodes."""

from __future__ import annotations

from dataclasses import replace
from math import isinf

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.copy import Copy
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D
from ggdq_mcu.passes.rewrite import rewritten


def remove_identities(graph: Graph) -> Graph:
    """The graph without nodes whose output is their input, and with one reshape where several follow each other.

    A node stays where the network would otherwise return an input, or one value under two names.
    """
    graph = _join_reshapes(graph)
    redirects: dict[str, str] = {}
    outputs = set(graph.outputs)
    for node in graph.nodes:
        if not _is_identity(graph, node):
            continue
        source = node.inputs[0]
        while source in redirects:
            source = redirects[source]
        if node.name in outputs:
            if source in outputs or not graph.by_name[source].inputs:
                continue
            outputs = outputs - {node.name} | {source}
        redirects[node.name] = source
    return rewritten(graph, dict.fromkeys(redirects, ()), redirects)


def remove_dead_nodes(graph: Graph) -> Graph:
    """The graph without nodes that no output needs; inputs stay, they are the network's signature."""
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return Graph(graph.name, tuple(n for n in graph.nodes if n.name in needed or not n.inputs), graph.outputs)


def _is_identity(graph: Graph, node: Node) -> bool:
    operator = node.operator
    if not isinf(operator.low) or not isinf(operator.high):
        return isinstance(operator, Clip) and _within(graph, node)
    if isinstance(operator, Reshape):
        return graph.shapes[node.inputs[0]] == operator.shape
    if isinstance(operator, Copy):
        return operator.moves_nothing(graph.shapes[node.inputs[0]])
    if isinstance(operator, ZeroPadding2D):
        return not any(operator.padding)
    if isinstance(operator, AveragePool2D | MaxPool2D):
        return operator.pool_size == operator.strides == (1, 1) and not any(operator.padding)
    return isinstance(operator, Clip)


def _within(graph: Graph, node: Node) -> bool:
    """Is what the clip reads clipped as tightly already?"""
    source = graph.by_name[node.inputs[0]].operator
    return node.operator.low <= source.low and source.high <= node.operator.high


def _join_reshapes(graph: Graph) -> Graph:
    """A reshape of a reshape reads the first one's input."""
    sources = {node.name: node.inputs[0] for node in graph.nodes if isinstance(node.operator, Reshape)}

    def origin(name: str) -> str:
        while name in sources:
            name = sources[name]
        return name

    changes = {name: (replace(graph.by_name[name], inputs=(origin(name),)),) for name in sources}
    return remove_dead_nodes(rewritten(graph, changes))
