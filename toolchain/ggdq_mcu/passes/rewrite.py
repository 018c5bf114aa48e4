"""How does a pass change a graph? It replaces nodes, drops nodes, and sends their readers elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ggdq_mcu.graph import Graph, Node


def rewritten(
    graph: Graph,
    changes: Mapping[str, Sequence[Node]] | None = None,
    redirects: Mapping[str, str] | None = None,
) -> Graph:
    """The graph with the nodes of ``changes`` in the place of the named node (none: it is dropped).

    ``redirects`` gives, for the name of a node that is gone, the node that its readers and the outputs take instead.
    """
    changes, redirects = changes or {}, redirects or {}

    def target(name: str) -> str:
        while name in redirects:
            name = redirects[name]
        return name

    nodes = [new for node in graph.nodes for new in changes.get(node.name, (node,))]
    moved = (replace(node, inputs=tuple(map(target, node.inputs))) for node in nodes)
    return Graph(graph.name, tuple(moved), tuple(map(target, graph.outputs)))


def sole_reader(graph: Graph, name: str) -> Node | None:
    """The one node that reads ``name``, once; None where there are others, or the network returns the value."""
    readers = graph.consumers(name)
    if name in graph.outputs or len(readers) != 1 or readers[0].inputs.count(name) != 1:
        return None
    return readers[0]


def upstream(graph: Graph, node: Node) -> Iterator[Node]:
    """The nodes before ``node``, nearest first, as long as each has one input and is read by this chain alone."""
    while len(node.inputs) == 1 and sole_reader(graph, node.inputs[0]) is not None:
        node = graph.by_name[node.inputs[0]]
        yield node


def fresh_name(graph: Graph, name: str) -> str:
    """``name``, or ``name`` with a number where a node has it already."""
    count, candidate = 1, name
    while candidate in graph.by_name:
        count += 1
        candidate = f"{name}_{count}"
    return candidate
