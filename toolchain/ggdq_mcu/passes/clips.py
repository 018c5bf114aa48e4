"""Which ReLUs cost nothing? Those that the saturation of an earlier operator computes anyway."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.copy import Copy
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D
from ggdq_mcu.passes.rewrite import rewritten, upstream


def fuse_clips(graph: Graph) -> Graph:
    """Clips go into the operator before them, which keeps its name, where nobody else reads it unclipped.

    Between them may be what commutes with a clip: max pooling, reshapes and copies, and zero padding where 0 stays 0.
    """
    for name in [node.name for node in graph.nodes if isinstance(node.operator, Clip)]:
        node = graph.by_name[name]
        producer = _producer(graph, node)
        if producer is not None:
            fused = replace(producer, operator=_clipped(producer.operator, node.operator))
            graph = rewritten(graph, {producer.name: (fused,), name: ()}, {name: node.inputs[0]})
    return graph


def _producer(graph: Graph, node: Node) -> Node | None:
    """The operator that can take the clip ``node``, or None."""
    for before in upstream(graph, node):
        if before.operator.fuses_clip:
            return before
        commutes = isinstance(before.operator, Copy | MaxPool2D | Reshape) or (
            isinstance(before.operator, ZeroPadding2D)
            and node.operator.low <= before.operator.value <= node.operator.high
        )
        if not commutes:
            return None
    return None


def _clipped(operator: Operator, clip: Operator) -> Operator:
    """``operator`` with ``clip`` after its own clip."""
    low, high = np.clip([operator.low, operator.high], clip.low, clip.high)
    return replace(operator, low=float(low), high=float(high))
