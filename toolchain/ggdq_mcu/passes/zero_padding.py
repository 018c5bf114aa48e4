"""Which zeros around an image need no memory? Those that a convolution can pad by itself."""

from __future__ import annotations

from dataclasses import replace

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.window import Padding
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D
from ggdq_mcu.passes.identities import remove_dead_nodes
from ggdq_mcu.passes.rewrite import rewritten


def fold_zero_padding(graph: Graph) -> Graph:
    """Convolutions, and paddings, that read a ZeroPadding2D pad as much more themselves; what nobody reads then goes.

    Pooling does not take part: its padding is no value, a padded zero is one.
    """
    for node in graph.nodes:
        if isinstance(node.operator, ZeroPadding2D):
            padding = graph.by_name[node.name]
            changes = {reader.name: (_padded(reader, padding),) for reader in graph.consumers(node.name)}
            graph = rewritten(graph, changes)
    return remove_dead_nodes(graph)


def _padded(reader: Node, padding: Node) -> Node:
    operator = reader.operator
    if not isinstance(operator, Conv2D | DepthwiseConv2D | ZeroPadding2D) or not isinstance(
        padding.operator, ZeroPadding2D
    ):
        return reader
    value = operator.value if isinstance(operator, ZeroPadding2D) else operator.padding_value
    if value or padding.operator.value:
        return reader  # one of them pads with something else than zeros
    total = Padding(*(a + b for a, b in zip(operator.padding, padding.operator.padding, strict=True)))
    return replace(reader, operator=replace(operator, padding=total), inputs=padding.inputs)
